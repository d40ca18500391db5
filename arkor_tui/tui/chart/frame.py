"""One picture of a chart: lines in, rows of styled text out. Knows nothing of Textual.

plotext 5 is used rather than 6: it is pure Python, so that it installs wherever Python does (6 has
compiled wheels for three platforms), its import takes a third of the time, and drawn as spans it is
no slower. It keeps one global figure; :func:`draw` clears it, draws and reads it in one go on the
event loop, so that two charts cannot disturb each other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from arkor_tui.history.series import Series

from .axes import Tick, bounds_for, log_ticks, nice_ticks, x_label

LineStyle = Literal["solid", "dashed"]
Symbols = Literal["braille", "block", "ascii"]
Axis = Literal["step", "epoch", "time"]
Run = tuple[str, str]
"""A piece of a row, and the role that colours it ("axis" for the frame)."""

_MARKERS: Mapping[Symbols, str] = {"braille": "braille", "block": "hd", "ascii": "*"}
_DOTS: Mapping[Symbols, int] = {"braille": 2, "block": 2, "ascii": 1}
_ASCII = str.maketrans("┌┐└┘─│┤┬├┴┼▲●", "++++-|+++++^o")
_FIRST_COLOUR = 16
_SGR = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass(frozen=True, slots=True)
class LineSpec:
    """A line: ``role`` names its colour, ``smoothing`` is the weight of its moving average or 0."""

    name: str
    series: Series
    style: LineStyle = "solid"
    role: str = "train"
    smoothing: float = 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the x axis, such as a checkpoint."""

    step: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """Everything that a picture depends on. ``x_range`` is in steps; None shows everything.

    ``width`` and ``height`` are cells. ``x_maps`` translates steps to epochs or to seconds.
    """

    lines: tuple[LineSpec, ...]
    width: int
    height: int
    x_range: tuple[float, float] | None = None
    log_y: bool = False
    x_axis: Axis = "step"
    x_maps: Mapping[str, Series] = field(default_factory=dict)
    cursor: float | None = None
    marks: tuple[Mark, ...] = ()
    symbols: Symbols = "braille"


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """The picture. ``note`` says what could not be drawn, for instance zeros on a log scale."""

    rows: list[list[Run]]
    x_range: tuple[float, float] | None
    note: str = ""


def x_extent(lines: Sequence[LineSpec]) -> tuple[float, float] | None:
    """First and last step of all lines, gaps included."""
    firsts, lasts = [], []
    for line in lines:
        for places in (line.series.steps, line.series.gaps):
            if places:
                firsts.append(places[0])
                lasts.append(places[-1])
    return (min(firsts), max(lasts)) if firsts else None


def draw(spec: ChartSpec) -> ChartFrame:
    """Draw one picture, exactly ``width`` by ``height`` cells."""
    x_range = spec.x_range or x_extent(spec.lines)
    if x_range is None or spec.width < 12 or spec.height < 4:
        text = "no data yet" if x_range is None else "too small for a chart"
        return ChartFrame(_blank(spec, text), None)
    lo, hi = x_range
    if hi <= lo:
        lo, hi = lo - 0.5, hi + 0.5
    y_bounds, skipped = bounds_for([line.series for line in spec.lines], lo, hi, spec.log_y)
    note = f"{skipped} not above zero: not on a log scale" if skipped else ""
    if y_bounds is None:
        text = note or ("only gaps here" if any(li.series.gaps for li in spec.lines) else "no data")
        return ChartFrame(_blank(spec, text), (lo, hi), note)
    return ChartFrame(_draw(spec, lo, hi, y_bounds), (lo, hi), note)


