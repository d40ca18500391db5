"""Which values of a metric stand out upwards."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

LEVEL = 8
"""Values before a value whose median is its level."""
WINDOW = 32
"""Steps from value to value before it that tell how noisy the metric is."""
WARM_UP = 5
"""Values needed before anything can stand out."""
DEVIATIONS = 5.0
_SIGMA = 1.0483  # the median size of steps between normal values times this is their deviation
_FLOOR = 0.01  # noise below this part of the level is no reason to call anything a spike
_MOST = 4096


def spikes_of(values: Sequence[float]) -> list[int]:
    """Indices of values that stand out, ascending.

    A value stands out when it is above the median of the 8 values before it by more than five
    standard deviations. These are estimated from the median size of the last 32 steps from value to
    value, so that a curve that falls steeply counts as such and not as noise, and taken as at
    least 1 % of the median's size. Of neighbours that all stand out the highest counts. A series of
    more than 4,096 values is first reduced to runs of 2, 4, 8… neighbours, each represented by its
    highest, so that the work is bounded.
    """
    size = 1
    while len(values) > size * _MOST:
        size *= 2
    if size == 1:
        places: Sequence[int] = range(len(values))
        highs: Sequence[float] = values
    else:
        runs = [values[start : start + size] for start in range(0, len(values), size)]
        highs = [max(run) for run in runs]
        places = [
            number * size + run.index(high)
            for number, (run, high) in enumerate(zip(runs, highs, strict=True))
        ]
    return [places[place] for place in _peaks(highs)]


def _peaks(highs: Sequence[float]) -> Iterator[int]:
    level: list[float] = []
    steps: list[float] = []
    best = -1
    for place, value in enumerate(highs):
        if place >= WARM_UP and _stands_out(value, level, steps):
            if best < 0 or value > highs[best]:
                best = place
        elif best >= 0:
            yield best
            best = -1
        insort(level, value)
        if len(level) > LEVEL:
            del level[bisect_left(level, highs[place - LEVEL])]
        if place:
            insort(steps, abs(value - highs[place - 1]))
            if len(steps) > WINDOW:
                old = place - WINDOW
                del steps[bisect_left(steps, abs(highs[old] - highs[old - 1]))]
    if best >= 0:
        yield best


def _stands_out(value: float, level: list[float], steps: list[float]) -> bool:
    usual = level[len(level) // 2]
    noise = max(steps[len(steps) // 2] * _SIGMA, abs(usual) * _FLOOR)
    return value - usual > DEVIATIONS * noise
