"""The glyphs of lines, kept from picture to picture: what did not change is not drawn again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from arkor_tui.archive.series import Series

from .decimate import Decimation
from .raster import Cells, LineStyle, Raster, Symbols
from .scale import YScale

Look = tuple[tuple[int, int], LineStyle, Symbols]
"""Width and height in cells, and how a line is drawn in them."""

_MOST = 3  # views of a series that are kept: raw on one chart, and in two sizes elsewhere
_drawings: WeakKeyDictionary[Series, dict[object, _Drawing]] = WeakKeyDictionary()


def glyphs(series: Series, edges: tuple[float, ...], y: YScale, look: Look) -> Cells:
    """The glyphs of a series whose columns of dots have ``edges`` (in steps); to be read, not
    changed. A line that stays as it is costs nothing, one that grows its end."""
    known = _drawings.setdefault(series, {})
    key = (edges, y.key, look)
    drawing = known.get(key)
    if drawing is None:
        if len(known) >= _MOST:
            known.clear()
        drawing = known[key] = _Drawing(edges, y, look)
    return drawing.cells(series)


class _Drawing:
    """One view of a series; it does not hold the series, so that both are forgotten together."""

    __slots__ = ("_cells", "_decimation", "_look", "_raster", "_version", "_y")

    def __init__(self, edges: tuple[float, ...], y: YScale, look: Look) -> None:
        self._decimation = Decimation(edges)
        self._y, self._look = y, look
        self._raster = Raster(y, *look)
        self._cells: Cells = {}
        self._version = -1

    def cells(self, series: Series) -> Cells:
        if series.version != self._version:
            reduced = self._decimation
            if not reduced.catch_up(series):
                self._raster = Raster(self._y, *self._look)
            self._cells = self._raster.cells(reduced.columns, reduced.settled)
            self._version = series.version
        return self._cells
