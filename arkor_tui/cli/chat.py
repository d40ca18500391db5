"""``arkor-tui chat``: one prompt to one checkpoint, streamed to stdout."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
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
from .chatforms import add_form_options, converse, form_from, judged, tools_from
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.chat.infer import Infer
    from arkor_tui.chat.options import InferOptions
    from arkor_tui.chat.tools import Tool
    from arkor_tui.chat.typed import Form
    from arkor_tui.connect.connection import Connection


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Send one prompt to a checkpoint, the final adapter or the base model of a run, also while "
        "it trains. The reply is streamed to stdout."
    )
    add_run_argument(parser)
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="default: read from stdin")
    add_target_options(parser)
    add_system_option(parser)
    add_sampling_options(parser)
    add_form_options(parser)
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print; 1 if the reply is not what was asked for.

    Raises:
        UsageError: no prompt, no such run or target, a file that cannot be used.
        ArkorTuiError: the backend refused or could not be reached.
    """
    from arkor_tui.errors import UsageError

    prompt = args.prompt
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
    if not prompt:
        raise UsageError(
            "There is no prompt.", hint='Write it last: arkor-tui chat latest "I cannot log in"'
        )
    return asyncio.run(_chat(args, prompt, form_from(args), tools_from(args)))


async def _chat(
    args: argparse.Namespace, prompt: str, form: Form[Any] | None, tools: list[Tool]
) -> int:
    from arkor_tui.chat.golden import messages_of
    from arkor_tui.chat.infer import Infer
    from arkor_tui.chat.provider import ArkorProvider
    from arkor_tui.chat.target import LATEST, RunTargets
    from arkor_tui.chat.trained import system_prompt_of_job

    from .backend import connect_to_run

    connection, detail = await connect_to_run(args)

    async def known() -> Connection:
        return connection

    try:
        wanted = wanted_targets(args)
        target = RunTargets.of(detail).find(*wanted or (LATEST,))
        infer = Infer(ArkorProvider(known), target)
        system = args.system
        if system is None:
            here = await infer.provider.is_here()
            system = await system_prompt_of_job(detail.job, is_here=here)
        if not args.json and tuple(wanted) in ((), (LATEST,)):
            note(f"[{one_line(target.described)}]")
        show_rows_prompt(system, args)
        messages = messages_of(prompt, system)
        if tools:
            return await _with_tools(args, infer, system, messages, tools)
        return await _stream(args, infer, system, messages, form)
    finally:
        await connection.aclose()


async def _stream(
    args: argparse.Namespace,
    infer: Infer,
    system: str,
    messages: list[dict[str, Any]],
    form: Form[Any] | None,
) -> int:
    from arkor_tui.text.sanitize import plain

    constraint: InferOptions = form.options() if form is not None else {}
    options: InferOptions = {**constraint, **sampling_from(args)}
    begin, first = time.monotonic(), None
    async with infer.stream(messages, **options) as pieces:
        async for delta in pieces:
            if not delta.text:
                continue
            if first is None:
                first = time.monotonic() - begin
            if args.json:
                emit("delta", {"text": delta.text})
            else:
                print(plain(delta.text), end="", flush=True)
    total = time.monotonic() - begin
    if not args.json:
        print(flush=True)
    code, verdict = judged(form, pieces.text, pieces.finish_reason)
    if args.json:
        emit(
            "reply",
            {
                "target": infer.target.described,
                "system": system or None,
                "text": pieces.text,
                "finishReason": pieces.finish_reason,
                "usage": pieces.usage,
                "firstTokenSeconds": first,
                "totalSeconds": total,
                **verdict,
            },
        )
    return code


async def _with_tools(
    args: argparse.Namespace,
    infer: Infer,
    system: str,
    messages: list[dict[str, Any]],
    tools: list[Tool],
) -> int:
    begin = time.monotonic()
    code, text, fields = await converse(args, infer, messages, sampling_from(args), tools)
    if args.json:
        told = {"target": infer.target.described, "system": system or None, "text": text}
        times = {"firstTokenSeconds": None, "totalSeconds": time.monotonic() - begin}
        emit("reply", {**told, **times, **fields})
    else:
        say(text)
    return code
