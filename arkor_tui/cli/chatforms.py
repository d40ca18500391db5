"""What ``arkor-tui chat`` can ask of a reply: a form that it must have, or functions to call."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .interaction import emit, note

if TYPE_CHECKING:
    from arkor_tui.chat.infer import Infer
    from arkor_tui.chat.options import Sampling
    from arkor_tui.chat.tools import Tool, ToolCall
    from arkor_tui.chat.typed import Form, TypedReply

_SHOWN = 2_000  # characters of a call or a result on stderr


def add_form_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--schema", type=Path, metavar="FILE", help="the reply must match this JSON schema"
    )
    form.add_argument(
        "--model-type",
        metavar="MODULE:CLASS",
        help="the reply must be this pydantic model (also FILE.py:CLASS)",
    )
    form.add_argument("--regex", metavar="PATTERN", help="the reply must match this")
    form.add_argument(
        "--choice", action="append", metavar="TEXT", help="the reply must be one of these"
    )
    form.add_argument("--grammar", type=Path, metavar="FILE", help="the reply must follow this")
    form.add_argument(
        "--tools",
        type=Path,
        metavar="FILE.py",
        help="the model may call the functions that this file marks with @tool",
    )
    parser.add_argument(
        "--tool-choice",
        metavar="auto|required|NAME",
        help="whether the first reply must be a call (default: auto)",
    )
    parser.add_argument(
        "--max-rounds", type=int, metavar="N", help="rounds of calls at most (default: 4)"
    )


def form_from(args: argparse.Namespace) -> Form[Any] | None:
    """The form that the reply must have; None for any.

    Raises:
        UsageError: a file cannot be read, or the form cannot be sent.
    """
    from arkor_tui.chat.typed import form_of

    if args.schema is not None:
        return form_of(schema=read_schema(args.schema))
    if args.model_type is not None:
        return form_of(_find_class(args.model_type))
    if args.regex is not None:
        return form_of(regex=args.regex)
    if args.choice:
        return form_of(choice=args.choice)
    if args.grammar is not None:
        return form_of(grammar=_read(args.grammar))
    return None


def tools_from(args: argparse.Namespace) -> list[Tool]:
    """The tools of the file that was named, in its order; none if none was.

    Raises:
        UsageError: the file does not run, or holds no tool.
    """
    from arkor_tui.errors import UsageError

    if args.tools is None:
        if args.tool_choice is not None or args.max_rounds is not None:
            raise UsageError("--tool-choice and --max-rounds go with --tools.")
        return []
    from arkor_tui.run.loading import load_tools

    with _printing_to_stderr():
        return load_tools(args.tools)


def judged(form: Form[Any] | None, text: str, finish: str | None) -> tuple[int, dict[str, Any]]:
    """The exit code of a reply, and its ``verdict`` and ``value`` for JSON; says what is wrong."""
    if form is None:
        return 0, {"verdict": None, "value": None}
    with _printing_to_stderr():  # a model class may hold code of its own
        reply = form.read(text, finish)
    verdict = reply.verdict
    if verdict.passed is False:
        note(f"The reply is not what was asked for: {verdict.text}.")
    elif verdict.passed is None:
        note(f"Not checked: {verdict.text}.")
    told = {"passed": verdict.passed, "text": verdict.text}
    return int(verdict.passed is False), {"verdict": told, "value": _value(reply)}


def _value(reply: TypedReply[Any]) -> Any:
    """As JSON can hold it: a number that is not finite becomes null."""
    from pydantic_core import to_json

    return json.loads(to_json(reply.value, inf_nan_mode="null"))


async def converse(
    args: argparse.Namespace,
    infer: Infer,
    messages: list[dict[str, Any]],
    sampling: Sampling,
    tools: list[Tool],
) -> tuple[int, str, dict[str, Any]]:
    """A conversation with tools: exit code, answer, and further fields of the ``reply`` record.

    Each call and its result is told on stderr, and with ``--json`` as a record of its own. What the
    functions print goes to stderr.

    Raises:
        ArkorTuiError: the backend refused or could not be reached.
    """
    from arkor_tui.api.errors import ApiError

    out = sys.stdout

    def tell(call: ToolCall) -> None:
        with redirect_stdout(out):
            _tell(call, as_json=args.json)

    try:
        with _printing_to_stderr():
            reply = await infer.with_tools(
                messages,
                tools,
                max_rounds=4 if args.max_rounds is None else args.max_rounds,
                tool_choice=args.tool_choice or "auto",
                on_call=tell,
                **sampling,
            )
    except ApiError as error:
        if error.code != "tool_calling_not_configured":
            raise
        raise ApiError(
            error.status,
            error.message,
            code=error.code,
            hint="Name the function, --tool-choice "
            f"{tools[0].name}, or say --tool-choice required: automatic choice needs an endpoint "
            "that was configured for it.",
        ) from error
    if reply.problem is not None:
        note(f"There is no whole answer: {reply.problem}.")
    passed = reply.problem is None
    return (
        int(not passed),
        reply.text,
        {
            "finishReason": reply.reply.finish_reason,
            "usage": reply.reply.usage,
            "verdict": {"passed": passed, "text": reply.problem or "answered"},
            "value": None,
            "messages": reply.messages,
        },
    )


def _tell(call: ToolCall, *, as_json: bool) -> None:
    from arkor_tui.text.sanitize import plain

    def line(text: str) -> str:
        return plain(text, limit=_SHOWN, newlines=False)

    fields: dict[str, Any] = {"id": call.id, "name": call.name, "round": call.round}
    if call.result is None:
        note(f"call {line(call.name)} {line(call.arguments)}")
        kind, fields["arguments"] = "tool.call", call.arguments
    else:
        note(f"  -> {line(call.result)}")
        kind, fields["result"], fields["failed"] = "tool.result", call.result, call.failed
    if as_json:
        emit(kind, fields)


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Stdout is the reply's alone; what the user's code prints goes beside it, sanitised."""
    from .output import CallbackOutput

    printed = CallbackOutput(note)
    try:
        with redirect_stdout(printed):
            yield
    finally:
        printed.finish()


