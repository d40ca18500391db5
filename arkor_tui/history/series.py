"""A metric over steps: compact in memory, and quick to reduce to the columns of a chart."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

BLOCK = 256
"""Points that are summed up together; a million points are some four thousand blocks."""
SPIKE_DEVIATIONS = 4.0
_SPIKE_WEIGHT = 0.9
_SPIKE_WARMUP = 5


@dataclass(frozen=True, slots=True)
class Column:
    """Points ``start`` to ``end`` (indices) that share one column of a chart."""

    x: float
    """The middle of the column, in steps."""
    start: int
    end: int
    low: float
    high: float
    first: float
    last: float
    mean: float


class Series:
    """Finite values at ascending steps, and the steps where the value was null or not finite.

    ``steps``, ``values`` and ``gaps`` are arrays of doubles to be read, not changed; ``version``
    grows with each change.
    """

    __slots__ = (
        "_highs", "_lows", "_smooth", "_spikes", "_sums", "gaps", "steps", "values", "version",
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
        self._sums = array("d")
        self._smooth: dict[float, _Smooth] = {}
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

    def put(self, step: float, value: float | None) -> None:
        """Take in a value; the same step again replaces it, a null never removes one."""
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

    def _forget_from(self, place: int) -> None:
        block = place // BLOCK
        del self._lows[block:]
        del self._highs[block:]
        del self._sums[block:]
        self._smooth.clear()

    def _summarise(self) -> None:
        values = self.values
        for start in range(len(self._lows) * BLOCK, len(values) - BLOCK + 1, BLOCK):
            block = values[start : start + BLOCK]
            self._lows.append(min(block))
            self._highs.append(max(block))
            self._sums.append(math.fsum(block))

    def _reduce(self, start: int, end: int) -> tuple[float, float, float]:
        """Lowest and highest value, and sum, of the points from ``start`` to before ``end``."""
        first, last = -(-start // BLOCK), end // BLOCK
        if first >= last:
            part = self.values[start:end]
            return min(part), max(part), sum(part)
        lows, highs = [min(self._lows[first:last])], [max(self._highs[first:last])]
        total = sum(self._sums[first:last])
        for part in (self.values[start : first * BLOCK], self.values[last * BLOCK : end]):
            if part:
                lows.append(min(part))
                highs.append(max(part))
                total += sum(part)
        return min(lows), max(highs), total

    def bounds(self, lo: float = -math.inf, hi: float = math.inf) -> tuple[float, float] | None:
        """Lowest and highest value at steps from ``lo`` to ``hi``, both included."""
        start, end = bisect_left(self.steps, lo), bisect_right(self.steps, hi)
        if start >= end:
            return None
        self._summarise()
        low, high, _ = self._reduce(start, end)
        return low, high

    def columns(self, lo: float, hi: float, count: int) -> list[Column]:
        """At most ``count`` columns over the steps ``lo`` to ``hi``; those without a point are left
        out. No value is lost: each lies between its column's ``low`` and ``high``."""
        if count < 1 or hi < lo:
            return []
        self._summarise()
        steps, values = self.steps, self.values
        width = (hi - lo) / count
        columns: list[Column] = []
        start, end_all = bisect_left(steps, lo), bisect_right(steps, hi)
        number = 0
        while start < end_all:
            if width > 0:
                number = max(number, min(int((steps[start] - lo) / width), count - 1))
            if number == count - 1 or width <= 0:
                end = end_all
            else:
                end = bisect_left(steps, lo + (number + 1) * width, start + 1, end_all)
            low, high, total = (
                (values[start],) * 3 if end == start + 1 else self._reduce(start, end)
            )
            columns.append(
                Column(
                    lo + (number + 0.5) * width, start, end, low, high,
                    values[start], values[end - 1], total / (end - start),
                )
            )  # fmt: skip
            start, number = end, number + 1
        return columns

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

    def at_or_before(self, step: float) -> tuple[float, float] | None:
        """The last point that is not after ``step``."""
        place = bisect_right(self.steps, step) - 1
        return (self.steps[place], self.values[place]) if place >= 0 else None

    def value_at(self, step: float) -> float | None:
        """Linear interpolation, held beyond the ends; None without points."""
        if not self.steps:
            return None
        place = bisect_left(self.steps, step)
        if place == 0 or place == len(self.steps):
            return self.values[min(place, len(self.values) - 1)]
        x0, x1 = self.steps[place - 1], self.steps[place]
        y0, y1 = self.values[place - 1], self.values[place]
        return y0 + (y1 - y0) * (step - x0) / (x1 - x0)

    def gap_between(self, lo: float, hi: float) -> bool:
        """Whether a null or non-finite value lies between two steps, both excluded."""
        place = bisect_right(self.gaps, lo)
        return place < len(self.gaps) and self.gaps[place] < hi

    def smoothed(self, weight: float) -> Series:
        """The exponential moving average ``a ← w·a + (1−w)·v``, divided by ``1 − wⁿ`` so that it is
        not drawn towards zero at its beginning. Only new points are computed when asked again.

        Raises:
            ValueError: ``weight`` is not from 0 to below 1.
        """
        if not 0 <= weight < 1:
            raise ValueError(f"a smoothing weight is from 0 to below 1, not {weight}")
        smooth = self._smooth.get(weight)
        if smooth is None:
            smooth = self._smooth[weight] = _Smooth(weight)
        smooth.catch_up(self)
        return smooth.result

    def spikes(self) -> array[float]:
        """Steps whose value stands out upwards: above the moving average of what came before by
        more than four moving average deviations (weights 0.9, after five points)."""
        version, found = self._spikes
        if version == self.version:
            return found
        found = array("d")
        mean = deviation = 0.0
        for place, value in enumerate(self.values):
            if place == 0:
                mean = value
                continue
            distance = value - mean
            if place >= _SPIKE_WARMUP and distance > SPIKE_DEVIATIONS * max(deviation, 1e-9):
                found.append(self.steps[place])
            mean += (1 - _SPIKE_WEIGHT) * distance
            deviation = _SPIKE_WEIGHT * deviation + (1 - _SPIKE_WEIGHT) * abs(distance)
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
        done = len(self.result)
        fresh = array("d")
        for value in series.values[done:]:
            average = weight * average + rest * value
            bias *= weight
            fresh.append(average / (1 - bias))
        self.average, self.bias = average, bias
        if fresh:
            self.result.steps.extend(series.steps[done:])
            self.result.values.extend(fresh)
            self.result.version += 1
        self.result.gaps = series.gaps


def _beyond(places: array[float], step: float, forward: bool) -> float | None:
    if forward:
        place = bisect_right(places, step)
        return places[place] if place < len(places) else None
    place = bisect_left(places, step) - 1
    return places[place] if place >= 0 else None
