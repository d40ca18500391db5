"""Functions that a model may call, and the round trip from its call to its answer."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Unpack, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from arkor_tui.api.chat import ChatReply, Message
from arkor_tui.api.wire import mistakes
from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .options import InferOptions, Sampling

ToolChoice = str | dict[str, Any]
"""``auto``, ``required``, ``none``, the name of a tool, or the wire's own object."""

AfterCalls = Literal["auto", "required", "none"]
_MODES = ("auto", "required", "none")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ERROR_LIMIT = 500  # characters of a failure that the model is told


@dataclass(frozen=True, slots=True)
class Tool:
    """A function as a model sees it; calling it calls the function. Made by :func:`tool`."""

    name: str
    description: str
    function: Callable[..., Any]
    arguments: type[BaseModel] = field(repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def to_wire(self) -> dict[str, Any]:
        """As an element of a request's ``tools``."""
        parameters = _without_titles(self.arguments.model_json_schema(by_alias=True))
        parameters.setdefault("properties", {})
        described = {"description": self.description} if self.description else {}
        function = {"name": self.name, **described, "parameters": parameters}
        return {"type": "function", "function": function}

    async def run(self, arguments: str) -> str:
        """Call the function with arguments as JSON text; its result as text.

        A plain function runs in a thread. A text is returned as it is, anything else as JSON.

        Raises:
            ValueError: the arguments do not fit, or the result cannot be told as JSON.
            Exception: whatever the function raises.
        """
        try:
            checked = self.arguments.model_validate_json(arguments.strip() or "{}")
        except ValidationError as error:
            raise ValueError(f"the arguments do not fit: {mistakes(error)}") from None
        known = type(checked).model_fields
        values = {str(part.alias): getattr(checked, name) for name, part in known.items()}
        if inspect.iscoroutinefunction(self.function):
            result = await self.function(**values)
        else:
            result = await asyncio.to_thread(_call, self.function, values)
            if inspect.isawaitable(result):
                result = await result
        if isinstance(result, str):
            return result
        try:
            return to_json(result).decode()
        except PydanticSerializationError as error:
            raise ValueError(f"the result cannot be told as JSON: {error}") from None


def _call(function: Callable[..., Any], values: dict[str, Any]) -> Any:
    try:
        return function(**values)
    except StopIteration as error:  # next() found nothing; no future can carry it (Python 3.11)
        raise RuntimeError("StopIteration") from error


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Let a model call a function: ``@tool``, or ``@tool(name=…, description=…)``.

    The schema of its arguments comes from its type hints, the texts from its docstring (what is
    before ``Args:``, and ``Args:`` itself). The function may be async.

    Raises:
        UsageError: the name is not 1 to 64 letters, digits, _ and - (a lambda needs ``name``); or a
            parameter has no type hint, one that cannot be read or has no schema; or there are
            ``*args`` or ``**kwargs``.
    """

    def make(made: Callable[..., Any]) -> Tool:
        own = name or str(getattr(made, "__name__", ""))
        if not _NAME.fullmatch(own):
            raise UsageError(
                f"{plain(own, limit=80)!r} is no name for a tool.",
                hint="Up to 64 letters, digits, _ and -: @tool(name=…) sets one.",
            )
        said, parts = _docstring(made)
        said = said if description is None else description
        return Tool(own, said, made, _arguments(made, own, parts))

    return make if function is None else make(function)


def _arguments(
    function: Callable[..., Any], name: str, texts: Mapping[str, str]
) -> type[BaseModel]:
    """A model of the arguments. Its fields have names of their own: any parameter name will do."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise UsageError(f"The type hints of the tool {name} cannot be read: {error}.") from error
    fields: dict[str, Any] = {}
    for number, part in enumerate(inspect.signature(function).parameters.values()):
        if part.kind not in (part.POSITIONAL_OR_KEYWORD, part.KEYWORD_ONLY):
            raise UsageError(
                f"The tool {name} has the parameter {part}; a model gives arguments by name.",
                hint="Write each parameter out, with a type hint.",
            )
        if part.name not in hints:
            raise UsageError(
                f"The parameter {part.name} of the tool {name} has no type hint.",
                hint=f"Write {part.name}: str, or whatever it takes.",
            )
        default = ... if part.default is part.empty else part.default
        said: dict[str, Any] = {"description": texts[part.name]} if part.name in texts else {}
        fields[f"p{number}"] = (hints[part.name], Field(default, alias=part.name, **said))
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except PydanticUserError as error:
        raise UsageError(f"The tool {name} has no JSON schema: {error.message}.") from error
    return model


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text before the first section of a docstring, and what ``Args:`` says of each."""
    text = inspect.getdoc(function) or ""
    head, *rest = re.split(r"^(Args|Arguments|Returns|Raises|Yields):[ ]*$", text, flags=re.M)
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    body = inspect.cleandoc(sections.get("Args") or sections.get("Arguments") or "")
    found: dict[str, str] = {}
    current = None
    for line in body.splitlines():
        started = re.match(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)", line)
        if started:
            current, found[started[1]] = started[1], started[2].strip()
        elif current and line.strip():
            found[current] = f"{found[current]} {line.strip()}".strip()
    return head.strip(), found


def _without_titles(node: Any) -> Any:
    """A schema without the titles that pydantic makes of names: they cost tokens and say nothing.

    What is under ``properties`` and ``$defs`` are names, where a title is somebody's own.
    """
    if isinstance(node, list):
        return [_without_titles(part) for part in node]
    if not isinstance(node, dict):
        return node
    result = {}
    for key, part in node.items():
        if key in ("properties", "$defs") and isinstance(part, dict):
            result[key] = {name: _without_titles(inner) for name, inner in part.items()}
        elif key in ("enum", "const", "default", "examples"):
            result[key] = part
        elif key != "title":
            result[key] = _without_titles(part)
    return result


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that a model made. ``round`` counts from 1, ``arguments`` is its JSON text.

    ``result`` is what the model was told, which starts with ``Error:`` where ``failed``; it is None
    while the function runs.
    """

    id: str
    name: str
    arguments: str
    round: int
    result: str | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ToolReply:
    """How a conversation with tools ended.

    ``messages`` is the whole of it: what was sent, every call, every result, and the answer.
    ``problem`` says what is wrong with the answer, where something is.
    """

    reply: ChatReply
    messages: list[dict[str, Any]]
    calls: tuple[ToolCall, ...] = ()
    problem: str | None = None

    @property
    def text(self) -> str:
        """The answer."""
        return self.reply.text


class Asks(Protocol):
    """Gives one whole reply to messages."""

    async def __call__(
        self, messages: Sequence[Message] | str, **options: Unpack[InferOptions]
    ) -> ChatReply: ...


async def converse(
    infer: Asks,
    messages: Sequence[Message] | str,
    tools: Sequence[Tool],
    *,
    max_rounds: int = 4,
    tool_choice: ToolChoice = "auto",
    then: AfterCalls | None = None,
    on_call: Callable[[ToolCall], None] | None = None,
    options: Sampling | None = None,
) -> ToolReply:
    """Ask, run the functions that the model calls, send the results, until it answers with text.

    ``tool_choice`` goes with the first request, ``then`` with the later ones: ``auto`` again after
    ``auto``, else ``none``, since a choice that forces a call would never let the model answer.
    After ``max_rounds`` rounds of calls the model is asked once more, with ``none``. Calls of one
    reply run one after the other. ``on_call`` hears of each call before and after it ran. A call
    that fails is told to the model and raises nothing here.

    Raises:
        UsageError: there is no tool, two have one name, or ``tool_choice`` names none of them.
        ApiError: the backend refused a request. Nothing is retried.
        ConnectionFailedError: the backend could not be reached.
    """
    if max_rounds < 1:
        raise UsageError("max_rounds must be at least 1.")
    known = _by_name(tools)
    sampling: Sampling = options or {}
    sent: InferOptions = {"tools": [each.to_wire() for each in known.values()]}
    settings: InferOptions = {**sampling, **sent}
    choice = _choice(tool_choice, known)
    later: ToolChoice = then or ("auto" if tool_choice == "auto" else "none")
    talk: list[dict[str, Any]] = (
        [{"role": "user", "content": messages}]
        if isinstance(messages, str)
        else [dict(message) for message in messages]
    )
    calls: list[ToolCall] = []
    number = 0
    while True:
        number += 1
        settings["tool_choice"] = (
            "none" if number > max_rounds else choice if number == 1 else later
        )
        reply = await infer(talk, **settings)
        asked = _calls_of(reply, number)
        talk.append(_assistant(reply, asked))
        if not asked or number > max_rounds:
            break
        for call in asked:
            done = await _run(call, known, on_call)
            calls.append(done)
            talk.append({"role": "tool", "tool_call_id": done.id, "content": done.result})
    return ToolReply(reply, talk, tuple(calls), _problem(reply, bool(asked), max_rounds))


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    known: dict[str, Tool] = {}
    for each in tools:
        if not isinstance(each, Tool):
            raise UsageError(
                f"{getattr(each, '__name__', each)} is not a tool.", hint="Mark it with @tool."
            )
        if each.name in known:
            raise UsageError(f"Two tools are named {each.name}.", hint="Use @tool(name=…).")
        known[each.name] = each
    if not known:
        raise UsageError("There is no tool.", hint="Give at least one function marked with @tool.")
    return known


def _choice(choice: ToolChoice, known: Mapping[str, Tool]) -> ToolChoice:
    if not isinstance(choice, str):
        return choice
    # a tool may be named like a mode; the mode wins, and the wire's object names the tool
    if choice in _MODES:
        return choice
    if choice not in known:
        shown = plain(choice, limit=80, newlines=False)
        raise UsageError(
            f"tool_choice is {shown!r}, which is no tool.",
            hint=f"One of {', '.join((*_MODES, *known))}.",
        )
    return {"type": "function", "function": {"name": choice}}


def _calls_of(reply: ChatReply, number: int) -> list[ToolCall]:
    """The calls in a reply, whatever a server left out of them."""
    found = []
    for index, raw in enumerate(reply.tool_calls):
        function = raw.get("function")
        function = function if isinstance(function, dict) else {}
        identity, name, arguments = raw.get("id"), function.get("name"), function.get("arguments")
        found.append(
            ToolCall(
                id=identity if isinstance(identity, str) and identity else f"call_{number}_{index}",
                name=name if isinstance(name, str) else "",
                arguments=arguments if isinstance(arguments, str) else json.dumps(arguments or {}),
                round=number,
            )
        )
    return found


def _assistant(reply: ChatReply, calls: Sequence[ToolCall]) -> dict[str, Any]:
    """The model's turn, as it goes back with the next request."""
    if not calls:
        return {"role": "assistant", "content": reply.text}
    made = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in calls
    ]
    return {"role": "assistant", "content": reply.text or None, "tool_calls": made}


async def _run(
    call: ToolCall, known: Mapping[str, Tool], on_call: Callable[[ToolCall], None] | None
) -> ToolCall:
    if on_call is not None:
        on_call(call)
    failed = True
    made = known.get(call.name)
    if made is None:
        result = f"Error: there is no tool {call.name!r}; the tools are {', '.join(known)}"
    else:
        try:
            result = await made.run(call.arguments)
            failed = False
        except Exception as error:  # whatever a function raises is for the model to deal with
            kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
            result = f"Error: {kind}{error}"
    if failed:
        result = plain(result, limit=_ERROR_LIMIT)
    done = ToolCall(call.id, call.name, call.arguments, call.round, result, failed)
    if on_call is not None:
        on_call(done)
    return done


def _problem(reply: ChatReply, still_calling: bool, max_rounds: int) -> str | None:
    if still_calling:
        return f"the model still calls tools after round {max_rounds}"
    if reply.finish_reason == "length":
        return "cut by max_tokens before it was whole"
    if not reply.text.strip():
        return "the reply is empty"
    return None
