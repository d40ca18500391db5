"""``arkor-tui probe``: golden prompts to checkpoints of a run, after the fact."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line

from .askoptions import (
    add_sampling_options,
    add_system_option,
    add_target_options,
    sampling_from,
    show_rows_prompt,
    wanted_targets,
)
from .backend import add_backend_option, add_run_argument
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.chat.golden import Golden
    from arkor_tui.session.probing import Probed


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
    add_target_options(parser, several=True)
    add_system_option(parser)
    add_sampling_options(parser)
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
    from arkor_tui.session.asking import targets_of
    from arkor_tui.session.probing import free_name, probe
    from arkor_tui.session.session import Session

    from .junit import write_junit

    results: list[Probed] = []
    async with Session.open(Path.cwd(), args.backend) as session:
        record = await session.find_run(args.run)
        known = await targets_of(session, record, ask_backend=True)
        targets = known.all if args.all else known.pick(wanted_targets(args))
        system = await session.system_prompt(record) if args.system is None else args.system
        if any(prompt.system is None for prompt in prompts):
            show_rows_prompt(system, args)
        sampling = sampling_from(args)
        prompts = [prompt.asked_of(system).sampled(sampling) for prompt in prompts]
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
        "system": one.prompt.system or None,
        "reply": one.answer.reply,
        "passed": one.answer.verdict.passed,
        "verdict": one.answer.verdict.text,
        "error": one.answer.error,
        "seconds": round(one.answer.seconds, 3),
    }
