"""Deprecation notices that a server attaches to any answer (docs/protocol.md, section 2)."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from arkor_tui.text.sanitize import plain

log = logging.getLogger(__name__)

_WARNING = re.compile(r'^\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"')
_GENERIC = "The server says that this client version is deprecated."


@dataclass(frozen=True, slots=True)
class DeprecationNotice:
    """What a server said. ``sunset`` is its header verbatim, an HTTP date by convention."""

    message: str
    sunset: str | None = None


NoticeHandler = Callable[[DeprecationNotice], Awaitable[None] | None]


def read_notice(headers: httpx.Headers) -> DeprecationNotice | None:
    """The notice in these headers: only ``Deprecation: true``, exactly, counts."""
    if headers.get("deprecation") != "true":
        return None
    raw = headers.get("warning", "")
    match = _WARNING.match(raw)
    text = re.sub(r"\\(.)", r"\1", match.group(1)) if match else raw
    sunset = headers.get("sunset")
    return DeprecationNotice(
        message=plain(text.strip(), limit=1_000, newlines=False) or _GENERIC,
        sunset=plain(sunset, limit=200, newlines=False) if sunset else None,
    )


async def hand_over(notice: DeprecationNotice, handler: NoticeHandler) -> None:
    """Give the notice to ``handler``, which must never make a request fail."""
    try:
        outcome = handler(notice)
        if outcome is not None:
            await outcome
    except Exception as error:
        log.warning("deprecation handler failed: %s", type(error).__name__)
