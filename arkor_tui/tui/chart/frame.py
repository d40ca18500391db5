"""One picture of a chart: lines in, rows of styled text out. Knows nothing of Textual.

plotext draws the axes, the ticks and the lines; the lines reach it as glyphs, one for each cell.
Given the points of a line, plotext (5 and 6) draws each dot of each segment as an object: 100 x 30
cells of noise took 19 ms (5.3.2) and 14 ms (6.1) for one line of 180 spans, glyphs take 4 ms in
all, and spans, dashes and gaps lie exactly where they should.

plotext 5 is used rather than 6: it is pure Python, so it installs wherever Python does (6 has
compiled wheels for a few platforms only), and it is imported in a third of the time (35 ms against
127 ms). Its 6.1 has figures that are isolated from one another (made by ``type(plotext.figure)``;
no documented way), 5 has one global figure: :func:`draw` clears it, draws and reads it under a
lock and never leaves in between, so that two charts cannot disturb each other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arkor_tui.archive.series import Series

from .axes import nice_step
from .kept import glyphs
from .raster import DOTS, Cells, LineStyle, Symbols
from .scale import Axis, Range, XScale, YScale, y_scale

__all__ = [
    "Axis", "ChartFrame", "ChartSpec", "LineSpec", "LineStyle", "Mark", "Reading", "Run", "Symbols",
    "draw", "readings", "x_extent",
]  # fmt: skip

Run = tuple[str, str]
"""A piece of a row, and the role that colours it ("axis" for the frame)."""

MIN_WIDTH = 16
MIN_HEIGHT = 4
_ASCII = str.maketrans("┌┐└┘─│┤┬├┴┼▲×", "++++-|+++++^x")
_GAPS_SHOWN = 2000
_ROOM = 20  # the view grows by at most about a twentieth at a time
_plotext_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class LineSpec:
    """A line: ``role`` names its colour, ``smoothing`` the weight of its moving average.

    A smoothed line is drawn over its raw values, whose role is ``role`` + ``-raw``.
    """

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
    """Everything that a picture depends on.

    ``width`` and ``height`` are cells. ``x_range`` is in steps, whatever the axis shows,
    ``y_range`` in values; None shows everything. ``x_maps`` translates steps to epochs ("epoch")
    or to seconds ("time", any origin). With ``room`` the view ends a little after the last step
    and the values get round bounds, so that a picture that grows need not move with each point.
    ``empty`` is said where there is no point at all.
    """

    lines: tuple[LineSpec, ...]
    width: int
    height: int
    x_range: Range | None = None
    log_y: bool = False
    x_axis: Axis = "step"
    x_maps: Mapping[str, Series] = field(default_factory=dict)
    cursor: float | None = None
    marks: tuple[Mark, ...] = ()
    symbols: Symbols = "braille"
    y_range: Range | None = None
    room: bool = False
    empty: str = "no data yet"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the cursor reads from a line: its nearest point; no value where that is a gap."""

    name: str
    role: str
    step: float
    value: float | None
    smooth: float | None = None


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """The picture. ``x_range`` is in steps; ``note`` says what could not be drawn, for instance
    zeros on a log scale; ``canvas`` is the first column (cell) with data and how many have any,
    ``x`` says which step is where in it."""

    rows: list[list[Run]]
    x_range: Range | None
    note: str = ""
    readout: tuple[Reading, ...] = ()
    canvas: tuple[int, int] = (0, 0)
    x: XScale | None = None


def x_extent(lines: Sequence[LineSpec]) -> Range | None:
    """First and last step of all lines, gaps included."""
    ends = [
        (places[0], places[-1])
        for line in lines
        for places in (line.series.steps, line.series.gaps)
        if places
    ]
    return (min(lo for lo, _ in ends), max(hi for _, hi in ends)) if ends else None


