"""The chart on screen: it is read and moved by keys, and drawn no more often than it must be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from arkor_tui.history.series import Series
from arkor_tui.tui.text import duration, number

from .frame import Axis, ChartFrame, ChartSpec, LineSpec, Mark, Run, Symbols, draw, x_extent

SMOOTHING = (0.0, 0.6, 0.9, 0.99)
AXES: tuple[Axis, ...] = ("step", "epoch", "time")


class LossChart(Widget, can_focus=True):
    """Lines over steps, with a cursor that reads values.

    ``max_fps`` caps how often new data is drawn, in frames a second; a key is answered at once.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"chart--{role}"
        for role in (
            "axis", "train", "train-raw", "eval", "eval-raw", "cursor", "mark", "legend",
            "run1", "run2", "run3", "run4", "run1-raw", "run2-raw", "run3-raw", "run4-raw",
        )
    }  # fmt: skip
    DEFAULT_CSS = """
    LossChart { height: 1fr; min-height: 6; }
    LossChart .chart--axis { color: $text-muted; }
    LossChart .chart--legend { color: $text; }
    LossChart .chart--train { color: $chart-train; }
    LossChart .chart--train-raw { color: $chart-train 40%; }
    LossChart .chart--eval { color: $chart-eval; }
    LossChart .chart--eval-raw { color: $chart-eval 40%; }
    LossChart .chart--cursor { color: $chart-cursor; }
    LossChart .chart--mark { color: $chart-mark; }
    LossChart .chart--run1, LossChart .chart--run1-raw { color: $chart-run1; }
    LossChart .chart--run2, LossChart .chart--run2-raw { color: $chart-run2; }
    LossChart .chart--run3, LossChart .chart--run3-raw { color: $chart-run3; }
    LossChart .chart--run4, LossChart .chart--run4-raw { color: $chart-run4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "cursor(-1)", "cursor left", id="chart.left", show=False),
        Binding("right,l", "cursor(1)", "cursor right", id="chart.right", show=False),
        Binding("shift+left,H", "pan(-1)", "pan left", id="chart.pan-left", show=False),
        Binding("shift+right,L", "pan(1)", "pan right", id="chart.pan-right", show=False),
        Binding("plus,equals_sign", "zoom(0.5)", "zoom in", key_display="+", id="chart.zoom-in"),
        Binding("minus", "zoom(2.0)", "zoom out", id="chart.zoom-out", show=False),
        Binding("0", "fit", "fit", id="chart.fit", show=False),
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
    ]  # fmt: skip

    class CursorMoved(Message):
        """The cursor is at ``step``; None when it was put away."""

        def __init__(self, chart: LossChart, step: float | None) -> None:
            super().__init__()
            self.chart, self.step = chart, step

        @property
        def control(self) -> LossChart:
            return self.chart

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: tuple[LineSpec, ...] = ()
        self.marks: tuple[Mark, ...] = ()
        self.x_maps: Mapping[str, Series] = {}
        self.max_fps = 4.0
        self.symbols: Symbols = "braille"
        self.cursor: float | None = None
        self.x_range: tuple[float, float] | None = None
        self.log_y = False
        self.smoothing = 0.0
        self.x_axis: Axis = "step"
        self._frame: ChartFrame | None = None
        self._drawn_for: object = None
        self._drawn_at = 0.0
        self._later: Timer | None = None

    def show(
        self, lines: Sequence[LineSpec], marks: Sequence[Mark], x_maps: Mapping[str, Series]
    ) -> None:
        """Show other lines; zoom and cursor stay."""
        self.lines, self.marks, self.x_maps = tuple(lines), tuple(marks), x_maps
        if self.x_axis != "step" and self.x_axis not in x_maps:
            self.x_axis = "step"
        self._redraw()

    def reset(self) -> None:
        """Forget zoom and cursor, for another run."""
        self.cursor = self.x_range = None

    def refresh_data(self) -> None:
        """The series have new points: draw now, or as soon as ``max_fps`` allows."""
        wait = self._drawn_at + 1 / self.max_fps - time.monotonic()
        if wait <= 0:
            self._redraw()
        elif self._later is None:
            self._later = self.set_timer(wait, self._draw_late)

    def _draw_late(self) -> None:
        self._later = None
        self._redraw()

    def _redraw(self) -> None:
        self._drawn_at = time.monotonic()
        if self._state() != self._drawn_for:
            self._frame = None
            self.refresh()

    def _state(self) -> object:
        return (
            self.size, self.lines, tuple(line.series.version for line in self.lines), self.marks,
            self.x_range, self.log_y, self.smoothing, self.x_axis, self.cursor, self.symbols,
        )  # fmt: skip

    def on_resize(self, event: events.Resize) -> None:
        """Another size is another picture."""
        del event
        self._frame = None

    # drawing

    def render_line(self, y: int) -> Strip:
        """One row; the first is the legend, the last what the cursor reads."""
        width, height = self.size
        base = self.rich_style
        if y == 0:
            runs = self._legend()
        else:
            rows = self._picture(width, height - 1).rows
            runs = rows[y - 1] if y - 1 < len(rows) else []
        segments = [Segment(text, base + self._role(role)) for text, role in runs]
        return Strip(segments).adjust_cell_length(width, base)

    def _role(self, role: str) -> Style:
        return self.get_component_rich_style(f"chart--{role}", partial=True)

    def _picture(self, width: int, height: int) -> ChartFrame:
        state = self._state()
        if self._frame is None or self._drawn_for != state:
            lines = tuple(
                LineSpec(
                    line.name, line.series, line.style, line.role,
                    self.smoothing if line.style == "solid" else 0.0,
                )
                for line in self.lines
            )  # fmt: skip
            self._drawn_for = state
            self._drawn_at = time.monotonic()
            self._frame = draw(
                ChartSpec(
                    lines, width, height, self.x_range, self.log_y, self.x_axis, self.x_maps,
                    self.cursor, self.marks, self.symbols,
                )
            )  # fmt: skip
        return self._frame

    def _legend(self) -> list[Run]:
        strokes = {"solid": "━━", "dashed": "●┄"}
        if self.symbols == "ascii":
            strokes = {"solid": "**", "dashed": "o."}
        runs: list[Run] = []
        if self.cursor is not None:
            runs.append((f" {self._position(self.cursor)}", "legend"))
        for line in self.lines:
            runs.append((f"  {strokes[line.style]} ", line.role))
            runs.append((f"{line.name} {self._value(line)}", "legend"))
        facts = [f"EMA {self.smoothing:g}"] if self.smoothing else []
        facts += ["log"] if self.log_y else []
        facts += [f"x: {self.x_axis}"] if self.x_axis != "step" else []
        facts += ["zoomed"] if self.x_range is not None else []
        if self._frame is not None and self._frame.note:
            facts.append(self._frame.note)
        if facts:
            runs.append(("  · " + " · ".join(facts), "axis"))
        return runs

    def _value(self, line: LineSpec) -> str:
        if self.cursor is None:
            return number(line.series.last)
        found = line.series.nearest(self.cursor)
        if found is None:
            return "—"
        text = number(found[1])
        if self.smoothing and line.style == "solid":
            smooth = line.series.smoothed(self.smoothing).nearest(self.cursor)
            text += f" (EMA {number(smooth[1] if smooth else None)})"
        return text if found[0] == self.cursor else f"{text} @{found[0]:g}"

    def _position(self, step: float) -> str:
        text = f"step {step:g}"
        for axis, series in self.x_maps.items():
            value = series.value_at(step)
            if value is None:
                continue
            if axis == "epoch":
                text += f" · epoch {value:.2f}"
            elif axis == "time" and series.values:
                text += f" · {duration(value - series.values[0])}"
        return text

    # keys

    def _extent(self) -> tuple[float, float] | None:
        return self.x_range or x_extent(self.lines)

    def set_cursor(self, step: float | None, *, tell: bool = True) -> None:
        """Put the cursor at a step, scrolling to it if it is out of view."""
        if step == self.cursor:
            return
        self.cursor = step
        if step is not None and self.x_range is not None:
            lo, hi = self.x_range
            if not lo <= step <= hi:
                half = (hi - lo) / 2
                self.x_range = (step - half, step + half)
        self._redraw()
        if tell:
            self.post_message(self.CursorMoved(self, step))

    def action_cursor(self, by: int) -> None:
        """To the next or previous point of the first line."""
        if not self.lines or not len(self.lines[0].series):
            return
        series = self.lines[0].series
        if self.cursor is None:
            self.set_cursor(series.last_step if by < 0 else series.first_step)
            return
        extent = self._extent()
        assert extent is not None
        # a cell of the chart, or a point where points are wider than that
        stride = (extent[1] - extent[0]) / max(self.size.width - 8, 1)
        target = self.cursor + by * stride
        found = series.nearest(target)
        if found is not None and (found[0] - self.cursor) * by <= 0:
            found = _neighbour(series, self.cursor, by)
        if found is not None:
            self.set_cursor(found[0])

    def action_pan(self, by: int) -> None:
        """A quarter of the view to the left or right."""
        whole, extent = x_extent(self.lines), self._extent()
        if whole is None or extent is None or self.x_range is None:
            return
        shift = by * (extent[1] - extent[0]) / 4
        shift = min(max(shift, whole[0] - extent[0]), whole[1] - extent[1])
        self.x_range = (extent[0] + shift, extent[1] + shift)
        self._redraw()

    def action_zoom(self, factor: float) -> None:
        """Zoom in or out around the cursor, or around the middle."""
        whole, extent = x_extent(self.lines), self._extent()
        if whole is None or extent is None:
            return
        lo, hi = extent
        centre = self.cursor if self.cursor is not None else (lo + hi) / 2
        span = max((hi - lo) * factor, 2.0)
        if span >= whole[1] - whole[0]:
            self.x_range = None
        else:
            share = (centre - lo) / (hi - lo) if hi > lo else 0.5
            start = min(max(centre - span * share, whole[0]), whole[1] - span)
            self.x_range = (start, start + span)
        self._redraw()

    def action_fit(self) -> None:
        """Everything in view, no cursor."""
        self.x_range = None
        self._redraw()
        self.set_cursor(None)

    def action_log_scale(self) -> None:
        """Logarithmic values, or linear ones."""
        self.log_y = not self.log_y
        self._redraw()

    def action_smooth(self) -> None:
        """The next smoothing weight."""
        place = SMOOTHING.index(self.smoothing) if self.smoothing in SMOOTHING else 0
        self.smoothing = SMOOTHING[(place + 1) % len(SMOOTHING)]
        self._redraw()

    def action_x_axis(self) -> None:
        """Steps, epochs or time."""
        known = [axis for axis in AXES if axis == "step" or axis in self.x_maps]
        self.x_axis = known[(known.index(self.x_axis) + 1) % len(known)]
        self._redraw()

    def action_mark(self, forward: bool) -> None:
        """The cursor to the next or previous checkpoint."""
        steps = sorted(mark.step for mark in self.marks)
        at = self.cursor
        if forward:
            found = next((s for s in steps if at is None or s > at), None)
        else:
            found = next((s for s in reversed(steps) if at is None or s < at), None)
        self._jump(found, "checkpoint", forward)

    def action_spike(self, forward: bool) -> None:
        """The cursor to the next or previous spike of the first line."""
        self._jump(self._beyond(Series.next_spike, forward), "spike", forward)

    def action_gap(self, forward: bool) -> None:
        """The cursor to the next or previous gap of the first line."""
        self._jump(self._beyond(Series.next_gap, forward), "gap", forward)

    def _beyond(self, find: Callable[..., float | None], forward: bool) -> float | None:
        if not self.lines:
            return None
        start = self.cursor
        if start is None:
            start = float("-inf") if forward else float("inf")
        return find(self.lines[0].series, start, forward=forward)

    def _jump(self, step: float | None, what: str, forward: bool) -> None:
        if step is None:
            where = "further right" if forward else "further left"
            self.notify(f"No {what} {where}.", timeout=2, markup=False)
        else:
            self.set_cursor(step)

    def on_click(self, event: events.Click) -> None:
        """A click reads the value there."""
        extent = self._extent()
        if extent is None or not self.lines:
            return
        gutter = 6
        share = (event.x - gutter) / max(self.size.width - gutter, 1)
        found = self.lines[0].series.nearest(extent[0] + share * (extent[1] - extent[0]))
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


def _neighbour(series: Series, step: float, by: int) -> tuple[float, float] | None:
    if by < 0:
        return series.at_or_before(math.nextafter(step, -math.inf))
    place = series.count(-math.inf, step)
    return (series.steps[place], series.values[place]) if place < len(series) else None
