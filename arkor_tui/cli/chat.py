"""``arkor-tui chat``: one prompt to one checkpoint, streamed to stdout."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import add_backend_option, add_run_argument
from .interaction import emit, note

if TYPE_CHECKING:
    from arkor_tui.api.jobs import JobDetail
    from arkor_tui.training.connection import Connection
    from arkor_tui.training.infer import Infer, InferOptions


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
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--schema", type=Path, metavar="FILE", help="the reply must match this JSON schema"
    )
    form.add_argument("--regex", metavar="PATTERN", help="the reply must match this")
    form.add_argument(
        "--choice", action="append", metavar="TEXT", help="the reply must be one of these"
    )
    form.add_argument("--grammar", type=Path, metavar="FILE", help="the reply must follow this")
    add_backend_option(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print.

    Raises:
        UsageError: no prompt, no such run or target, an unreadable file.
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
    return asyncio.run(_chat(args, prompt, _options(args)))


def _options(args: argparse.Namespace) -> InferOptions:
    options: InferOptions = {}
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
    if args.schema is not None:
        options["structured_outputs"] = {"json": _read_json(args.schema)}
    elif args.regex is not None:
        options["structured_outputs"] = {"regex": args.regex}
    elif args.choice:
        options["structured_outputs"] = {"choice": args.choice}
    elif args.grammar is not None:
        options["structured_outputs"] = {"grammar": _read(args.grammar)}
    return options


def _read(path: Path) -> str:
    from arkor_tui.errors import UsageError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"Cannot read {path}: {error}.", hint="Check the file.") from error


def _read_json(path: Path) -> Any:
    from arkor_tui.errors import UsageError

    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}, line {error.lineno}: not JSON: {error.msg}.", hint="Correct the file."
        ) from error


async def _chat(args: argparse.Namespace, prompt: str, options: InferOptions) -> int:
    from .backend import connect_to_existing, find_job

    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    if args.system:
        messages.insert(0, {"role": "system", "content": args.system})
    connection = await connect_to_existing(args)
    try:
        detail = await find_job(connection, args.run)
        infer, label = _target(args, connection, detail)
        if not args.json and not (args.step or args.final or args.base):
            note(f"[{label}]")
        return await _stream(args, infer, label, messages, options)
    finally:
        await connection.aclose()


def _target(
    args: argparse.Namespace, connection: Connection, detail: JobDetail
) -> tuple[Infer, str]:
    """Who answers: what was asked for, else the final adapter, else the newest checkpoint."""
    from arkor_tui.api.chat import AdapterRef
    from arkor_tui.errors import UsageError
    from arkor_tui.training.infer import Infer

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
    options: InferOptions,
) -> int:
    from arkor_tui.plain import plain

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
    if not args.json:
        print(flush=True)
        return 0
    emit(
        "reply",
        {
            "target": label,
            "text": text,
            "finishReason": finish,
            "usage": usage,
            "firstTokenSeconds": first,
            "totalSeconds": time.monotonic() - begin,
        },
    )
    return 0
