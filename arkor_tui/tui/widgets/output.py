"""What trainer files printed: it may not go to the terminal that the app draws on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arkor_tui.text.sanitize import plain
from arkor_tui.tui.view import Dialog

LONGEST = 100_000
"""Characters of the newest lines that are shown."""


class OutputScreen(Dialog[None]):
    """The lines, newest last."""

    DEFAULT_CSS = """
    OutputScreen { align: center middle; background: $background 60%; }
    OutputScreen > VerticalScroll {
        width: 96%; max-width: 130; height: auto; max-height: 90%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,p", "dismiss", "back", id="dialog.back"),
    ]

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__()
        text = "\n".join(plain(line, limit=2_000) for line in lines)
        self._text = text if len(text) <= LONGEST else f"…{text[-LONGEST:]}"

    def compose(self) -> ComposeResult:
        """One text."""
        with VerticalScroll() as box:
            box.border_title = "Printed by the trainer's callbacks"
            yield Static(
                Content(self._text or "Your callbacks have printed nothing yet."), markup=False
            )

    def on_mount(self) -> None:
        """The newest lines first in view."""
        self.query_one(VerticalScroll).scroll_end(animate=False)
