"""What leaves this program: JSON lines for scripts, and what a trainer file prints."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from typing import Any

from arkor_tui.api.stream import StreamEvent
from arkor_tui.api.wire import read_json
from arkor_tui.text.jsonsafe import finite
from arkor_tui.text.sanitize import plain


class CallbackOutput(io.TextIOBase):
    """Stands in for ``sys.stdout`` while a trainer file's code runs.

    Model replies are printed there, so every line passes the sanitiser; ``emit`` gets it without
    its line break. ``lines`` counts them.
    """

    def __init__(self, emit: Callable[[str], None]) -> None:
        super().__init__()
        self.lines = 0
        self._emit = emit
        self._open: list[str] = []  # pieces of a line that was not ended yet

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        first, *others = text.split("\n")
        self._open.append(first)
        for line in others:
            self.lines += 1
            self._emit(plain("".join(self._open)))
            self._open = [line]
        return len(text)

    def finish(self) -> None:
        """Emit a last line that was never ended."""
        if any(self._open):
            self.write("\n")


def event_record(item: StreamEvent) -> dict[str, Any]:
    """An event in its own field names, as JSON can hold it.

    A number that is not finite becomes null; one of the event's own fields is named in
    ``nonFinite``.
    """
    record: dict[str, Any] = (
        read_json(item.data)
        if item.data
        else item.event.model_dump(mode="json", by_alias=True, exclude_none=True)
    )
    odd = {
        name: "-inf" if value < 0 else "inf"
        for name, value in record.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    if odd:
        record = {**record, **dict.fromkeys(odd), "nonFinite": {**odd, **_named(record)}}
    record = finite(record)
    if item.id is not None:
        record["eventId"] = item.id
    return record


def _named(record: dict[str, Any]) -> dict[str, Any]:
    named = record.get("nonFinite")
    return named if isinstance(named, dict) else {}


def dump_line(record: dict[str, Any]) -> str:
    """One JSON line; ASCII, so that nothing in it can reach a terminal as a control."""
    return json.dumps(record, allow_nan=False, default=str)
