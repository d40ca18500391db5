"""A curve in one row of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_BARS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-~=+*#"


def sparkline(values: Sequence[float | None], width: int, *, ascii_only: bool = False) -> str:
    """``values`` as a curve of at most ``width`` cells.

    Where there are more values than cells, a cell shows the last value of its share; a cell whose
    values are all null or not finite is a space.
    """
    if not values or width < 1:
        return ""
    finite = [value if value is not None and math.isfinite(value) else None for value in values]
    cells = finite
    if len(finite) > width:
        borders = [number * len(finite) // width for number in range(width + 1)]
        cells = [
            next((v for v in reversed(finite[start:end]) if v is not None), None)
            for start, end in pairwise(borders)
        ]
    known = [value for value in cells if value is not None]
    bars = _ASCII if ascii_only else _BARS
    if not known:
        return " " * len(cells)
    low, high = min(known), max(known)
    # halves, because the difference of two finite numbers need not be finite
    span = high / 2 - low / 2
    if not span > 0:
        return "".join(" " if value is None else bars[len(bars) // 2] for value in cells)
    top = len(bars) - 1
    return "".join(
        " " if value is None else bars[round((value / 2 - low / 2) / span * top)] for value in cells
    )
