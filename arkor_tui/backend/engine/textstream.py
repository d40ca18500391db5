"""Tokens to text as they come: no half characters, and no part of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_HALF = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Turns tokens to text incrementally; a character is given out when all its bytes are there."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        # ids up to _read are given out; those from _start on are decoded again as context, since
        # some tokenizers write a space between words only
        self._start = 0
        self._read = 0
        self._known = 0

    def push(self, token: int) -> str:
        """The text that ``token`` completes; empty while a character is incomplete."""
        self._ids.append(token)
        text = self._decode(self._start)
        if len(text) <= self._known or text.endswith(_HALF):
            return ""
        fresh = text[self._known :]
        self._start, self._read = self._read, len(self._ids)
        self._known = len(self._decode(self._start))
        return fresh

    def rest(self) -> str:
        """What is left at the end, without a last character that never became whole."""
        text = self._decode(self._start)[self._known :]
        return text.removesuffix(_HALF)

    def _decode(self, start: int) -> str:
        text: str = self._tokenizer.decode(
            self._ids[start:], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


class TextStream:
    """Text of one reply, cut before the first stop string."""

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False
        """A stop string was found; whatever is pushed later is ignored."""

    def push(self, token: int) -> str:
        """The text that can be shown after ``token``: it cannot become part of a stop string."""
        return self._add(self._detokenizer.push(token))

    def finish(self) -> str:
        """The text that was held back until now."""
        text = self._add(self._detokenizer.rest())
        held, self._held = self._held, ""
        return text + held

    def _add(self, fresh: str) -> str:
        if self.stopped or not fresh:
            return ""
        text = self._held + fresh
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that is a beginning of ``stop``."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
