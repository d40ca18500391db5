"""What a server quotes of what it was sent: its secrets are hidden before anyone sees the text.

A proxy may repeat a request's headers, a validation error its body, a failed job the address that
its dataset could not be fetched from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

MASK = "…"
SHORTEST_SECRET = 4
"""Characters: hiding shorter words would blot out half of a message."""

_END = r"""\s"'<>\\"""
_IN_JSON = rf"(?:\\u[0-9a-fA-F]{{4}}|[^{_END}])*"
_LOGIN = re.compile(rf"(\bhttps?://)[^/?#{_END}]*@", re.IGNORECASE)
_SIGNED = re.compile(rf"(\bhttps?://[^?#{_END}]*[?#])(?!\s){_IN_JSON}(?<![.,:;)])", re.IGNORECASE)


def hide_in_addresses(text: str) -> str:
    """``text``, in which web addresses keep neither login nor query; it may be part of JSON."""
    if "://" not in text:
        return text
    return _SIGNED.sub(rf"\1{MASK}", _LOGIN.sub(rf"\1{MASK}@", text))


def without_words(text: str, words: Iterable[str]) -> str:
    """``text``, in which each of ``words`` is masked, the longest first."""
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, MASK)
    return text


class Secrets:
    """What one client has sent that must not come back on a screen."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def add(self, *words: str | None) -> None:
        """Hide ``words`` from now on, also as JSON writes them; very short ones stay."""
        for word in words:
            if word and len(word) >= SHORTEST_SECRET:
                written = json.dumps(word), json.dumps(word, ensure_ascii=False)
                self._words |= {word, *(form[1:-1] for form in written)}

    def hide(self, text: str) -> str:
        """``text`` without these words, nor the secrets of any other address in it."""
        return without_words(hide_in_addresses(text), self._words)


def secrets_of(url: str) -> Iterator[str]:
    """What is secret in an address: login, values of the query and fragment, each in both forms."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    login, _, _ = parts.netloc.rpartition("@")
    values = [pair.partition("=")[2] or pair for pair in parts.query.split("&")]
    for word in (*login.split(":", 1), *values, parts.fragment):
        yield word
        yield unquote(word)