def readings(lines: Sequence[LineSpec], step: float) -> tuple[Reading, ...]:
    """What each line says at ``step``; a line without points says nothing."""
    found = []
    for line in lines:
        series = line.series
        point = series.nearest(step)
        if series.is_gap(step) or point is None:
            if point is not None or series.gaps:
                found.append(Reading(line.name, line.role, step, None))
            continue
        smooth = None
        if line.smoothing:
            at = series.smoothed(line.smoothing).nearest(step)
            smooth = at[1] if at else None
        found.append(Reading(line.name, line.role, point[0], point[1], smooth))
    return tuple(found)


def draw(spec: ChartSpec) -> ChartFrame:
    """Draw one picture, exactly ``width`` by ``height`` cells."""
    x_range = spec.x_range or x_extent(spec.lines)
    if x_range is None or spec.width < MIN_WIDTH or spec.height < MIN_HEIGHT:
        return ChartFrame(_blank(spec, spec.empty if x_range is None else "too small"), x_range)
    lo, hi = x_range
    if not hi > lo:
        half = max(abs(lo) * 1e-9, 0.5)
        lo, hi = lo - half, hi + half
    elif spec.room and spec.x_range is None:
        hi = lo + _rounded_up(hi - lo)
    x = XScale((lo, hi), spec.x_axis, spec.x_maps)
    note = _note(spec, lo, hi)
    scale = y_scale(_bounds(spec, lo, hi), log=spec.log_y, asked=spec.y_range, room=spec.room)
    readout = readings(spec.lines, spec.cursor) if spec.cursor is not None else ()
    if scale is None:
        text = note or ("only gaps here" if any(x.series.gaps for x in spec.lines) else "no data")
        return ChartFrame(_blank(spec, text), (lo, hi), note, readout)
    rows, canvas = _picture(spec, x, scale)
    return ChartFrame(rows, (lo, hi), note, readout, canvas, x)


def _rounded_up(span: float) -> float:
    step = nice_step(span, _ROOM)
    return span if step is None else math.ceil(span / step) * step


def _note(spec: ChartSpec, lo: float, hi: float) -> str:
    if not spec.log_y:
        return ""
    skipped = sum(
        line.series.count(lo, hi) - line.series.positive().count(lo, hi) for line in spec.lines
    )
    return f"{skipped} not above zero, not on a log scale" if skipped else ""


def _bounds(spec: ChartSpec, lo: float, hi: float) -> Range | None:
    drawn = [line.series for line in spec.lines]
    # a smoothed line lags: where only a part is in view, it may be far from every value there
    drawn += [line.series.smoothed(line.smoothing) for line in spec.lines if line.smoothing]
    shown = [series.positive() if spec.log_y else series for series in drawn]
    found = [bounds for series in shown if (bounds := series.bounds(lo, hi)) is not None]
    if not found:
        return None
    return min(low for low, _ in found), max(high for _, high in found)