def _draw(spec: ChartSpec, lo: float, hi: float, y_bounds: tuple[float, float]) -> list[list[Run]]:
    import plotext as plt

    y_ticks = (log_ticks if spec.log_y else nice_ticks)(*y_bounds, max(spec.height // 4, 2))
    gutter = max(len(tick.label) for tick in y_ticks) + 1
    x_ticks = _x_ticks(spec, lo, hi, max((spec.width - gutter) // 13, 2))
    plt.clear_figure()
    plt.theme("clear")
    plt.limit_size(False, False)
    plt.plot_size(spec.width, spec.height)
    plt.xlim(lo, hi)
    plt.ylim(*y_bounds)
    plt.xaxes(True, False)
    plt.yaxes(True, False)
    plt.xticks([tick.at for tick in x_ticks], [tick.label for tick in x_ticks])
    plt.yticks([tick.at for tick in y_ticks], [tick.label.rjust(gutter - 1) for tick in y_ticks])
    canvas = max(spec.width - gutter - 1, 2)
    painter = _Painter(spec, lo, hi, y_bounds, canvas)
    if spec.cursor is not None and lo <= spec.cursor <= hi:
        plt.plot(
            [spec.cursor, spec.cursor],
            list(y_bounds),
            marker="|" if spec.symbols == "ascii" else "│",
            color=painter.colour("cursor"),
        )
    for line in spec.lines:
        painter.line(line)
    inside = [mark.step for mark in spec.marks if lo <= mark.step <= hi]
    if inside:
        bottom = [y_bounds[0]] * len(inside)
        plt.scatter(inside, bottom, marker="▲", color=painter.colour("mark"))
    text = plt.build()
    plt.clear_figure()
    if spec.symbols == "ascii":
        text = text.translate(_ASCII)
    return _rows(text, painter.roles, spec)


class _Painter:
    """Draws lines on the global figure, each role in a colour number of its own."""

    def __init__(
        self, spec: ChartSpec, lo: float, hi: float, y_bounds: tuple[float, float], canvas: int
    ) -> None:
        self.spec, self.lo, self.hi = spec, lo, hi
        self.low, self.high = y_bounds
        self.canvas = canvas
        self.roles: dict[int, str] = {}
        self._marker = _MARKERS[spec.symbols]

    def colour(self, role: str) -> int:
        number = _FIRST_COLOUR + len(self.roles)
        self.roles[number] = role
        return number

    def line(self, line: LineSpec) -> None:
        if line.style == "dashed":
            self._dashed(line)
            return
        if line.smoothing:
            self._solid(line.series, self.colour(f"{line.role}-raw"))
            self._solid(line.series.smoothed(line.smoothing), self.colour(line.role))
        else:
            self._solid(line.series, self.colour(line.role))

    def _solid(self, series: Series, colour: int) -> None:
        for xs, ys in self._strokes(series):
            self._stroke(xs, ys, colour)

    def _stroke(self, xs: list[float], ys: list[float], colour: int) -> None:
        import plotext as plt

        draw = plt.plot if len(xs) > 1 else plt.scatter
        draw(xs, ys, marker=self._marker, color=colour)

    def _strokes(self, series: Series) -> list[tuple[list[float], list[float]]]:
        """Polylines between gaps; a column's points become a span from its lowest to its highest,
        begun at the end that is nearer to where the line comes from."""
        dots = self.canvas * _DOTS[self.spec.symbols]
        many = series.count(self.lo, self.hi) > dots
        columns = series.columns(self.lo, self.hi, self.canvas if many else dots)
        strokes: list[tuple[list[float], list[float]]] = []
        xs: list[float] = []
        ys: list[float] = []
        before: float | None = None
        for column in columns:
            first_step = series.steps[column.start]
            if before is not None and series.gap_between(before, first_step):
                strokes.append((xs, ys))
                xs, ys = [], []
            single = column.points == 1
            x = first_step if single else column.x
            low, high = self._y(column.low), self._y(column.high)
            if low is not None and high is not None:
                if single or high - low < (self.high - self.low) / 500:
                    xs.append(x)
                    ys.append(high)
                else:
                    rising = not ys or abs(ys[-1] - low) <= abs(ys[-1] - high)
                    xs += [x, x]
                    ys += [low, high] if rising else [high, low]
            before = series.steps[column.start + column.points - 1]
        strokes.append((xs, ys))
        return [stroke for stroke in strokes if stroke[0]]

    def _dashed(self, line: LineSpec) -> None:
        """Dots at the points, and a dotted line between them."""
        import plotext as plt

        colour = self.colour(line.role)
        gap = (self.hi - self.lo) / self.canvas * 1.5
        few = line.series.count(self.lo, self.hi) * 3 <= self.canvas
        for xs, ys in self._strokes(line.series):
            dots_x: list[float] = []
            dots_y: list[float] = []
            for x0, y0, x1, y1 in zip(xs, ys, xs[1:], ys[1:], strict=False):
                count = int((x1 - x0) / gap)
                dots_x += [x0 + (x1 - x0) * n / (count + 1) for n in range(count + 1)]
                dots_y += [y0 + (y1 - y0) * n / (count + 1) for n in range(count + 1)]
            plt.scatter([*dots_x, xs[-1]], [*dots_y, ys[-1]], marker=self._marker, color=colour)
            if few:
                plt.scatter(xs, ys, marker="●", color=colour)

    def _y(self, value: float) -> float | None:
        if not self.spec.log_y:
            return value
        return math.log10(value) if value > 0 else None


def _x_ticks(spec: ChartSpec, lo: float, hi: float, count: int) -> list[Tick]:
    ticks = nice_ticks(lo, hi, count, whole=True)
    series = spec.x_maps.get(spec.x_axis)
    if spec.x_axis == "step" or series is None:
        return ticks
    start = series.values[0] if series.values else 0.0
    return [Tick(t.at, x_label(spec.x_axis, series.value_at(t.at), start)) for t in ticks]


def _rows(text: str, roles: Mapping[int, str], spec: ChartSpec) -> list[list[Run]]:
    rows = []
    for line in text.splitlines()[: spec.height]:
        row: list[Run] = []
        role, place = "axis", 0
        for code in _SGR.finditer(line):
            if code.start() > place:
                row.append((line[place : code.start()], role))
            place = code.end()
            role = _role(code[1], role, roles)
        if place < len(line):
            row.append((line[place:], role))
        rows.append(row)
    rows += [[] for _ in range(spec.height - len(rows))]
    return rows


def _role(code: str, before: str, roles: Mapping[int, str]) -> str:
    if code in ("", "0"):
        return "axis"
    parts = code.split(";")
    if parts[:2] == ["38", "5"] and len(parts) > 2:
        return roles.get(int(parts[2]), "axis")
    return before


def _blank(spec: ChartSpec, text: str) -> list[list[Run]]:
    rows: list[list[Run]] = [[] for _ in range(spec.height)]
    if rows:
        pad = " " * max((spec.width - len(text)) // 2, 0)
        rows[len(rows) // 2] = [((pad + text)[: spec.width], "axis")]
    return rows
