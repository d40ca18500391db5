"""Checks ``POST /v1/inference/chat`` (docs/protocol.md, section 6).

Nothing that was asked for is dropped silently: what the engine cannot do is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arkor_tui.text.sanitize import plain

from .ipc import ChatSpec, Constraint

_NOT_HERE = (
    "presencePenalty",
    "frequencyPenalty",
    "logprobs",
    "topLogprobs",
    "logitBias",
    "enableThinking",
    "reasoningEffort",
)
_KNOWN = {
    "messages",
    "adapter",
    "baseModel",
    "temperature",
    "topP",
    "maxTokens",
    "stream",
    "tools",
    "toolChoice",
    "responseFormat",
    "structuredOutputs",
    "stop",
    "seed",
    "streamOptions",
}
_CONSTRAINTS = ("json", "regex", "choice", "grammar", "json_object")
_CONSTRAINT_OPTIONS = (
    "disable_any_whitespace",
    "disable_additional_properties",
    "whitespace_pattern",
)
_MAX_STOPS = 16
_DEFAULT_MAX_TOKENS = 256


class InvalidChatError(ValueError):
    """The request is refused with 400; ``code`` is machine-readable where there is one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """Who is to answer: a base model, or a job's adapter (``step`` None for the final one)."""

    base_model: str | None = None
    job_id: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class CheckedChat:
    """A request that can be served. ``name`` is the target for people."""

    target: Target
    spec: ChatSpec
    stream: bool
    name: str


def check_chat(body: Any) -> CheckedChat:
    """Check a request's body.

    Raises:
        InvalidChatError: with the field that is to blame.
    """
    if not isinstance(body, dict):
        raise InvalidChatError("The body must be a JSON object.")
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name in _NOT_HERE:
            raise InvalidChatError(f"{name} is not supported by this backend.")
        if name not in _KNOWN:
            shown = plain(name, limit=80, newlines=False)
            raise InvalidChatError(f"{shown} is not a field of this backend.")
    tools, choice = _tools(given)
    constraint = _constraint(given)
    if constraint is not None and choice is not None:
        raise InvalidChatError("A constraint and a required tool call exclude each other.")
    target, name = _target(given)
    return CheckedChat(
        target=target,
        name=name,
        stream=_flag(given, "stream", default=True),
        spec=ChatSpec(
            messages=_messages(given.get("messages")),
            temperature=_number(given, "temperature", 0, 2, 1.0),
            top_p=_number(given, "topP", 0, 1, 1.0),
            max_tokens=_whole(given, "maxTokens", 1, 1_000_000, _DEFAULT_MAX_TOKENS),
            stop=_stop(given.get("stop")),
            seed=_whole(given, "seed", -(2**63), 2**63 - 1, 0) if "seed" in given else None,
            constraint=constraint,
            tools=tools,
            tool_choice=choice,
        ),
    )


def _target(given: dict[str, Any]) -> tuple[Target, str]:
    if ("adapter" in given) == ("baseModel" in given):
        raise InvalidChatError("Give exactly one of adapter and baseModel.")
    if "baseModel" in given:
        model = given["baseModel"]
        if not isinstance(model, str) or not model:
            raise InvalidChatError("baseModel must be a model's name.")
        return Target(base_model=model), model
    adapter = given["adapter"]
    if not isinstance(adapter, dict) or not isinstance(adapter.get("jobId"), str):
        raise InvalidChatError("adapter must be an object with kind and jobId.")
    job_id, step = adapter["jobId"], adapter.get("step")
    if adapter.get("kind") == "final":
        return Target(job_id=job_id), f"{job_id}/final"
    if adapter.get("kind") == "checkpoint":
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise InvalidChatError("adapter of kind checkpoint needs a step.")
        return Target(job_id=job_id, step=step), f"{job_id}/{step}"
    raise InvalidChatError("adapter.kind must be final or checkpoint.")


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise InvalidChatError("messages must be a non-empty list.")
    for number, message in enumerate(value):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise InvalidChatError(f"{where} must be an object.")
        role, content = message.get("role"), message.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            raise InvalidChatError(f"{where}.role must be system, user, assistant or tool.")
        calls = message.get("tool_calls")
        if role == "assistant" and calls is not None:
            _check_calls(calls, where)
            if content is not None and not isinstance(content, str):
                raise InvalidChatError(f"{where}.content must be a text or null.")
        elif not isinstance(content, str):
            raise InvalidChatError(f"{where}.content must be a text.")
        if role == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise InvalidChatError(f"{where}.tool_call_id must be a text.")
    return value


def _check_calls(calls: Any, where: str) -> None:
    if not isinstance(calls, list) or not calls:
        raise InvalidChatError(f"{where}.tool_calls must be a non-empty list.")
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not (
            isinstance(function, dict)
            and isinstance(function.get("name"), str)
            and isinstance(function.get("arguments"), str)
        ):
            raise InvalidChatError(
                f"{where}.tool_calls must hold functions with a name and arguments (JSON text)."
            )


