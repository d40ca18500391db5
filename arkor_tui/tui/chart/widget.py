"""The chart on screen: read and moved by keys, and drawn no more often than it must be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from arkor_tui.history.series import Series

from .frame import Axis, ChartFrame, ChartSpec, LineSpec, Mark, Run, Symbols, draw, x_extent
from .legend import legend
from .scale import Range
from .view import containing, panned, within, zoomed

SMOOTHING = (0.0, 0.6, 0.9, 0.99)
AXES: tuple[Axis, ...] = ("step", "epoch", "time")
FAST = 10
"""Cells that the cursor jumps with Ctrl."""


class LossChart(Widget, can_focus=True):
    """Lines over steps, with a cursor that reads values; the first row is its legend.

    ``max_fps`` caps how often new data is drawn, in frames a second; a key is answered at once.
    Only cells that changed are sent to the terminal.
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
    LossChart { height: 1fr; min-height: 6; }
    LossChart .chart--axis { color: $muted; }
    LossChart .chart--legend { color: $text; }
    LossChart .chart--value { color: $text; text-style: bold; }
    LossChart .chart--cursor { color: $chart-cursor; }
    LossChart .chart--mark { color: $chart-mark; }
    LossChart .chart--gap { color: $error; }
    LossChart .chart--train { color: $chart-train; }
    LossChart .chart--train-raw { color: $chart-train; text-style: dim; }
    LossChart .chart--eval { color: $chart-eval; }
    LossChart .chart--eval-raw { color: $chart-eval; text-style: dim; }
    LossChart .chart--run1 { color: $chart-run1; }
    LossChart .chart--run2 { color: $chart-run2; }
    LossChart .chart--run3 { color: $chart-run3; }
    LossChart .chart--run4 { color: $chart-run4; }
    LossChart .chart--run1-raw { color: $chart-run1; text-style: dim; }
    LossChart .chart--run2-raw { color: $chart-run2; text-style: dim; }
    LossChart .chart--run3-raw { color: $chart-run3; text-style: dim; }
    LossChart .chart--run4-raw { color: $chart-run4; text-style: dim; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "cursor(-1)", "cursor left", id="chart.left", show=False),
        Binding("right,l", "cursor(1)", "cursor right", id="chart.right", show=False),
        Binding("ctrl+left", f"cursor(-{FAST})", "cursor left, fast", id="chart.left-fast",
                show=False),
        Binding("ctrl+right", f"cursor({FAST})", "cursor right, fast", id="chart.right-fast",
                show=False),
        Binding("home", "end(False)", "cursor to the first step", id="chart.first", show=False),
        Binding("end", "end(True)", "cursor to the newest step", id="chart.last", show=False),
        Binding("shift+left,H", "pan(-1)", "pan left", id="chart.pan-left", show=False),
        Binding("shift+right,L", "pan(1)", "pan right", id="chart.pan-right", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "zoom in", key_display="+", id="chart.zoom-in"),
        Binding("minus", "zoom(2.0)", "zoom out", id="chart.zoom-out", show=False),
        Binding("0", "fit", "show everything", id="chart.fit", show=False),
        Binding("f", "follow", "follow the newest step", id="chart.follow", show=False),
        Binding("o", "log_scale", "log scale", id="chart.log"),
        Binding("s", "smooth", "smooth", id="chart.smooth"),
        Binding("x", "x_axis", "x axis", id="chart.x-axis"),
        Binding("right_square_bracket", "mark(True)", "next checkpoint", id="chart.next-mark",
                show=False),
        Binding("left_square_bracket", "mark(False)", "previous checkpoint",
                id="chart.previous-mark", show=False),
        Binding("right_curly_bracket", "spike(True)", "next spike", id="chart.next-spike",
                show=False),
        Binding("left_curly_bracket", "spike(False)", "previous spike", id="chart.previous-spike",
                show=False),
        Binding("right_parenthesis", "gap(True)", "next gap", id="chart.next-gap", show=False),
        Binding("left_parenthesis", "gap(False)", "previous gap", id="chart.previous-gap",
                show=False),
        Binding("escape", "leave", "put the cursor away", id="chart.leave", show=False),
    ]  # fmt: skip

    class CursorMoved(Message):
        """The cursor is at ``step``; None when it was put away."""

        def __init__(self, chart: LossChart, step: float | None) -> None:
            super().__init__()
            self.chart, self.step = chart, step

        @property
        def control(self) -> LossChart:
            """The chart."""
            return self.chart

    class ViewChanged(Message):
        """Another part of the run, another scale or another smoothing is in view."""

        def __init__(self, chart: LossChart) -> None:
            super().__init__()
            self.chart = chart

        @property
        def control(self) -> LossChart:
            """The chart."""
            return self.chart

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
        if self.x_axis not in self._axes():
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
        )  # fmt: skip

    def _picture(self, width: int, height: int) -> tuple[ChartFrame, list[list[Run]]]:
        lines = tuple(
            replace(line, smoothing=self.smoothing) if line.style == "solid" else line
            for line in self.lines
        )
        spec = ChartSpec(
            lines, width, height - 1, self.x_range, self.log_y, self.x_axis, self.x_maps,
            self.cursor, self.marks, self.symbols, room=self._grows,
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

    # moving

    def _view(self) -> Range | None:
        return self.x_range or x_extent(self.lines)

    def _look(self, x_range: Range | None) -> None:
        self.x_range = x_range
        self._changed()

    def _changed(self) -> None:
        self._redraw()
        self.post_message(self.ViewChanged(self))

    def set_cursor(self, step: float | None, *, tell: bool = True) -> None:
        """Put the cursor at a step, moving the view to it; None puts it away."""
        if step == self.cursor:
            return
        self.cursor = step
        whole = x_extent(self.lines)
        if step is not None and self.x_range is not None and whole is not None:
            moved = containing(self.x_range, whole, step)
            if moved != self.x_range:
                self.following = False
                self.x_range = moved
        self._redraw()
        if tell:
            self.post_message(self.CursorMoved(self, step))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is somebody else's where there is no cursor."""
        del parameters
        return action != "leave" or self.cursor is not None

    def _follow(self, view: Range) -> None:
        whole = x_extent(self.lines)
        if whole is not None:
            self.x_range = within(whole[1], view[1] - view[0], whole)

    def _first(self) -> Series | None:
        """The first line that has points."""
        return next((line.series for line in self.lines if len(line.series)), None)

    def action_cursor(self, by: int) -> None:
        """Move by cells, to the nearest point there; at least to the next point."""
        series, view = self._first(), self._view()
        if series is None or view is None:
            return
        if self.cursor is None:
            self.set_cursor(_in_view(series, view, last=by < 0))
            return
        width, x = max(self._frame.canvas[1], 1), self._frame.x
        step = self.cursor
        if x is not None:
            target = series.nearest(x.step_at(x.part(self.cursor) + by / width))
            step = target[0] if target else step
        if (step - self.cursor) * by <= 0:
            beyond = series.neighbour(self.cursor, forward=by > 0)
            step = self.cursor if beyond is None else beyond[0]
        self.set_cursor(step)

    def action_end(self, last: bool) -> None:
        """The cursor to the first or to the newest point."""
        series = self._first()
        if series is not None:
            self.set_cursor(series.last_step if last else series.first_step)

    def action_leave(self) -> None:
        """No cursor."""
        self.set_cursor(None)

    def action_pan(self, by: int) -> None:
        """A quarter of the view to the left or right."""
        whole = x_extent(self.lines)
        if whole is not None and self.x_range is not None:
            self.following = False
            self._look(panned(self.x_range, whole, by / 4))

    def action_zoom(self, factor: float) -> None:
        """Zoom in or out around the cursor, at the newest step when following, or the middle."""
        whole, view = x_extent(self.lines), self._view()
        if whole is None or view is None:
            return
        centre = self.cursor if self.cursor is not None else (view[0] + view[1]) / 2
        self._look(zoomed(view, whole, whole[1] if self.following else centre, factor))

    def action_fit(self) -> None:
        """Everything in view."""
        self.following = False
        self._look(None)

    def action_follow(self) -> None:
        """Keep the newest step in view while zoomed; without zoom it always is."""
        if self.x_range is None:
            self.notify("Everything is in view; zoom in with + first.", timeout=3, markup=False)
            return
        self.following = not self.following
        self._changed()

    # looks

    def action_log_scale(self) -> None:
        """Logarithmic values, or linear ones."""
        self.log_y = not self.log_y
        self._changed()

    def action_smooth(self) -> None:
        """The next smoothing weight."""
        place = SMOOTHING.index(self.smoothing) if self.smoothing in SMOOTHING else 0
        self.smoothing = SMOOTHING[(place + 1) % len(SMOOTHING)]
        self._changed()

    def _axes(self) -> list[Axis]:
        return [axis for axis in AXES if axis == "step" or axis in self.x_maps]

    def action_x_axis(self) -> None:
        """Steps, epochs or time."""
        axes = self._axes()
        self.x_axis = axes[(axes.index(self.x_axis) + 1) % len(axes)]
        self._changed()

    # jumping

    def action_mark(self, forward: bool) -> None:
        """The cursor to the next or previous checkpoint."""
        steps = sorted(mark.step for mark in self.marks)
        at = self._here(forward)
        if forward:
            found = next((step for step in steps if step > at), None)
        else:
            found = next((step for step in reversed(steps) if step < at), None)
        self._jump(found, "checkpoint", forward)

    def action_spike(self, forward: bool) -> None:
        """The cursor to the next or previous spike of any line."""
        self._jump(self._nearest(Series.next_spike, forward), "spike", forward)

    def action_gap(self, forward: bool) -> None:
        """The cursor to the next or previous gap of any line."""
        self._jump(self._nearest(Series.next_gap, forward), "gap", forward)

    def _here(self, forward: bool) -> float:
        if self.cursor is not None:
            return self.cursor
        return -math.inf if forward else math.inf

    def _nearest(self, find: Callable[..., float | None], forward: bool) -> float | None:
        # a null in a line of points now and then, such as eval, is no gap
        lines = [line for line in self.lines if line.style == "solid"] or self.lines
        found = [find(line.series, self._here(forward), forward=forward) for line in lines]
        steps = [step for step in found if step is not None]
        if not steps:
            return None
        return min(steps) if forward else max(steps)

    def _jump(self, step: float | None, what: str, forward: bool) -> None:
        if step is None:
            where = "after" if forward else "before"
            text = f"No {what}." if self.cursor is None else f"No {what} {where} the cursor."
            self.notify(text, timeout=2, markup=False)
        else:
            self.set_cursor(step)

    # mouse

    def on_click(self, event: events.Click) -> None:
        """A click reads the value there."""
        series, x = self._first(), self._frame.x
        first, width = self._frame.canvas
        if series is None or x is None or event.y < 1:
            return
        found = series.nearest(x.step_at(min(max((event.x - first + 0.5) / width, 0.0), 1.0)))
        if found is not None:
            self.set_cursor(found[0])

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel zooms."""
        event.stop()
        self.action_zoom(0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel zooms."""
        event.stop()
        self.action_zoom(1.25)


def _in_view(series: Series, view: Range, *, last: bool) -> float:
    found = series.nearest(view[1] if last else view[0])
    assert found is not None
    return found[0]


def _changed(old: list[Run], new: list[Run], width: int) -> tuple[int, int] | None:
    """First and last cell that differ; None where none does within ``width``."""
    before, after = _flat(old, width), _flat(new, width)
    different = [x for x in range(width) if before[x] != after[x]]
    return (different[0], different[-1]) if different else None


def _flat(row: list[Run], width: int) -> list[tuple[str, str]]:
    cells = [(character, role) for text, role in row for character in text][:width]
    return cells + [(" ", "axis")] * (width - len(cells))