def _picture(spec: ChartSpec, x: XScale, y: YScale) -> tuple[list[list[Run]], tuple[int, int]]:
    height = spec.height - 2
    y_ticks = y.ticks(max(height // 4, 3))
    gutter = max(len(label) for _, label in y_ticks)
    width = spec.width - gutter - 1
    cells, roles = _cells(spec, x, y, (width, height))
    frame = _plotext(spec, cells, x.ticks(max(width // 12, 2)), y_ticks, (width, height))
    first = gutter + 1
    rows: list[list[Run]] = []
    for number in range(height):
        row = roles[number * width : (number + 1) * width]
        rows.append(_runs(frame[number], ["axis"] * first + row))
    line = list(frame[height])
    line_roles = ["axis"] * spec.width
    for glyph, role, column in _on_axis(spec, x, width):
        line[first + column] = glyph
        line_roles[first + column] = role
    rows.append(_runs("".join(line), line_roles))
    rows.append([(frame[height + 1], "axis")])
    if spec.symbols == "ascii":
        rows = [[(text.translate(_ASCII), role) for text, role in row] for row in rows]
    return rows, (first, width)


def _cells(spec: ChartSpec, x: XScale, y: YScale, size: tuple[int, int]) -> tuple[Cells, list[str]]:
    """The glyphs of all lines and of the cursor, and the role of every cell; later lines cover
    earlier ones, so that each can be followed where they cross."""
    width, height = size
    edges = x.edges(width * DOTS[spec.symbols].across)
    cells: Cells = {}
    covered: dict[int, str] = {}
    if spec.cursor is not None and 0 <= x.part(spec.cursor) <= 1:
        column = min(int(x.part(spec.cursor) * width), width - 1)
        for place in range(column, width * height, width):
            cells[place] = "│"
            covered[place] = "cursor"
    for line in spec.lines:
        layers = [(line.series, line.role)]
        if line.smoothing:
            layers = [
                (line.series, f"{line.role}-raw"),
                (line.series.smoothed(line.smoothing), line.role),
            ]
        for series, role in layers:
            found = series.positive() if spec.log_y else series
            drawn = glyphs(found, edges, y, (size, line.style, spec.symbols))
            cells.update(drawn)
            covered.update(dict.fromkeys(drawn, role))
    return cells, [covered.get(place, "axis") for place in range(width * height)]


def _plotext(
    spec: ChartSpec,
    cells: Cells,
    x_ticks: Sequence[tuple[float, str]],
    y_ticks: Sequence[tuple[float, str]],
    size: tuple[int, int],
) -> list[str]:
    """The rows that plotext draws: canvas, axes and ticks, in cells of a canvas of ``size``."""
    import plotext

    width, height = size
    full = DOTS[spec.symbols].full
    # plotext takes 5 µs for a cell, and the inside of a band of noise is the same in every cell
    places = [place for place, glyph in cells.items() if glyph != full]
    with _plotext_lock:
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.limit_size(False, False)
        plotext.plot_size(spec.width, spec.height)
        plotext.xaxes(True, False)
        plotext.yaxes(True, False)
        plotext.xlim(0, width - 1)
        plotext.ylim(0, height - 1)
        plotext.xticks(
            [min(int(part * width), width - 1) for part, _ in x_ticks],
            [label for _, label in x_ticks],
        )
        plotext.yticks(
            [round(part * (height - 1)) for part, _ in y_ticks], [label for _, label in y_ticks]
        )
        plotext.scatter(
            [place % width for place in places],
            [height - 1 - place // width for place in places],
            marker=[cells[place] for place in places],
        )
        text: str = plotext.uncolorize(plotext.build())
    rows = [list(row[: spec.width].ljust(spec.width)) for row in text.split("\n")[: spec.height]]
    rows += [[" "] * spec.width for _ in range(spec.height - len(rows))]
    first = spec.width - width
    for place, glyph in cells.items():
        if glyph == full:
            rows[place // width][first + place % width] = glyph
    return ["".join(row) for row in rows]


def _on_axis(spec: ChartSpec, x: XScale, width: int) -> list[tuple[str, str, int]]:
    """What is marked on the axis line: glyph, role and column, the more important last."""
    lo, hi = x.steps
    found: list[tuple[str, str, int]] = []

    def put(glyph: str, role: str, step: float) -> None:
        if lo <= step <= hi:
            found.append((glyph, role, min(int(x.part(step) * width), width - 1)))

    for line in spec.lines:
        gaps = line.series.gaps
        if gaps and line.style == "solid":
            for step in gaps[-_GAPS_SHOWN:]:
                put("×", "gap", step)
    for mark in spec.marks:
        put("▲", "mark", mark.step)
    if spec.cursor is not None:
        put("┴", "cursor", spec.cursor)
    return found


def _runs(text: str, roles: Sequence[str]) -> list[Run]:
    runs: list[Run] = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or roles[place] != roles[start]:
            runs.append((text[start:place], roles[start]))
            start = place
    return runs


def _blank(spec: ChartSpec, text: str) -> list[list[Run]]:
    rows: list[list[Run]] = [[(" " * spec.width, "axis")] for _ in range(spec.height)]
    if rows:
        rows[len(rows) // 2] = [(text[: spec.width].center(spec.width), "axis")]
    return rows
