"""``arkor-tui bisect``: from which checkpoint on an answer is right, or wrong."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .askoptions import (
    add_sampling_options,
    add_system_option,
    sampling_from,
    show_rows_prompt,
)
from .backend import add_backend_option, add_run_argument
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.chat.golden import Golden, GoldenAnswer
    from arkor_tui.chat.target import Target

LONGEST = 100
"""Characters of an answer in its line."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Find by binary search over base model, checkpoints and final adapter where one assertion "
        "began to hold, or ceased to. One change is assumed, and put to the test at some further "
        "targets. Exit code: 0 found, 1 there is none or a target could not be asked, 2 wrong use."
    )
    add_run_argument(parser)
    parser.add_argument("--prompt", required=True, metavar="TEXT", help="what is asked")
    add_system_option(parser)
    add_sampling_options(parser)
    want = parser.add_argument_group("the answer has to (give at least one)")
    want.add_argument("--contains", action="append", default=[], metavar="TEXT")
    want.add_argument("--not-contains", action="append", default=[], metavar="TEXT")
    want.add_argument("--regex", metavar="PATTERN", help="somewhere in the answer")
    want.add_argument("--schema", type=Path, metavar="FILE", help="be JSON of this JSON schema")
    want.add_argument(
        "--equals", action="append", default=[], metavar="FIELD=VALUE",
        help="be JSON with this field; VALUE is JSON, or else a text",
    )  # fmt: skip
    parser.add_argument(
        "--checks", type=int, default=2, metavar="N",
        help="further targets that are asked whether there was one change only (default: 2)",
    )  # fmt: skip
    parser.add_argument("--no-base", action="store_true", help="leave the base model out")
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Search.

    Raises:
        ArkorTuiError: there is no such run, or nothing is expected of the answer.
    """
    from arkor_tui.chat.golden import Golden
    from arkor_tui.errors import UsageError

    if args.checks < 0:
        raise UsageError("--checks is at least 0.")
    prompt = Golden(args.prompt, args.system, expect_from(args)).sampled(sampling_from(args))
    return asyncio.run(_bisect(args, prompt))


def expect_from(args: argparse.Namespace) -> Any:
    """What the options ask of the answer.

    Raises:
        UsageError: nothing, or something that cannot be used.
    """
    from arkor_tui.chat.assertions import Expect, fields_from
    from arkor_tui.errors import UsageError

    from .chatforms import read_schema

    expect = Expect(
        contains=args.contains,
        not_contains=args.not_contains,
        regex=args.regex,
        equals=fields_from(args.equals) or None,
        schema=read_schema(args.schema) if args.schema is not None else None,
    )
    if expect.is_empty:
        raise UsageError(
            "Nothing is expected of the answer.",
            hint="Give --contains, --not-contains, --regex, --schema or --equals.",
        )
    return expect


async def _bisect(args: argparse.Namespace, prompt: Golden) -> int:
    from arkor_tui.chat.bisect import bisect_targets
    from arkor_tui.session.asking import targets_of
    from arkor_tui.session.session import Session

    def tell(target: Target, answer: GoldenAnswer) -> None:
        verdict = answer.verdict
        if args.json:
            emit(
                "asked",
                {
                    "target": target.kind, "step": target.step, "passed": verdict.passed,
                    "verdict": verdict.text, "reply": answer.reply,
                },
            )  # fmt: skip
            return
        mark = {True: "pass", False: "FAIL", None: " -- "}[verdict.passed]
        reply = " ".join(answer.reply.split())
        if len(reply) > LONGEST:
            reply = reply[: LONGEST - 1] + "…"
        say(f"{mark}  {target.label:>9}  {reply}")

    async with Session.open(Path.cwd(), args.backend) as session:
        record = await session.find_run(args.run)
        targets = (await targets_of(session, record, ask_backend=True)).all
        if args.no_base:
            targets = [target for target in targets if target.kind != "base"]
        if not targets:
            note("There is no checkpoint to ask.")
            return 1
        prompt = prompt.asked_of(await session.system_prompt(record))
        show_rows_prompt(prompt.system or "", args)
        found = await bisect_targets(
            lambda target: session.infer(record, target), targets, prompt, tell, checks=args.checks
        )
    if args.json:
        emit(
            "bisect",
            {
                "result": found.flip,
                "first": found.first.label if found.first else None,
                "before": found.before.label if found.before else None,
                "system": prompt.system or None,
                "asked": len(found.asked), "targets": len(targets),
                "contradictions": [target.label for target, _ in found.contradictions],
            },
        )  # fmt: skip
    else:
        say(found.text)
    return 0 if found.first is not None else 1
