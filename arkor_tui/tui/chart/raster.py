"""A decimated line as glyphs of a chart's cells, each made of several dots.

Noise becomes vertical spans from the lowest to the highest value of each column of dots, and a
column is joined to the one before it. The work depends on the number of columns, not of points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arkor_tui.archive.series import Column

from .scale import YScale

Symbols = Literal["braille", "block", "ascii"]
LineStyle = Literal["solid", "dashed", "dots"]
Cells = dict[int, str]
"""Glyphs by cell: row (0 at the top) times the width, plus column."""

_Draw = Callable[[int, int, int], None]
_End = tuple[int, int, int, int]
"""A column: its number, its top and low row of dots, and where its last value is."""

_DASH = 4


@dataclass(frozen=True, slots=True)
class Dots:
    """How a cell is divided, and which glyph shows which dots."""

    across: int
    down: int
    bits: tuple[tuple[int, ...], ...]
    """The bit of each dot, by column and row."""
    glyphs: str
    """The glyph of each combination of bits."""
    point: str

    @property
    def full(self) -> str:
        """The glyph with every dot."""
        return self.glyphs[-1]

    def spans(self) -> list[list[list[int]]]:
        """The bits from one row to another, both included, by column."""
        return [
            [[sum(column[a : b + 1]) for b in range(self.down)] for a in range(self.down)]
            for column in self.bits
        ]


DOTS: Mapping[Symbols, Dots] = {
    "braille": Dots(
        2, 4, ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)),
        "".join(chr(0x2800 + bits) for bits in range(256)), "●",
    ),
    "block": Dots(2, 2, ((1, 4), (2, 8)), " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█", "●"),
    "ascii": Dots(1, 2, ((1, 2),), " '.:", "o"),
}  # fmt: skip
_SPANS = {symbols: dots.spans() for symbols, dots in DOTS.items()}


class Raster:
    """A line that grows at its end: columns that are settled are drawn once."""

    __slots__ = (
        "_before", "_bottom", "_cells", "_done", "_dots", "_draw", "_drawn", "_masks", "_points",
        "_scale", "_style", "_width",
    )  # fmt: skip

    def __init__(
        self, scale: YScale, size: tuple[int, int], style: LineStyle, symbols: Symbols
    ) -> None:
        self._width, height = size
        self._scale, self._style = scale, style
        self._dots = DOTS[symbols]
        self._bottom = height * self._dots.down - 1
        self._drawn: dict[int, int] = {}  # by the columns since it was last emptied
        self._draw = _drawer(self._drawn, self._width, style, symbols)
        # of the settled columns
        self._done = 0
        self._before: _End | None = None
        self._masks: dict[int, int] = {}
        self._cells: Cells = {}
        self._points: list[int] = []

    def cells(self, columns: Sequence[Column], settled: int) -> Cells:
        """The glyphs of ``columns``. The first ``settled`` of them are the same in every later
        call, which may settle more."""
        drawn, masks, kept, points = self._drawn, self._masks, self._cells, self._points
        glyphs = self._dots.glyphs
        drawn.clear()
        self._before = self._lay(columns[self._done : settled], self._before, points)
        self._done = settled
        for place, bits in drawn.items():
            bits = masks[place] = masks.get(place, 0) | bits
            kept[place] = glyphs[bits]
        drawn.clear()
        last: list[int] = []
        self._lay(columns[settled:], self._before, last)
        cells = kept.copy()
        for place, bits in drawn.items():
            cells[place] = glyphs[masks.get(place, 0) | bits]
        few = len(points) + len(last)
        if len(columns) == 1 or (self._style != "solid" and few * 4 <= self._width):
            cells.update(dict.fromkeys(points + last, self._dots.point))
        return cells

    def _lay(
        self, columns: Sequence[Column], before: _End | None, points: list[int]
    ) -> _End | None:
        """Draw columns after the one that ended in ``before``, add the cells of their last values
        to ``points`` and say where the last one ended. Only dots after ``before`` are touched."""
        draw, bottom, dots, width = self._draw, self._bottom, self._dots, self._width
        part, cuts, joined = self._scale.part, self._scale.cuts, self._style != "dots"
        for column in columns:
            at = column.number
            over, under = part(column.high), part(column.low)
            if cuts and (over < 0 or under > 1):
                before = None
                continue
            top, low = _row(over, bottom), _row(under, bottom)
            begin = end = low
            if top != low:
                begin, end = _row(part(column.first), bottom), _row(part(column.last), bottom)
            points.append(end // dots.down * width + at // dots.across)
            span_top, span_low = top, low
            if before is not None and joined and not column.gap:
                came, last_top, last_low, ended = before
                if at > came + 1:
                    _join(draw, came, ended, at, begin)
                elif top > last_low + 1:  # neighbours are stretched until they touch
                    span_top = last_low + 1
                elif low < last_top - 1:
                    span_low = last_top - 1
            draw(at, span_top, span_low)
            before = (at, top, low, end)
        return before


def _row(part: float, bottom: int) -> int:
    """The row of dots, from the top, of a part of the height."""
    return 0 if part >= 1 else bottom if part <= 0 else int((1 - part) * bottom + 0.5)


def _drawer(masks: dict[int, int], width: int, style: LineStyle, symbols: Symbols) -> _Draw:
    """Draws a vertical span: column and rows of dots."""
    dots, spans = DOTS[symbols], _SPANS[symbols]
    across, down = dots.across, dots.down
    full = down - 1
    dashed = style == "dashed"
    masks_get = masks.get

    def draw(at: int, top: int, low: int) -> None:
        if dashed and at % _DASH >= _DASH // 2:
            return
        table = spans[at % across]
        first, last = top // down, low // down
        place = first * width + at // across
        if first == last:
            masks[place] = masks_get(place, 0) | table[top % down][low % down]
            return
        masks[place] = masks_get(place, 0) | table[top % down][full]
        inner = table[0][full]
        for _ in range(last - first - 1):
            place += width
            masks[place] = masks_get(place, 0) | inner
        place += width
        masks[place] = masks_get(place, 0) | table[0][low % down]

    return draw


def _join(draw: _Draw, x0: int, y0: int, x1: int, y1: int) -> None:
    """A straight line between two dots, without its ends."""
    slope = (y1 - y0) / (x1 - x0)
    last = y0
    for x in range(x0 + 1, x1):
        y = round(y0 + slope * (x - x0))
        if y > last + 1:
            draw(x, last + 1, y)
        elif y < last - 1:
            draw(x, y, last - 1)
        else:
            draw(x, y, y)
        last = y
    # the rest of a steep rise belongs to the last column before the end
    if y1 > last + 1:
        draw(x1, last + 1, y1)
    elif y1 < last - 1:
        draw(x1, y1, last - 1)
