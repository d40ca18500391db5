"""The event log of a run: all of it, however long, read from disk as it is scrolled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Size

from arkor_tui.archive.records import CANCELLED, LogRow
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.text import clock, number

from .paged import PagedList, Part, marked

_NAMES = {
    "loss": "loss",
    "evalLoss": "eval",
    "learningRate": "lr",
    "epoch": "epoch",
    "samplesPerSecond": "samples/s",
}
_ENVELOPE = {"type", "jobId", "timestamp", "step", "nonFinite"}
LONGEST = 2_000
"""Characters of one event that are shown in its line."""
_LONGEST_READ = 10_000
"""Characters up to which a log event is read for its line, which is drawn again and again."""
_LONGEST_ERROR = 200_000


def line_of(row: LogRow) -> list[Part]:
    """One event as one line."""
    head: list[Part] = [(f" {clock(row.at)} ", "paged--muted")]
    if row.kind == "training.log" and len(row.data) <= _LONGEST_READ:
        return head + _log_parts(row, row.fields)
    if row.kind == "checkpoint.saved":
        return [*head, (f"◆ checkpoint {row.step} saved", "paged--accent")]
    if row.kind == "training.started":
        return [*head, ("▶ training started", "paged--strong")]
    if row.kind == "training.resumed":
        return [*head, (f"↻ resumed from step {row.step}", "paged--strong")]
    if row.kind == "training.completed":
        return [*head, ("✓ training completed", "paged--good")]
    if row.kind == "training.failed":
        whole = len(row.data) <= _LONGEST_ERROR
        told = row.fields.get("error", "") if whole else row.data
        if told == CANCELLED:
            return [*head, ("■ training cancelled", "paged--warn")]
        error = plain(told, limit=LONGEST, newlines=False)
        return [*head, (f"✗ training failed: {error}", "paged--bad")]
    kind = plain(row.kind, limit=80, newlines=False)
    return [*head, (f"{kind} {plain(row.data, limit=LONGEST, newlines=False)}", "paged--muted")]


def _log_parts(row: LogRow, data: dict[str, Any]) -> list[Part]:
    odd = data.get("nonFinite")
    odd = odd if isinstance(odd, dict) else {}
    parts: list[Part] = [(f"step {row.step!s:<6}", "paged--muted")]
    for name, label in _NAMES.items():
        if name in odd:
            parts.append((f"  {label} {plain(odd[name], limit=20, newlines=False)}", "paged--bad"))
        elif (reading := _number(data.get(name))) is not None:
            style = {"loss": "paged--strong", "evalLoss": "paged--accent"}.get(name, "paged--muted")
            digits = 2 if name in ("epoch", "samplesPerSecond") else 4
            parts.append((f"  {label} {number(reading, digits)}", style))
        elif name == "loss" and name in data and data.get("evalLoss") is None:
            parts.append(("  loss —", "paged--warn"))
    for name, value in data.items():
        if name not in _ENVELOPE and name not in _NAMES:
            text = plain(f"{name} {value}", limit=60, newlines=False)
            parts.append((f"  {text}", "paged--muted"))
    return parts


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a server may write a thousand digits
        return math.inf


class EventLog(PagedList[LogRow]):
    """Follows the end until the reader moves away from it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="log.follow"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, empty="no events yet")
        self.following = True
        self.sought = ""
        """Text that is shown as found wherever it stands."""
        self._top = 0

    def parts(self, index: int, item: LogRow, width: int) -> list[Part]:
        """See :func:`line_of`."""
        return marked(line_of(item), self.sought)

    def grow(self, count: int, items: Sequence[LogRow] = (), *, quiet: bool = False) -> None:
        """More events; follows them where that is wanted.

        Following moves on by half a view at a time: between the jumps only the new line is drawn,
        which a slow line notices.
        """
        old = self.count
        super().grow(count, items, quiet=quiet or self.following)
        if not self.following:
            return
        bottom = self._top + self.size.height
        self.set_reactive(PagedList.cursor, max(count - 1, 0))
        if count > bottom or self._top != self.scroll_offset.y:
            self._show_from(max(count - self.size.height // 2, 0))
        else:
            for line in range(max(old - 1, 0), count):
                self.refresh_line(line)

    def _set_count(self, count: int) -> None:
        """The room below the last line stays until the view moves."""
        super()._set_count(count)
        bottom = self.scroll_offset.y + self.size.height
        self.virtual_size = Size(self.size.width, max(count, bottom if count else 0))

    def to_end(self) -> None:
        """Show the newest event."""
        self.cursor = max(self.count - 1, 0)
        # only after the next layout does the widget know how far it can scroll
        self.call_after_refresh(self._show_from, max(self.count - self.size.height, 0))

    def _show_from(self, top: int) -> None:
        self._top = top
        self.virtual_size = Size(self.size.width, max(self.count, top + self.size.height))
        # forced: until the next layout the widget does not know that it can scroll
        self.scroll_to(y=top, animate=False, immediate=True, force=True)
        self.refresh()

    def action_follow(self) -> None:
        """Go to the end and stay there, or stop doing so."""
        self.following = not self.following
        if self.following:
            self.to_end()

    def action_move(self, by: int) -> None:
        """Moving up ends following; reaching the end takes it up again."""
        super().action_move(by)
        self.following = self.count > 0 and self.cursor == self.count - 1