def _read(path: Path) -> str:
    from arkor_tui.config.atomic import reason_of
    from arkor_tui.errors import UsageError

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"Cannot read {path}: {reason_of(error)}.", hint="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}, line {line}: it is not UTF-8 text.", hint="Save the file as UTF-8."
        ) from error


def read_schema(path: Path) -> dict[str, Any]:
    """The JSON schema in a file.

    Raises:
        UsageError: it cannot be read, or holds no JSON object.
    """
    from arkor_tui.errors import UsageError

    try:
        schema = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}, line {error.lineno}: not JSON: {error.msg}.", hint="Correct the file."
        ) from error
    if not isinstance(schema, dict):
        raise UsageError(f"{path}: the schema is not a JSON object.", hint="Correct the file.")
    return schema


def _run_file(path: Path) -> Mapping[str, Any]:
    """The variables of a Python file, run as a trainer file is.

    Raises:
        UsageError: it is not there, or does not run.
    """
    from arkor_tui.errors import UsageError
    from arkor_tui.run.loading import run_file

    file = path.expanduser().absolute()
    if not file.is_file():
        raise UsageError(f"There is no file {file}.", hint="Check the path.")
    with _printing_to_stderr():
        return vars(run_file(file))


def _find_class(text: str) -> Any:
    """The class that ``MODULE:CLASS`` names; modules of the current folder are found too.

    Raises:
        UsageError: there is none.
    """
    from arkor_tui.errors import UsageError

    module, _, name = text.rpartition(":")
    if not module or not name:
        raise UsageError(f"{text!r} names no class.", hint="Write MODULE:CLASS or FILE.py:CLASS.")
    variables: Mapping[str, Any]
    if module.endswith(".py"):
        variables = _run_file(Path(module))
    else:
        here = str(Path.cwd())
        sys.path.insert(0, here)
        try:
            with _printing_to_stderr():
                variables = vars(importlib.import_module(module))
        except Exception as error:  # the module is the user's, and may raise anything
            raise UsageError(
                f"The module {module} cannot be imported: {type(error).__name__}: {error}.",
                hint="Check its name; it must be importable from this folder.",
            ) from error
        finally:
            with suppress(ValueError):
                sys.path.remove(here)
    found = variables.get(name)
    if not isinstance(found, type):
        raise UsageError(f"{module} has no class {name}.", hint="Check the name.")
    return found
