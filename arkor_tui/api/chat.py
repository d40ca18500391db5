"""Inference: requests, replies, and the text in a streamed frame (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from .wire import WireReader, WireWriter, read_json


class AdapterRef(WireWriter):
    """The LoRA weights of a job: the final ones, or those of the checkpoint at ``step``."""

    kind: Literal["final", "checkpoint"]
    job_id: str
    step: int | None = None

    @model_validator(mode="after")
    def _step_goes_with_checkpoint(self) -> AdapterRef:
        if (self.kind == "checkpoint") != (self.step is not None):
            raise ValueError("a step goes with kind 'checkpoint', and only so")
        return self


Message = Mapping[str, Any]
"""An OpenAI message: ``role`` and ``content``, or ``tool_calls``, or ``tool_call_id``."""


class StructuredOutputs(WireWriter):
    """A constraint on the reply, enforced while it is decoded; exactly one of the first five.

    These field names are snake_case on the wire, unlike the rest.
    """

    json_schema: dict[str, Any] | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: Annotated[list[str], Field(min_length=1)] | None = None
    grammar: Annotated[str, Field(pattern=r"\S")] | None = None
    json_object: Literal[True] | None = Field(default=None, alias="json_object")
    disable_any_whitespace: bool | None = Field(default=None, alias="disable_any_whitespace")
    disable_additional_properties: bool | None = Field(
        default=None, alias="disable_additional_properties"
    )
    whitespace_pattern: str | None = Field(default=None, alias="whitespace_pattern")

    @model_validator(mode="after")
    def _exactly_one(self) -> StructuredOutputs:
        given = [self.json_schema, self.regex, self.choice, self.grammar, self.json_object]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of json, regex, choice, grammar, json_object")
        return self


class ChatRequest(WireWriter):
    """Body of ``POST /v1/inference/chat``: exactly one of ``adapter`` and ``base_model``.

    ``temperature`` 0 to 2, ``top_p`` 0 to 1, ``max_tokens`` in tokens.
    """

    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    adapter: AdapterRef | None = None
    base_model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    structured_outputs: StructuredOutputs | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    stream_options: dict[str, Any] | None = None
    enable_thinking: bool | None = None
    reasoning_effort: str | None = None

    @model_validator(mode="after")
    def _one_target(self) -> ChatRequest:
        if (self.adapter is None) == (self.base_model is None):
            raise ValueError("give exactly one of adapter and base_model")
        return self

    def to_wire(self) -> dict[str, Any]:
        """As the base class; messages, tools and schemas go out exactly as they were given."""
        wire = super().to_wire()
        wire["messages"] = self.messages
        for name, value in (
            ("tools", self.tools),
            ("toolChoice", self.tool_choice),
            ("responseFormat", self.response_format),
        ):
            if value is not None:
                wire[name] = value
        outputs = self.structured_outputs
        if outputs is not None and outputs.json_schema is not None:
            wire["structuredOutputs"]["json"] = outputs.json_schema
        return wire


class Choice(WireReader):
    """One answer of a reply."""

    index: int = 0
    finish_reason: str | None = Field(default=None, alias="finish_reason")
    message: dict[str, Any] = Field(default_factory=dict)


class ChatReply(WireReader):
    """A whole reply."""

    choices: list[Choice] = Field(default_factory=list)
    usage: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The first choice's text, or an empty string (a tool call has none)."""
        content = self.choices[0].message.get("content") if self.choices else None
        return content if isinstance(content, str) else ""

    @property
    def finish_reason(self) -> str | None:
        """``stop``, ``length``, ``tool_calls``, or whatever else the server says."""
        return self.choices[0].finish_reason if self.choices else None

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The first choice's tool calls; ``arguments`` is a JSON string."""
        calls = self.choices[0].message.get("tool_calls") if self.choices else None
        return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of a streamed reply. ``usage`` holds OpenAI's counts where a server sends them."""

    text: str = ""
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None
    tool_calls: list[dict[str, Any]] | None = None


def parse_reply(data: bytes) -> ChatReply:
    """Read a non-streamed reply.

    Raises:
        ValueError: not JSON, or not an object of that shape.
    """
    try:
        return ChatReply.model_validate(read_json(data))
    except ValidationError as error:
        raise ValueError(f"not a chat reply: {error.error_count()} errors") from error


def parse_delta(data: str) -> ChatDelta:
    """The piece in one frame's data; the first of these that fits.

    Not JSON: the raw text. A JSON string: itself. Then ``choices[0].delta.content``, a top-level
    ``content``, a top-level ``text``; else nothing.
    """
    try:
        raw = read_json(data)
    except ValueError:
        return ChatDelta(data)
    if isinstance(raw, str):
        return ChatDelta(raw)
    if not isinstance(raw, dict):
        return ChatDelta()
    choices = raw.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    choice = choice if isinstance(choice, dict) else {}
    delta = choice.get("delta")
    delta = delta if isinstance(delta, dict) else {}
    finish, usage, calls = choice.get("finish_reason"), raw.get("usage"), delta.get("tool_calls")
    candidates = (delta.get("content"), raw.get("content"), raw.get("text"))
    return ChatDelta(
        text=next((value for value in candidates if isinstance(value, str)), ""),
        finish_reason=finish if isinstance(finish, str) else None,
        usage=usage if isinstance(usage, dict) else None,
        tool_calls=calls if isinstance(calls, list) else None,
    )
