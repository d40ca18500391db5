"""Secrets taken out of what is shown and kept: of addresses, configurations and foreign words.

A dataset's address may be signed, a proxy may repeat a request's headers, a validation error its
body, a failed job the address that its dataset could not be fetched from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

MASK = "…"
SHORTEST_SECRET = 4
"""Characters: hiding shorter words would blot out half of a message."""

_END = r"""\s"'<>\\"""
_LOGIN = re.compile(rf"(\bhttps?://)[^/?#{_END}]*@", re.IGNORECASE)
# All of what may be an address is taken at once, so that a text full of them is read only once.
_ADDRESS = re.compile(rf"\bhttps?://(?:\\u[0-9a-f]{{4}}|[^{_END}])*", re.IGNORECASE)
_QUERY = re.compile("[?#]")
_PUNCTUATION = ".,:;)"  # of the sentence, where it ends an address


def redact_url(url: str) -> str:
    """Return ``url`` without user name, password, query and fragment.

    Nothing is left of one that cannot be read.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def redact_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return ``config`` whose dataset has no token and a redacted address."""
    source = config.get("datasetSource")
    if not isinstance(source, dict):
        return config
    redacted = {name: value for name, value in source.items() if name != "token"}
    if isinstance(redacted.get("url"), str):
        redacted["url"] = redact_url(redacted["url"])
    return {**config, "datasetSource": redacted}


def redact_text(text: str) -> str:
    """Return ``text`` whose web addresses keep neither login nor query.

    ``text`` may be part of JSON, and is JSON afterwards where it was before.
    """
    if "://" not in text:
        return text
    return _ADDRESS.sub(_without_query, _LOGIN.sub(rf"\1{MASK}@", text))


def _without_query(found: re.Match[str]) -> str:
    address = found[0]
    begin = _QUERY.search(address)
    if begin is None:
        return address
    query = address[begin.end() :]
    if not query and found.string[found.end() : found.end() + 1].isspace():
        return address  # the question mark of a sentence
    return address[: begin.end()] + MASK + query[len(query.rstrip(_PUNCTUATION)) :]


def mask_words(text: str, words: Iterable[str]) -> str:
    """Return ``text`` with each of ``words`` masked, the longest first."""
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
        """Return ``text`` without these words, nor the secrets of any address in it."""
        return mask_words(redact_text(text), self._words)


def secrets_of(url: str) -> Iterator[str]:
    """Give what is secret in an address: login, query values, fragment; each in both forms."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    login, _, _ = parts.netloc.rpartition("@")
    values = [pair.partition("=")[2] or pair for pair in parts.query.split("&")]
    for word in (*login.split(":", 1), *values, parts.fragment):
        yield word
        yield unquote(word)
