"""Which values of a metric stand out upwards."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

WINDOW = 32
"""Values before a value that it is compared with."""
WARM_UP = 5
"""Values needed before anything can stand out."""
DEVIATIONS = 5.0
_SIGMA = 1.4826  # a median absolute deviation of normal noise times this is its standard deviation
_FLOOR = 0.01  # noise below this part of the level is no reason to call anything a spike
_MOST = 4096


def spikes_of(values: Sequence[float]) -> list[int]:
    """Indices of values that stand out, ascending.

    A value stands out when it is above the median of the 32 values before it by more than five of
    their standard deviations, these estimated from the median absolute deviation and taken as at
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
    ordered: list[float] = []
    best = -1
    for place, value in enumerate(highs):
        if len(ordered) >= WARM_UP and _stands_out(value, ordered):
            if best < 0 or value > highs[best]:
                best = place
        elif best >= 0:
            yield best
            best = -1
        insort(ordered, value)
        if len(ordered) > WINDOW:
            del ordered[bisect_left(ordered, highs[place - WINDOW])]
    if best >= 0:
        yield best


def _stands_out(value: float, ordered: list[float]) -> bool:
    # most values are not even in the upper quarter, and are done with here
    if value <= ordered[len(ordered) * 3 // 4]:
        return False
    median = ordered[len(ordered) // 2]
    deviation = sorted(abs(other - median) for other in ordered)[len(ordered) // 2]
    return value - median > DEVIATIONS * max(_SIGMA * deviation, _FLOOR * abs(median))
