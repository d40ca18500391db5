"""One reply, token by token: forward pass, constraint, choice, text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from arkor_tui.backend.ipc import ChatSpec

from .constrain import Matcher, grammar_of
from .encode import UnusableRowError, render
from .errors import RequestError
from .sampling import Sampler
from .targets import Target
from .textstream import TextStream


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished reply. ``finish_reason`` is ``stop``, ``length`` or ``aborted``."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


def prompt_of(target: Target, chat: ChatSpec) -> list[int]:
    """The conversation as tokens, with the answer opened.

    Raises:
        RequestError: the chat template refuses it, or it fills the model's context.
    """
    tools = chat.tools if chat.tool_choice is not None else None
    messages = [_for_template(message) for message in chat.messages]
    try:
        text = render(target.tokenizer, messages, prompt=True, tools=tools)
    except UnusableRowError as error:
        raise RequestError(f"The messages cannot be used: {error}.") from error
    ids = list(target.tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise RequestError("The messages are empty.")
    if target.positions is not None and len(ids) >= target.positions:
        raise RequestError(
            f"The messages have {len(ids):,} tokens, but the model's context is "
            f"{target.positions:,} tokens including the answer.",
            code="context_length_exceeded",
            hint="Shorten them or leave earlier ones out.",
        )
    return ids


def _for_template(message: dict[str, Any]) -> dict[str, Any]:
    """``message`` with the arguments of its tool calls as objects, which templates expect."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [_with_object(call) for call in calls]}


def _with_object(call: Any) -> Any:
    try:
        function = call["function"]
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except (KeyError, TypeError, ValueError):
        return call


def generate(
    target: Target,
    chat: ChatSpec,
    *,
    on_text: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Reply:
    """Answer ``chat``; ``on_text`` gets the text in pieces that together are the reply's text.

    ``stopped`` is asked before each token. The reply ends with ``length`` at ``max_tokens`` or
    where the model's context is full.

    Raises:
        RequestError: the request cannot be served.
    """
    grammar = grammar_of(chat)
    matcher = target.vocabulary.matcher(grammar) if grammar is not None else None
    ids = prompt_of(target, chat)
    limit = chat.max_tokens
    if target.positions is not None:
        limit = min(limit, target.positions - len(ids))
    sampler = Sampler(temperature=chat.temperature, top_p=chat.top_p, seed=chat.seed)
    stream = TextStream(target.tokenizer, chat.stop)
    pieces: list[str] = []

    def give(text: str) -> None:
        if text:
            pieces.append(text)
            on_text(text)

    count, reason = 0, "length"
    forward = _Forward(target, ids)
    with torch.inference_mode():
        while count < limit:
            if stopped():
                reason = "aborted"
                break
            token = sampler.choose(forward.logits(), matcher.allowed() if matcher else None)
            if token in target.ends:
                reason = "stop"
                break
            count += 1
            forward.add(token)
            give(stream.push(token))
            if stream.stopped or _completes(matcher, token):
                reason = "stop"
                break
    give(stream.finish())
    if stream.stopped:
        reason = "stop"
    return Reply("".join(pieces), reason, len(ids), count)


def _completes(matcher: Matcher | None, token: int) -> bool:
    if matcher is None:
        return False
    matcher.accept(token)
    return matcher.complete


class _Forward:
    """The model's next logits, with its cache, or over the whole sequence if it has none."""

    def __init__(self, target: Target, prompt: list[int]) -> None:
        self._target = target
        self._device = target.model.device
        self._ids = list(prompt)
        self._new = list(prompt)
        self._cache: Any = None
        self._options: dict[str, Any] = {"logits_to_keep": 1} if target.keeps_logits else {}

    def add(self, token: int) -> None:
        """Append a token to the sequence."""
        self._ids.append(token)
        self._new.append(token)

    def logits(self) -> torch.Tensor:
        """Logits after the last token: float32, vocabulary, on the CPU, free to be changed."""
        output = self._target.model(
            input_ids=torch.tensor([self._new], device=self._device),
            attention_mask=torch.ones(1, len(self._ids), dtype=torch.long, device=self._device),
            past_key_values=self._cache,
            use_cache=True,
            **self._options,
        )
        self._cache = getattr(output, "past_key_values", None)
        self._new = [] if self._cache is not None else list(self._ids)
        known = self._target.known_tokens
        return output.logits[0, -1, :known].to(device="cpu", dtype=torch.float32, copy=True)
