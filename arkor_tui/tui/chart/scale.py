"""From steps and values to places on a chart, as parts of its width and height."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from arkor_tui.archive.series import Series

from .axes import Tick, log_ticks, nice_step, nice_ticks, time_ticks

Axis = Literal["step", "epoch", "time"]
Range = tuple[float, float]

_MARGIN = 0.04
_ROUND = 12
_LARGEST = 8e307  # beyond, differences of two values overflow


class XScale:
    """Steps from left to right, spaced as steps, epochs or seconds."""

    def __init__(self, steps: Range, axis: Axis, maps: Mapping[str, Series]) -> None:
        self.steps = steps
        lo, hi = steps
        self._map: Series | None = None
        self._start = 0.0
        self._whole = axis == "step"
        self._ticks: Callable[[float, float, int], list[Tick]] = nice_ticks
        self._lo, self._hi = lo, hi
        found = maps.get(axis) if axis != "step" else None
        if found is not None and len(found) > 1:
            left, right = found.value_at(lo), found.value_at(hi)
            if left is not None and right is not None and left < right:
                self._map, self._lo, self._hi = found, left, right
                if axis == "time":
                    self._start, self._ticks = found.values[0], time_ticks

    def part(self, step: float) -> float:
        """Where a step is: 0 at the left edge, 1 at the right one."""
        at = step
        if self._map is not None:
            found = self._map.value_at(step)
            at = step if found is None else found
        return (at - self._lo) / (self._hi - self._lo)

    def step_at(self, part: float) -> float:
        """The step at a part of the width."""
        at = self._lo + (self._hi - self._lo) * part
        if self._map is None:
            return at
        found = self._map.step_at(at)
        return at if found is None else found

    def edges(self, count: int) -> tuple[float, ...]:
        """The edges of ``count`` columns of equal width, in steps, ascending."""
        lo, hi = self.steps
        if self._map is None:
            width = (hi - lo) / count
            inner = [lo + width * number for number in range(1, count)]
        else:
            inner = [self.step_at(number / count) for number in range(1, count)]
        edges = [lo]
        for edge in inner:
            edges.append(min(max(edge, edges[-1]), hi))
        edges.append(hi)
        return tuple(edges)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Parts of the width, and what stands there."""
        lo, hi = self._lo - self._start, self._hi - self._start
        ticks = nice_ticks(lo, hi, count, whole=True) if self._whole else self._ticks(lo, hi, count)
        return [((tick.at - lo) / (hi - lo), tick.label) for tick in ticks]


class YScale:
    """Values from bottom to top, linear or by their logarithm.

    ``cuts``: values beyond the bounds are not shown; otherwise they are at the edge.
    """

    def __init__(self, bounds: Range, *, log: bool, cuts: bool = False) -> None:
        self.log = log
        self.cuts = cuts
        self._lo, self._hi = bounds
        self._factor = 1 / (self._hi - self._lo)

    @property
    def key(self) -> object:
        """Equal for scales that show the same values in the same places."""
        return self._lo, self._hi, self.log, self.cuts

    def part(self, value: float) -> float:
        """Where a value is: 0 at the bottom, 1 at the top. On a log axis it is above zero."""
        return ((math.log10(value) if self.log else value) - self._lo) * self._factor

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Parts of the height, and what stands there."""
        ticks = (log_ticks if self.log else nice_ticks)(self._lo, self._hi, count)
        return [((tick.at - self._lo) * self._factor, tick.label) for tick in ticks]


def y_scale(
    values: Range | None, *, log: bool, asked: Range | None = None, room: bool = False
) -> YScale | None:
    """The scale that holds the lowest and highest of ``values`` (above zero on a log axis) with a
    margin, or the range that was ``asked`` for. None without anything to show. ``room`` moves the
    ends to round numbers, so that a new extreme seldom changes the scale."""
    if asked is not None and asked[0] < asked[1] and (asked[0] > 0 or not log):
        low, high = asked
        bounds = (math.log10(low), math.log10(high)) if log else (low, high)
        return YScale(bounds, log=log, cuts=True)
    if values is None:
        return None
    low, high = values
    if log:
        low, high = math.log10(low), math.log10(high)
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    span = high - low
    if span <= max(abs(low), abs(high)) * 1e-12:
        margin = abs(high) * 0.1 or 1.0
        if log:
            margin = 0.5
        return YScale((low - margin, high + margin), log=log)
    margin = span * _MARGIN
    # a loss does not go below zero, and an axis that does reads oddly
    bottom = 0.0 if not log and 0 <= low < span * 0.15 else low - margin
    top = high + margin
    step = nice_step(span, _ROUND)
    if room and step is not None:
        bottom, top = math.floor(bottom / step) * step, math.ceil(top / step) * step
    return YScale((bottom, top), log=log)
