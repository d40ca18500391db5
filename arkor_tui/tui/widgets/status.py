"""The status line: backend, stream, and what is running, on every screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from arkor_tui.tui.host import StatusInfo

_NAME, _SHORT = 26, 8
"""Cells of a run's name at most, and where there is little room."""


class StatusLine(Widget):
    """One row; redrawn only when it says something else."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "status--good", "status--warn", "status--bad", "status--view",
    }  # fmt: skip
    DEFAULT_CSS = """
    StatusLine { height: 1; background: $panel; color: $muted; }
    StatusLine .status--good { color: $success; }
    StatusLine .status--warn { color: $warning; }
    StatusLine .status--bad { color: $error; }
    StatusLine .status--view { background: $primary; color: $background; text-style: bold; }
    """

    def __init__(self, views: Sequence[tuple[str, str, str]], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._titles = views
        self.info = StatusInfo()

    def show(self, info: StatusInfo) -> None:
        """Say this from now on."""
        if info != self.info:
            self.info = info
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Left where one is, in the middle the stream, right what runs."""
        del y
        width, base, info = self.size.width, self.rich_style, self.info
        left = " · ".join(part for part in (info.backend, info.scope, info.identity) if part)
        views = self._views(width, base)
        taken = sum(len(segment.text) for segment in views)
        where = info.running + (f"  +{info.more} more" if info.more else "")
        room = width - taken - len(where) - len(info.stream) - 6
        name = Content(info.name).truncate(max(min(room, _NAME), _SHORT), ellipsis=True)
        right = f"{name.plain} {where}" if info.name else where
        room -= name.cell_length + 1
        for shorter in (" · ".join(p for p in (info.backend, info.scope) if p), info.backend, ""):
            if len(left) <= room:
                break
            left = shorter
        style = base + self._mood(info.mood) if info.mood else base
        head = f" {left}" + ("   " if left and info.stream else "")
        gap = max(width - taken - len(head) - len(info.stream) - cell_len(right) - 1, 1)
        segments = [
            *views,
            Segment(head, base),
            Segment(info.stream, style),
            Segment(" " * gap, base),
            Segment(right, base + Style(bold=True)),
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _views(self, width: int, base: Style) -> list[Segment]:
        chosen = base + self.get_component_rich_style("status--view", partial=True)
        segments = []
        for name, key, title in self._titles:
            here = name == self.info.view
            text = f" {key} {title} " if here or width >= 100 else f" {key} "
            segments.append(Segment(text, chosen if here else base))
        return segments

    def _mood(self, mood: str) -> Style:
        return self.get_component_rich_style(f"status--{mood}", partial=True)
