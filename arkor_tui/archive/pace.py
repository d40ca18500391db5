"""How long a step takes, by times of a clock that may be set while a run goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

LOOKED_AT = 100
"""Newest logs that the pace is taken from."""
_LONGEST = 30
"""Times the usual: a longer interval is a halt, or a clock that was set forward."""
SHORTEST_SECONDS = 0.5
"""Less is not told: it would read 0:00."""


def seconds_per_step(steps: Sequence[float], times: Sequence[float]) -> float | None:
    """Give the seconds of a step by the newest logs; None where nothing can be said.

    ``times`` are seconds of any origin. Intervals that contradict the others count for nothing:
    where time stands still or goes back, and where it leaps.
    """
    spans = [
        (step - step_before, time - time_before)
        for (step_before, time_before), (step, time) in pairwise(
            zip(steps[-LOOKED_AT:], times[-LOOKED_AT:], strict=True)
        )
        if step > step_before and time > time_before
    ]
    if not spans:
        return None
    usual = median(time / many for many, time in spans)
    sane = [(many, time) for many, time in spans if time / many <= _LONGEST * usual]
    return sum(time for _, time in sane) / sum(many for many, _ in sane)


def time_left(pace: float | None, step: int | None, total: int | None) -> float | None:
    """Give the seconds to the end at this pace; None where that says nothing."""
    if pace is None or step is None or total is None:
        return None
    left = pace * (total - step)
    return left if left >= SHORTEST_SECONDS else None


class Pace:
    """The pace of a run as its logs come; a step that comes again begins anew."""

    def __init__(self) -> None:
        self._logs: deque[tuple[float, float]] = deque(maxlen=LOOKED_AT)

    def take(self, step: float, at: float | None) -> None:
        """Take a log; one without a time says nothing."""
        if self._logs and step <= self._logs[-1][0]:
            self._logs.clear()
        if at is not None:
            self._logs.append((step, at))

    def left(self, total: int | None) -> float | None:
        """Give the seconds to the end as of the last log; None where nothing can be said."""
        if not self._logs:
            return None
        steps, times = zip(*self._logs, strict=True)
        return time_left(seconds_per_step(steps, times), int(steps[-1]), total)
