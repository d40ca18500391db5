"""A metric over steps: compact in memory, and quick to reduce to the columns of a chart.

A chart never needs more than a lowest and a highest value for each of its columns. Those of whole
blocks of points are kept, so that a frame of a million points reads some tens of thousands of
summaries and not the points.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from .spikes import spikes_of

BLOCK = 64
"""Points that are summed up together; near the square root of what one column of a chart holds."""
_SNAP = 16 * BLOCK
_FEW_BLOCKS = 4 * BLOCK


class Column(NamedTuple):
    """The points that share one column of a chart; ``Series.peaks`` says where low and high are."""

    x: float
    """The middle of the column, in steps."""
    first: float
    low: float
    high: float
    last: float
    points: int
    """How many."""
    gap: bool
    """A null or non-finite value lies between the point before this column and its first one."""
    start: int
    """Index of its first point; the column's points are ``start`` to before ``start + points``."""
    number: int
    """Which column of those asked for, from 0."""


class Series:
    """Finite values at ascending steps, and the steps where the value was null or not finite.

    ``steps``, ``values`` and ``gaps`` are arrays of doubles to be read, not changed; ``version``
    grows with each change. What the constructor gets is taken as it is: steps ascending, values
    finite; :meth:`extend` takes points of any order.
    """

    __slots__ = (
        "__weakref__", "_derived", "_highest", "_highs", "_lowest", "_lows", "_spikes",
        "gaps", "steps", "values", "version",
    )  # fmt: skip

    def __init__(
        self,
        steps: Iterable[float] = (),
        values: Iterable[float] = (),
        gaps: Iterable[float] = (),
    ) -> None:
        self.steps = steps if isinstance(steps, array) else array("d", steps)
        self.values = values if isinstance(values, array) else array("d", values)
        self.gaps = gaps if isinstance(gaps, array) else array("d", gaps)
        if len(self.steps) != len(self.values):
            raise ValueError(f"{len(self.steps)} steps but {len(self.values)} values")
        self.version = 0
        # summaries of whole blocks; those of changed blocks are dropped and made anew when needed
        self._lows = array("d")
        self._highs = array("d")
        self._lowest = array("d")  # of blocks of blocks
        self._highest = array("d")
        self._derived: dict[float | None, _Smooth | _Positive] = {}
        self._spikes: tuple[int, array[float]] = (-1, array("d"))

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def first_step(self) -> float | None:
        """The lowest step with a value."""
        return self.steps[0] if self.steps else None

    @property
    def last_step(self) -> float | None:
        """The highest step with a value."""
        return self.steps[-1] if self.steps else None

    @property
    def last(self) -> float | None:
        """The value at the highest step."""
        return self.values[-1] if self.values else None

    # taking in

    def put(self, step: float, value: float | None) -> None:
        """Take in a value; the same step again replaces it, a null never removes one.

        A step that is not finite is ignored.
        """
        if not math.isfinite(step):
            return
        if value is None or not math.isfinite(value):
            self._put_gap(step)
            return
        self.version += 1
        if not self.steps or step > self.steps[-1]:
            self.steps.append(step)
            self.values.append(value)
        else:
            place = bisect_left(self.steps, step)
            if self.steps[place] == step:
                self.values[place] = value
            else:
                self.steps.insert(place, step)
                self.values.insert(place, value)
            self._forget_from(place)
        if self.gaps:
            place = bisect_left(self.gaps, step)
            if place < len(self.gaps) and self.gaps[place] == step:
                del self.gaps[place]

    def _put_gap(self, step: float) -> None:
        place = bisect_left(self.steps, step)
        if place < len(self.steps) and self.steps[place] == step:
            return
        place = bisect_left(self.gaps, step)
        if place == len(self.gaps) or self.gaps[place] != step:
            self.gaps.insert(place, step)
            self.version += 1

    def extend(self, points: Iterable[tuple[float, float | None]]) -> None:
        """Take in many values."""
        for step, value in points:
            self.put(step, value)

    def cut_after(self, step: float) -> None:
        """Forget every value and gap after ``step``."""
        place = bisect_right(self.steps, step)
        gap = bisect_right(self.gaps, step)
        if place == len(self.steps) and gap == len(self.gaps):
            return
        # new arrays: smoothed series share the old ones
        self.steps, self.values = self.steps[:place], self.values[:place]
        self.gaps = self.gaps[:gap]
        self._forget_from(place)
        self.version += 1

    def _forget_from(self, place: int) -> None:
        block = place // BLOCK
        if block < len(self._lows):
            del self._lows[block:]
            del self._highs[block:]
            del self._lowest[block // BLOCK :]
            del self._highest[block // BLOCK :]
        self._derived.clear()

    # reducing

    def _summarise(self) -> None:
        _sum_up(self.values, self._lows, min)
        _sum_up(self.values, self._highs, max)
        _sum_up(self._lows, self._lowest, min)
        _sum_up(self._highs, self._highest, max)

    def _reduce(self, start: int, end: int) -> tuple[float, float]:
        """Lowest and highest value of the points from ``start`` to before ``end``."""
        first, last = -(-start // BLOCK), end // BLOCK
        if first >= last:
            part = self.values[start:end]
            return min(part), max(part)
        parts = [(self.values, self.values, start, first * BLOCK),
                 (self.values, self.values, last * BLOCK, end)]  # fmt: skip
        if last - first > _FEW_BLOCKS:
            over, under = -(-first // BLOCK), last // BLOCK
            parts += [
                (self._lows, self._highs, first, over * BLOCK),
                (self._lows, self._highs, under * BLOCK, last),
                (self._lowest, self._highest, over, under),
            ]
        else:
            parts.append((self._lows, self._highs, first, last))
        found = [(min(low[a:b]), max(high[a:b])) for low, high, a, b in parts if a < b]
        return min(low for low, _ in found), max(high for _, high in found)

    def bounds(
        self, lo: float | None = None, hi: float | None = None
    ) -> tuple[float, float] | None:
        """Lowest and highest value at steps from ``lo`` to ``hi``, both included; None: no end."""
        start = 0 if lo is None else bisect_left(self.steps, lo)
        end = len(self.steps) if hi is None else bisect_right(self.steps, hi)
        if start >= end:
            return None
        self._summarise()
        return self._reduce(start, end)

    def count(self, lo: float, hi: float) -> int:
        """How many points lie at steps from ``lo`` to ``hi``, both included."""
        return max(bisect_right(self.steps, hi) - bisect_left(self.steps, lo), 0)

    def columns(self, lo: float, hi: float, count: int) -> list[Column]:
        """At most ``count`` columns of equal width over the steps ``lo`` to ``hi``, both included;
        those without a point are left out. No value is lost: each lies between its column's
        ``low`` and ``high``."""
        if count < 1 or not hi >= lo:
            return []
        width = (hi - lo) / count
        return self.columns_between([*(lo + width * number for number in range(count)), hi])

    def columns_between(self, edges: Sequence[float]) -> list[Column]:
        """Columns of any width: between each two neighbours of the ascending ``edges`` (in steps).

        A point on an edge belongs to the column after it, the last edge to the last column. Where
        columns hold more than 16 blocks, inner edges move to the border of a block: by less than
        a sixteenth of a column, for a third of the time.
        """
        self._summarise()
        steps, values, gaps = self.steps, self.values, self.gaps
        columns: list[Column] = []
        if not steps or len(edges) < 2:
            return columns
        start, end_all = bisect_left(steps, edges[0]), bisect_right(steps, edges[-1])
        final = len(edges) - 2
        for number, (left, right) in enumerate(pairwise(edges)):
            if start >= end_all:
                break
            if number == final:
                end = end_all
            elif steps[start] >= right:
                continue
            else:
                end = bisect_left(steps, right, start + 1, end_all)
                if end - start > _SNAP:
                    end -= end % BLOCK
            value = values[start]
            if end == start + 1:
                low = high = value
            else:
                low, high = self._reduce(start, end)
            gap = bool(gaps) and start > 0 and self.gap_between(steps[start - 1], steps[start])
            columns.append(
                Column(
                    (left + right) / 2, value, low, high, values[end - 1],
                    end - start, gap, start, number,
                )
            )  # fmt: skip
            start = end
        return columns

    def peaks(self, column: Column) -> tuple[float, float]:
        """The steps of a column's lowest and highest value; the first where there are several."""
        end = column.start + column.points
        low = self.values.index(column.low, column.start, end)
        high = self.values.index(column.high, column.start, end)
        return self.steps[low], self.steps[high]

    # reading

    def nearest(self, step: float) -> tuple[float, float] | None:
        """The point nearest to ``step``; ties go to the earlier."""
        if not self.steps:
            return None
        place = bisect_left(self.steps, step)
        before = place > 0 and (
            place == len(self.steps) or step - self.steps[place - 1] <= self.steps[place] - step
        )
        place -= before
        return self.steps[place], self.values[place]

    def neighbour(self, step: float, *, forward: bool) -> tuple[float, float] | None:
        """The first point after ``step``, or the last one before it."""
        place = bisect_right(self.steps, step) if forward else bisect_left(self.steps, step) - 1
        return (self.steps[place], self.values[place]) if 0 <= place < len(self.steps) else None

    def value_at(self, step: float) -> float | None:
        """Linear interpolation, held beyond the ends; None without points."""
        return _between(self.steps, self.values, step)

    def step_at(self, value: float) -> float | None:
        """The step where a series that never falls (time, epoch) reaches ``value``, interpolated,
        held beyond the ends; None without points."""
        return _between(self.values, self.steps, value)

    def raw(self, lo: float, hi: float) -> tuple[array[float], array[float]]:
        """Steps and values from ``lo`` to ``hi``, both included, as copies."""
        start, end = bisect_left(self.steps, lo), bisect_right(self.steps, hi)
        return self.steps[start:end], self.values[start:end]

    def gap_between(self, lo: float, hi: float) -> bool:
        """Whether a null or non-finite value lies between two steps, both excluded."""
        place = bisect_right(self.gaps, lo)
        return place < len(self.gaps) and self.gaps[place] < hi

    def is_gap(self, step: float) -> bool:
        """Whether the value of ``step`` was null or not finite."""
        place = bisect_left(self.gaps, step)
        return place < len(self.gaps) and self.gaps[place] == step

    # derived

    def smoothed(self, weight: float) -> Series:
        """The exponential moving average ``a ← w·a + (1−w)·v``, divided by ``1 − wⁿ`` so that it is
        not drawn towards zero at its beginning; gaps are passed over.

        Exact at every point and kept: asked again, only what is new is computed. It is the same
        object until a point comes out of order.

        Raises:
            ValueError: ``weight`` is not from 0 to below 1.
        """
        if not 0 <= weight < 1:
            raise ValueError(f"a smoothing weight is from 0 to below 1, not {weight}")
        if weight == 0:
            return self
        smooth = self._derived.get(weight)
        if smooth is None:
            smooth = self._derived[weight] = _Smooth(weight)
        smooth.catch_up(self)
        return smooth.result

    def positive(self) -> Series:
        """The values above zero, as a log scale needs them; the others count as gaps.

        The series itself where all are above zero.
        """
        bounds = self.bounds()
        if bounds is None or bounds[0] > 0:
            return self
        kept = self._derived.get(None)
        if kept is None:
            kept = self._derived[None] = _Positive()
        kept.catch_up(self)
        return kept.result

    def spikes(self) -> array[float]:
        """Steps whose value stands out upwards (see :func:`spikes_of`)."""
        version, found = self._spikes
        if version != self.version:
            found = array("d", (self.steps[place] for place in spikes_of(self.values)))
            self._spikes = (self.version, found)
        return found

    def next_spike(self, step: float, *, forward: bool) -> float | None:
        """The nearest spike after (or before) ``step``."""
        return _beyond(self.spikes(), step, forward)

    def next_gap(self, step: float, *, forward: bool) -> float | None:
        """The nearest gap after (or before) ``step``."""
        return _beyond(self.gaps, step, forward)


class _Smooth:
    """A moving average that goes on where it stopped."""

    __slots__ = ("average", "bias", "result", "weight")

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.average = 0.0
        self.bias = 1.0
        self.result = Series()

    def catch_up(self, series: Series) -> None:
        weight, rest = self.weight, 1 - self.weight
        average, bias = self.average, self.bias
        result = self.result
        append = result.values.append
        for value in series.values[len(result.values) :]:
            average = weight * average + rest * value
            bias *= weight
            append(average / (1 - bias))
        self.average, self.bias = average, bias
        result.steps, result.gaps = series.steps, series.gaps  # shared: sixteen bytes a point less
        result.version = series.version


class _Positive:
    """The positive values, that goes on where it stopped."""

    __slots__ = ("done", "nulls", "result")

    def __init__(self) -> None:
        self.done = 0
        self.nulls = -1
        self.result = Series()

    def catch_up(self, series: Series) -> None:
        result = self.result
        skipped = array("d")
        for step, value in zip(series.steps[self.done :], series.values[self.done :], strict=True):
            if value > 0:
                result.steps.append(step)
                result.values.append(value)
            else:
                skipped.append(step)
        self.done = len(series)
        if skipped or self.nulls != len(series.gaps):
            result.gaps = array("d", sorted({*result.gaps, *skipped, *series.gaps}))
            self.nulls = len(series.gaps)
        result.version = series.version


def _sum_up(
    values: array[float], into: array[float], choose: Callable[[array[float]], float]
) -> None:
    for start in range(len(into) * BLOCK, len(values) - BLOCK + 1, BLOCK):
        into.append(choose(values[start : start + BLOCK]))


def _between(places: array[float], values: array[float], at: float) -> float | None:
    if not places:
        return None
    place = bisect_left(places, at)
    if place in (0, len(places)):
        return values[min(place, len(values) - 1)]
    x0, x1 = places[place - 1], places[place]
    y0, y1 = values[place - 1], values[place]
    return y0 + (y1 - y0) * ((at - x0) / (x1 - x0)) if x1 > x0 else y1


def _beyond(places: array[float], step: float, forward: bool) -> float | None:
    if forward:
        place = bisect_right(places, step)
        return places[place] if place < len(places) else None
    place = bisect_left(places, step) - 1
    return places[place] if place >= 0 else None
