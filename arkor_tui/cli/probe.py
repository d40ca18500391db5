"""``arkor-tui probe``: golden prompts to checkpoints of a run, after the fact."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line

from .backend import add_backend_option, add_run_argument
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.recipes.prompts import Golden
    from arkor_tui.session.probing import Probed
    from arkor_tui.session.session import Session
    from arkor_tui.session.updates import Target


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Ask the golden prompts of a file, and judge the answers. Exit code: 0 all passed, 1 some "
        "failed or could not be asked, 2 wrong use."
    )
    add_run_argument(parser)
    parser.add_argument(
        "--prompts", required=True, type=Path, metavar="FILE", help="a .toml or .jsonl file"
    )
    which = parser.add_argument_group("targets (default: the final adapter, else the newest step)")
    which.add_argument("--step", type=int, action="append", default=[], metavar="N")
    which.add_argument("--all", action="store_true", help="the base model and every checkpoint")
    which.add_argument("--final", action="store_true", help="the final adapter")
    which.add_argument("--base", action="store_true", help="the base model")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a report for CI")
    parser.add_argument(
        "--name", help="what the answers are kept under (default: probe, with those of the run "
        "itself, unless that are answers to other prompts; then the file's name)",
    )  # fmt: skip
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and judge.

    Raises:
        ArkorTuiError: there is no such run or target, or the file cannot be used.
    """
    from arkor_tui.errors import UsageError
    from arkor_tui.recipes.prompts import read_prompts

    prompts = read_prompts(args.prompts)
    if args.junit is not None and not args.junit.parent.is_dir():
        raise UsageError(f"{args.junit} cannot be written: there is no folder {args.junit.parent}.")
    return asyncio.run(_probe(args, prompts))


async def _probe(args: argparse.Namespace, prompts: Sequence[Golden]) -> int:
    from arkor_tui.errors import UsageError
    from arkor_tui.session.probing import free_name, probe
    from arkor_tui.session.session import Session

    from .junit import write_junit

    results: list[Probed] = []
    async with Session.open(Path.cwd(), args.backend) as session:
        record = await session.find_run(args.run)
        targets = await _targets(session, record, args)
        name = args.name or await free_name(session, record, prompts, ["probe", args.prompts.stem])
        async for one in probe(session, record, prompts, targets, name=name):
            results.append(one)
            _tell(one, args)
    if args.junit is not None:
        try:
            await asyncio.to_thread(write_junit, args.junit, record.name, results)
        except OSError as error:
            raise UsageError(f"{args.junit} cannot be written: {error.strerror}.") from error
    bad = [one for one in results if one.answer.verdict.passed is False or one.answer.error]
    passed = sum(one.answer.verdict.passed is True for one in results)
    if args.json:
        emit("summary", {"answers": len(results), "passed": passed, "failed": len(bad)})
    else:
        note(f"{passed} passed, {len(bad)} failed, {len(results)} answers.")
    return 1 if bad else 0


async def all_targets(session: Session, record: RunRecord) -> list[Target]:
    """Base, checkpoints and final adapter, with checkpoints that only the backend knows yet."""
    from arkor_tui.session.probing import targets_of
    from arkor_tui.session.updates import Target

    connection = await session.connection_for(record)
    detail = await connection.client.get_job(connection.scope, record.identity.job_id)
    targets = await targets_of(session, record)
    known = {target.step for target in targets}
    steps = {
        event["step"]
        for event in detail.events or []
        if event.get("type") == "checkpoint.saved" and isinstance(event.get("step"), int)
    }
    more = [Target(record, "checkpoint", step) for step in sorted(steps.difference(known))]
    final = [target for target in targets if target.kind == "final"]
    if not final and detail.job.status == "completed":
        final = [Target(record, "final")]
    steps_of = [t for t in [*targets, *more] if t.kind == "checkpoint"]
    return [
        Target(record, "base"),
        *sorted(steps_of, key=lambda target: target.step or 0),
        *final,
    ]


async def _targets(session: Session, record: RunRecord, args: argparse.Namespace) -> list[Target]:
    from arkor_tui.errors import UsageError

    known = await all_targets(session, record)
    if args.all:
        return known
    wanted = [t for t in known if t.kind == "checkpoint" and t.step in args.step]
    missing = set(args.step).difference(t.step for t in wanted)
    if missing:
        steps = ", ".join(str(t.step) for t in known if t.kind == "checkpoint") or "none"
        raise UsageError(
            f"There is no checkpoint {sorted(missing)[0]} of {record.name}.",
            hint=f"There are: {steps}.",
        )
    wanted += [t for t in known if t.kind == "base" and args.base]
    if args.final:
        final = [t for t in known if t.kind == "final"]
        if not final:
            raise UsageError(f"{record.name} has no final adapter; it is {record.status}.")
        wanted += final
    return wanted or known[-1:]


def _tell(one: Probed, args: argparse.Namespace) -> None:
    answer, verdict = one.answer, one.answer.verdict
    if args.json:
        emit("sample", as_json(one))
        return
    mark = {True: "pass", False: "FAIL", None: " -- "}[verdict.passed]
    name = one.prompt.name or " ".join(one.prompt.text.split())[:50]
    say(f"{mark}  {one.target.label:>9}  {one_line(name)}")
    if verdict.passed is not True:
        reply = " ".join(answer.reply.split())[:160]
        say(f"                 {one_line(verdict.text)}" + (f": {reply}" if reply else ""))


def as_json(one: Probed) -> dict[str, Any]:
    """Stable keys; ``passed`` is null where nothing was expected."""
    return {
        "target": one.target.kind,
        "step": one.target.step,
        "prompt": one.number,
        "name": one.prompt.name or None,
        "text": one.prompt.text,
        "reply": one.answer.reply,
        "passed": one.answer.verdict.passed,
        "verdict": one.answer.verdict.text,
        "error": one.answer.error,
        "seconds": round(one.answer.seconds, 3),
    }
