"""``arkor-tui chat``: one prompt to one checkpoint, streamed to stdout."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line

from .backend import add_backend_option, add_run_argument
from .chatforms import add_form_options, converse, form_from, judged, tools_from
from .interaction import emit, note, say

if TYPE_CHECKING:
    from arkor_tui.api.jobs import JobDetail
    from arkor_tui.chat.infer import Infer, InferOptions, Sampling
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
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--step", type=int, metavar="N", help="the checkpoint at this step")
    target.add_argument("--final", action="store_true", help="the final adapter")
    target.add_argument("--base", action="store_true", help="the base model, untuned")
    parser.add_argument("--system", metavar="TEXT", help="system prompt")
    parser.add_argument("--temperature", type=float, metavar="T", help="0 to 2; 0 is greedy")
    parser.add_argument("--top-p", type=float, metavar="P", help="0 to 1")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same reply")
    parser.add_argument("--stop", action="append", metavar="TEXT", help="end the reply here")
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


def _sampling(args: argparse.Namespace) -> Sampling:
    options: Sampling = {}
    if args.temperature is not None:
        options["temperature"] = args.temperature
    if args.top_p is not None:
        options["top_p"] = args.top_p
    if args.max_tokens is not None:
        options["max_tokens"] = args.max_tokens
    if args.seed is not None:
        options["seed"] = args.seed
    if args.stop:
        options["stop"] = args.stop
    return options


async def _chat(
    args: argparse.Namespace, prompt: str, form: Form[Any] | None, tools: list[Tool]
) -> int:
    from .backend import connect_to_run

    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    if args.system:
        messages.insert(0, {"role": "system", "content": args.system})
    connection, detail = await connect_to_run(args)
    try:
        infer, label = _target(args, connection, detail)
        if not args.json and not (args.step or args.final or args.base):
            note(f"[{one_line(label)}]")
        if tools:
            return await _with_tools(args, infer, label, messages, tools)
        return await _stream(args, infer, label, messages, form)
    finally:
        await connection.aclose()


def _target(
    args: argparse.Namespace, connection: Connection, detail: JobDetail
) -> tuple[Infer, str]:
    """Who answers: what was asked for, else the final adapter, else the newest checkpoint."""
    from arkor_tui.api.chat import AdapterRef
    from arkor_tui.chat.infer import Infer
    from arkor_tui.errors import UsageError

    async def known() -> Connection:
        return connection

    job = detail.job
    if args.base:
        return Infer(known, base_model=job.config.model), f"base model {job.config.model}"
    step = args.step
    if step is None and not args.final and job.status != "completed":
        saved = [
            event["step"]
            for event in detail.events or []
            if event.get("type") == "checkpoint.saved" and isinstance(event.get("step"), int)
        ]
        if not saved:
            raise UsageError(
                f"{job.name} is {job.status}, and no checkpoint of it is known.",
                hint="Name one with --step N, or ask the base model with --base.",
            )
        step = max(saved)
    if step is not None:
        reference = AdapterRef(kind="checkpoint", job_id=job.id, step=step)
        return Infer(known, adapter=reference), f"checkpoint {step} of {job.name}"
    reference = AdapterRef(kind="final", job_id=job.id)
    return Infer(known, adapter=reference), f"final adapter of {job.name}"


async def _stream(
    args: argparse.Namespace,
    infer: Infer,
    label: str,
    messages: list[dict[str, Any]],
    form: Form[Any] | None,
) -> int:
    from arkor_tui.text.sanitize import plain

    constraint: InferOptions = form.options() if form is not None else {}
    options: InferOptions = {**_sampling(args), **constraint}
    text, finish, usage = "", None, None
    begin, first = time.monotonic(), None
    async with infer.stream(messages, **options) as deltas:
        async for delta in deltas:
            finish = delta.finish_reason or finish
            usage = delta.usage or usage
            if not delta.text:
                continue
            if first is None:
                first = time.monotonic() - begin
            text += delta.text
            if args.json:
                emit("delta", {"text": delta.text})
            else:
                print(plain(delta.text), end="", flush=True)
    total = time.monotonic() - begin
    if not args.json:
        print(flush=True)
    code, verdict = judged(form, text, finish)
    if args.json:
        emit(
            "reply",
            {
                "target": label,
                "text": text,
                "finishReason": finish,
                "usage": usage,
                "firstTokenSeconds": first,
                "totalSeconds": total,
                **verdict,
            },
        )
    return code


async def _with_tools(
    args: argparse.Namespace,
    infer: Infer,
    label: str,
    messages: list[dict[str, Any]],
    tools: list[Tool],
) -> int:
    begin = time.monotonic()
    code, text, fields = await converse(args, infer, messages, _sampling(args), tools)
    if args.json:
        times = {"firstTokenSeconds": None, "totalSeconds": time.monotonic() - begin}
        emit("reply", {"target": label, "text": text, **times, **fields})
    else:
        say(text)
    return code
