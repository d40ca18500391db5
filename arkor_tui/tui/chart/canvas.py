"""A chart on screen: drawn no more often than it must be, and only what changed of it sent."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from arkor_tui.archive.series import Series

from .frame import Axis, ChartFrame, ChartSpec, LineSpec, Mark, Run, Symbols, draw, x_extent
from .legend import legend
from .scale import Range
from .view import within

AXES: tuple[Axis, ...] = ("step", "epoch", "time")


class ChartCanvas(Widget):
    """Lines over steps; the first row is the legend.

    ``max_fps`` caps how often new data is drawn, in frames a second; any other change is drawn at
    once. Only cells that changed are sent to the terminal.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"chart--{role}"
        for role in (
            "axis", "legend", "value", "cursor", "mark", "gap", "train", "train-raw", "eval",
            "eval-raw", "run1", "run2", "run3", "run4", "run1-raw", "run2-raw", "run3-raw",
            "run4-raw",
        )
    }  # fmt: skip
    DEFAULT_CSS = """
    ChartCanvas { height: 1fr; min-height: 6; }
    ChartCanvas .chart--axis { color: $muted; }
    ChartCanvas .chart--legend { color: $foreground; }
    ChartCanvas .chart--value { color: $foreground; text-style: bold; }
    ChartCanvas .chart--cursor { color: $chart-cursor; }
    ChartCanvas .chart--mark { color: $chart-mark; }
    ChartCanvas .chart--gap { color: $error; }
    ChartCanvas .chart--train { color: $chart-train; }
    ChartCanvas .chart--train-raw { color: $chart-train; text-style: dim; }
    ChartCanvas .chart--eval { color: $chart-eval; }
    ChartCanvas .chart--eval-raw { color: $chart-eval; text-style: dim; }
    ChartCanvas .chart--run1 { color: $chart-run1; }
    ChartCanvas .chart--run2 { color: $chart-run2; }
    ChartCanvas .chart--run3 { color: $chart-run3; }
    ChartCanvas .chart--run4 { color: $chart-run4; }
    ChartCanvas .chart--run1-raw { color: $chart-run1; text-style: dim; }
    ChartCanvas .chart--run2-raw { color: $chart-run2; text-style: dim; }
    ChartCanvas .chart--run3-raw { color: $chart-run3; text-style: dim; }
    ChartCanvas .chart--run4-raw { color: $chart-run4; text-style: dim; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: tuple[LineSpec, ...] = ()
        self.marks: tuple[Mark, ...] = ()
        self.x_maps: Mapping[str, Series] = {}
        self.extras: Mapping[str, Series] = {}
        self.max_fps = 4.0
        self.symbols: Symbols = "braille"
        self.cursor: float | None = None
        self.x_range: Range | None = None
        self.log_y = False
        self.smoothing = 0.0
        self.x_axis: Axis = "step"
        self.following = False
        self.empty = "no data yet"
        """What is said while there is no point."""
        self._grows = False
        self._frame = ChartFrame([], None)
        self._rows: list[list[Run]] = []
        self._drawn_for: object = None
        self._drawn_at = -math.inf
        self._later: Timer | None = None
        self._styles: dict[str, Style] = {}

    # what is shown

    def show(
        self,
        lines: Sequence[LineSpec],
        marks: Sequence[Mark] = (),
        x_maps: Mapping[str, Series] | None = None,
        extras: Mapping[str, Series] | None = None,
    ) -> None:
        """Show other lines; zoom and cursor stay. ``x_maps`` translates steps to "epoch" and
        "time" (seconds), ``extras`` are read at the cursor without being drawn."""
        self.lines, self.marks = tuple(lines), tuple(marks)
        self.x_maps, self.extras = x_maps or {}, extras or {}
        if self.x_axis not in self.axes():
            self.x_axis = "step"
        self._redraw()

    def reset(self) -> None:
        """Forget zoom and cursor, for another run."""
        self.cursor = self.x_range = None
        self.following = self._grows = False
        self._redraw()

    def refresh_data(self) -> None:
        """The series have new points: draw now, or as soon as ``max_fps`` allows."""
        self._grows = True
        wait = self._drawn_at + 1 / self.max_fps - time.monotonic()
        if wait <= 0:
            self._redraw()
        elif self._later is None:
            self._later = self.set_timer(wait, self._draw_late)

    def _draw_late(self) -> None:
        self._later = None
        self._redraw()

    def on_mount(self) -> None:
        """Nothing is drawn under another screen: catch up when it has gone."""
        self.app.screen_change_signal.subscribe(self, lambda _: self._redraw(), immediate=True)

    def on_show(self) -> None:
        """Whatever came while nobody could see it."""
        self._redraw()

    def on_resize(self) -> None:
        """Another size is another picture."""
        self._redraw()

    def notify_style_update(self) -> None:
        """Another theme has other colours."""
        super().notify_style_update()
        self._styles = {}

    def axes(self) -> list[Axis]:
        """What the x axis can show."""
        return [axis for axis in AXES if axis == "step" or axis in self.x_maps]

    # drawing

    def _redraw(self) -> None:
        """Draw, if anybody sees it and anything is different, and send what changed."""
        width, height = self.size
        if not self.is_attached or not self._seen() or width < 1 or height < 1:
            return
        if self.following and self.x_range is not None:
            self._follow(self.x_range)
        state = self._state()
        if state == self._drawn_for:
            return
        self._drawn_for, self._drawn_at = state, time.monotonic()
        before = self._rows
        self._frame, self._rows = self._picture(width, height)
        self._send(before, width)

    def _seen(self) -> bool:
        top = self.app.screen
        # Textual calls the screen under the top one current even where the top one is opaque
        translucent = self.screen.is_current and top.styles.background.a < 1
        return self.display and (self.screen is top or translucent)

    def _state(self) -> object:
        series = [line.series for line in self.lines]
        series += [*self.x_maps.values(), *self.extras.values()]
        return (
            self.size, self.lines, tuple(one.version for one in series), self.marks, self.x_range,
            self.log_y, self.smoothing, self.x_axis, self.cursor, self.symbols, self.following,
            self.empty,
        )  # fmt: skip

    def _picture(self, width: int, height: int) -> tuple[ChartFrame, list[list[Run]]]:
        lines = tuple(
            replace(line, smoothing=self.smoothing) if line.style == "solid" else line
            for line in self.lines
        )
        spec = ChartSpec(
            lines, width, height - 1, self.x_range, self.log_y, self.x_axis, self.x_maps,
            self.cursor, self.marks, self.symbols, room=self._grows, empty=self.empty,
        )  # fmt: skip
        frame = draw(spec)
        return frame, [legend(spec, frame, self.extras, following=self.following), *frame.rows]

    def _send(self, before: list[list[Run]], width: int) -> None:
        """Refresh, of every row, from the first to the last cell that is different."""
        if len(before) != len(self._rows):
            self.refresh()
            return
        regions = []
        for y, (old, new) in enumerate(zip(before, self._rows, strict=True)):
            if old != new:
                changed = _changed(old, new, width)
                if changed is not None:
                    first, last = changed
                    regions.append(Region(first, y, last - first + 1, 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """One row; the first is the legend."""
        base = self.rich_style
        runs = self._rows[y] if y < len(self._rows) else []
        segments = [Segment(text, base + self._style(role)) for text, role in runs]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, role: str) -> Style:
        style = self._styles.get(role)
        if style is None:
            name = f"chart--{role}"
            if name not in self.COMPONENT_CLASSES:
                name = "chart--axis"
            style = self._styles[role] = self.get_component_rich_style(name, partial=True)
        return style

    def _follow(self, view: Range) -> None:
        whole = x_extent(self.lines)
        if whole is not None:
            self.x_range = within(whole[1], view[1] - view[0], whole)


def _changed(old: list[Run], new: list[Run], width: int) -> tuple[int, int] | None:
    """First and last cell that differ; None where none does within ``width``."""
    before, after = _flat(old, width), _flat(new, width)
    different = [x for x in range(width) if before[x] != after[x]]
    return (different[0], different[-1]) if different else None


def _flat(row: list[Run], width: int) -> list[tuple[str, str]]:
    cells = [(character, role) for text, role in row for character in text][:width]
    return cells + [(" ", "axis")] * (width - len(cells))
