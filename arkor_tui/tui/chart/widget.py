"""The chart as it is used: a cursor, zooming, jumps and looks, by keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from arkor_tui.archive.series import Series

from .canvas import ChartCanvas
from .frame import x_extent
from .scale import Range
from .view import containing, panned, zoomed

SMOOTHING = (0.0, 0.6, 0.9, 0.99)
FAST = 10
"""Cells that the cursor jumps with Ctrl."""


class LossChart(ChartCanvas, can_focus=True):
    """A chart with a cursor that reads values, moved by keys and by the mouse."""

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

    def action_x_axis(self) -> None:
        """Steps, epochs or time."""
        axes = self.axes()
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
