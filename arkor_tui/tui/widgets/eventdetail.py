"""One event, whole."""

from __future__ import annotations

import json
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.records import LogRow
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.host import host_of
from arkor_tui.tui.text import when
from arkor_tui.tui.view import Dialog

LONGEST = 40_000
"""Characters that are shown; the archive has all of it."""


class EventDetail(Dialog[None]):
    """The event's JSON, laid out."""

    DEFAULT_CSS = """
    EventDetail { align: center middle; background: $background 60%; }
    EventDetail > VerticalScroll {
        width: 90%; max-width: 110; height: auto; max-height: 85%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "back", id="dialog.back"),
        Binding("y", "copy", "copy", id="live.copy"),
    ]

    def __init__(self, row: LogRow) -> None:
        super().__init__()
        self._row = row
        fields = row.fields if len(row.data) <= LONGEST else {}
        text = json.dumps(fields, indent=2, ensure_ascii=False) if fields else row.data
        self._text = plain(text, limit=LONGEST)

    def compose(self) -> ComposeResult:
        """Head and text."""
        head = f"event {self._row.seq} · {when(self._row.at)} · id {self._row.id or 'none'}"
        with VerticalScroll():
            yield Static(Content.styled(plain(head, limit=200, newlines=False), "bold"))
            yield Static(Content(self._text), markup=False)

    def action_copy(self) -> None:
        """Copy the text."""
        host_of(self).copy(self._text, "the event")