def _tools(given: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """The tools, and which must be called: ``required``, a name, or None for no tool at all."""
    tools, choice = given.get("tools"), given.get("toolChoice")
    if tools is None:
        if choice not in (None, "none", "auto"):
            raise InvalidChatError("toolChoice needs tools.")
        return [], None
    if not isinstance(tools, list) or not tools:
        raise InvalidChatError("tools must be a non-empty list.")
    names = []
    for number, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidChatError(f"tools[{number}] must be a function with a name.")
        names.append(function["name"])
    if choice == "none":
        return [], None
    if choice is None or choice == "auto":
        raise InvalidChatError(
            "Automatic tool choice is not configured on this backend: use toolChoice 'required', "
            "or name the function.",
            "tool_calling_not_configured",
        )
    if choice == "required":
        return tools, "required"
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name not in names:
        raise InvalidChatError("toolChoice must be auto, none, required or one of the functions.")
    return tools, name


def _constraint(given: dict[str, Any]) -> Constraint | None:
    from_format = _from_response_format(given.get("responseFormat"))
    outputs = given.get("structuredOutputs")
    if outputs is None:
        return from_format
    if from_format is not None:
        raise InvalidChatError("structuredOutputs and responseFormat exclude each other.")
    if not isinstance(outputs, dict):
        raise InvalidChatError("structuredOutputs must be an object.")
    parts = {name: value for name, value in outputs.items() if value is not None}
    unknown = set(parts) - set(_CONSTRAINTS) - set(_CONSTRAINT_OPTIONS)
    if unknown:
        shown = plain(", ".join(sorted(unknown)), limit=200, newlines=False)
        raise InvalidChatError(f"structuredOutputs has unknown parts: {shown}.")
    chosen = [name for name in _CONSTRAINTS if name in parts]
    if len(chosen) != 1:
        raise InvalidChatError(f"structuredOutputs needs exactly one of {', '.join(_CONSTRAINTS)}.")
    options = {name: parts[name] for name in _CONSTRAINT_OPTIONS if name in parts}
    return _one_constraint(chosen[0], parts[chosen[0]], options)


def _one_constraint(kind: str, value: Any, options: dict[str, Any]) -> Constraint:
    if kind == "json":
        if not isinstance(value, dict):
            raise InvalidChatError("structuredOutputs.json must be a JSON schema object.")
        return Constraint("json", value, options)
    if kind == "choice":
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise InvalidChatError("structuredOutputs.choice must be a non-empty list of texts.")
        return Constraint("choice", value, options)
    if kind == "json_object":
        if value is not True:
            raise InvalidChatError("structuredOutputs.json_object must be true.")
        return Constraint("json_object", None, options)
    if not isinstance(value, str) or not value.strip():
        raise InvalidChatError(f"structuredOutputs.{kind} must be a non-empty text.")
    return Constraint("regex" if kind == "regex" else "grammar", value, options)


def _from_response_format(value: Any) -> Constraint | None:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return Constraint("json_object")
    if kind != "json_schema":
        raise InvalidChatError("responseFormat.type must be text, json_object or json_schema.")
    part = value.get("json_schema")
    schema = part.get("schema") if isinstance(part, dict) else None
    if not isinstance(schema, dict):
        raise InvalidChatError("responseFormat.json_schema.schema must be an object.")
    if part.get("strict"):
        _check_strict(schema, "schema")
    return Constraint("json", schema)


def _check_strict(schema: Any, where: str) -> None:
    """Strict schemas close every object and require each of its properties."""
    if isinstance(schema, list):
        for number, part in enumerate(schema):
            _check_strict(part, f"{where}[{number}]")
        return
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            raise InvalidChatError(
                f"A strict schema needs additionalProperties false in {where}.", "invalid_schema"
            )
        required = schema.get("required")
        missing = set(properties or {}) - set(required if isinstance(required, list) else [])
        if missing:
            shown = plain(", ".join(sorted(missing)), limit=200, newlines=False)
            raise InvalidChatError(
                f"A strict schema must require every property; {where} does not require {shown}.",
                "invalid_schema",
            )
    for name, part in schema.items():
        if name in ("enum", "const", "default", "examples"):
            continue
        if name in ("properties", "$defs", "definitions") and isinstance(part, dict):
            for inner, inner_schema in part.items():
                _check_strict(inner_schema, f"{where}.{name}.{plain(inner, limit=80)}")
        else:
            _check_strict(part, f"{where}.{name}")


def _number(given: dict[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = given.get(name, default)
    # a number beyond the range may be too large to be made a float
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidChatError(f"{name} must be a number from {low:g} to {high:g}.")
    return float(value)


def _whole(given: dict[str, Any], name: str, low: int, high: int, default: int) -> int:
    value = given.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidChatError(f"{name} must be a whole number, at least {low}.")
    return value


def _flag(given: dict[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise InvalidChatError(f"{name} must be true or false.")
    return value


def _stop(value: Any) -> list[str]:
    if value is None:
        return []
    stops = [value] if isinstance(value, str) else value
    if (
        not isinstance(stops, list)
        or len(stops) > _MAX_STOPS
        or not all(isinstance(stop, str) and stop for stop in stops)
    ):
        raise InvalidChatError(f"stop must be a text or at most {_MAX_STOPS} non-empty texts.")
    return stops
