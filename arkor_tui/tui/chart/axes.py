"""Where the ticks of an axis are and what they say."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from arkor_tui.history.series import Series

_PADDING = 0.04


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis, in the axis' own unit (the logarithm on a log axis), and its label."""

    at: float
    label: str


def bounds_for(
    series: Sequence[Series], lo: float, hi: float, log: bool
) -> tuple[tuple[float, float] | None, int]:
    """Lowest and highest value to show from step ``lo`` to ``hi``, with a margin, and how many
    values a log axis (whose bounds are logarithms to base 10) cannot show."""
    lows, highs, skipped = [], [], 0
    for one in series:
        found = one.bounds(lo, hi)
        if found is None:
            continue
        low, high = found
        if log and low <= 0:
            start, end = bisect_left(one.steps, lo), bisect_right(one.steps, hi)
            positive = [value for value in one.values[start:end] if value > 0]
            skipped += end - start - len(positive)
            if not positive:
                continue
            low, high = min(positive), max(positive)
        lows.append(math.log10(low) if log else low)
        highs.append(math.log10(high) if log else high)
    if not lows:
        return None, skipped
    low, high = min(lows), max(highs)
    span = high - low
    margin = span * _PADDING if span > abs(high) * 1e-12 else (abs(high) * 0.1 or 1.0)
    if not math.isfinite(margin):  # values at the ends of what a float can hold
        return (low, high), skipped
    # a loss does not go below zero, and an axis that does reads oddly
    bottom = 0.0 if not log and 0 <= low < span * 0.15 else low - margin
    return (bottom, high + margin), skipped


def nice_ticks(lo: float, hi: float, count: int, *, whole: bool = False) -> list[Tick]:
    """About ``count`` round numbers from ``lo`` to ``hi``; ``whole`` keeps to integers."""
    span = hi - lo
    if not math.isfinite(span) or span <= 0:
        return [Tick(lo, short(lo, 1.0))]
    raw = span / max(count, 1)
    base = 10.0 ** math.floor(math.log10(raw))
    step = next((base * m for m in (1, 2, 5, 10) if base * m >= raw), base * 10)
    if whole:
        step = max(step, 1.0)
    first = math.ceil(lo / step - 1e-9)
    last = math.floor(hi / step + 1e-9)
    ticks = [Tick(n * step, short(n * step, step)) for n in range(first, last + 1)]
    return ticks[: 4 * count] or [Tick(lo, short(lo, step))]


def log_ticks(lo: float, hi: float, count: int) -> list[Tick]:
    """Ticks of a log axis; ``lo`` and ``hi`` are logarithms to base 10."""
    decades = range(math.ceil(lo), math.floor(hi) + 1)
    if len(decades) >= 2:
        every = max(-(-len(decades) // max(count, 1)), 1)
        return [Tick(float(d), short(10.0**d, 10.0**d)) for d in decades if d % every == 0]
    return [Tick(t.at, f"{10**t.at:.3g}") for t in nice_ticks(lo, hi, count)]


def short(value: float, step: float) -> str:
    """A tick's number in as few characters as its distance to the next one allows."""
    size = abs(value)
    if size >= 1e15 or (size < 1e-4 and step < 1e-4):
        return "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            scale = 1e3 if unit == "k" else limit
            digits = max(0, math.ceil(-math.log10(step / scale) - 1e-9)) if step < scale else 0
            return f"{value / scale:.{digits}f}{unit}"
    digits = max(0, math.ceil(-math.log10(step) - 1e-9)) if step < 1 else 0
    return f"{value:.{digits}f}"


def x_label(axis: str, value: float | None, start: float) -> str:
    """What a step is called on an axis of epochs or of elapsed time."""
    if value is None:
        return ""
    if axis == "epoch":
        return f"{value:.2f}"
    seconds = int(value - start)
    minutes, left = divmod(max(seconds, 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
