"""Where the ticks of an axis are and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST = 60
_HIGHEST = 308.25  # the logarithm of the largest float
_LOWEST_DECADE = -307  # powers of ten below are not exact, and finally zero
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400.0
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on the axis, in the axis' own unit (the logarithm on a log axis), and its label."""

    at: float
    label: str


def nice_ticks(lo: float, hi: float, count: int, *, whole: bool = False) -> list[Tick]:
    """About ``count`` round numbers from ``lo`` to ``hi``; ``whole`` keeps to integers."""
    span = hi - lo
    if not math.isfinite(span):
        return [Tick(lo, short(lo, abs(lo))), Tick(hi, short(hi, abs(hi)))]
    step = nice_step(span, count)
    if step is None:
        return [Tick(lo, short(lo, 1.0))]
    if whole:
        step = max(step, 1.0)
    # of large numbers close together, a multiple of the step is rounded to just outside
    ticks = [Tick(min(max(at, lo), hi), short(at, step)) for at in _multiples(lo, hi, step)]
    if len({tick.label for tick in ticks}) < len(ticks):  # too close for a short label
        ticks = [Tick(at, repr(at)) for at in dict.fromkeys(tick.at for tick in ticks)]
    return ticks or [Tick(lo, short(lo, step))]


def nice_step(span: float, count: int) -> float | None:
    """The first of 1, 2, 5, 10, … that divides ``span`` into at most about ``count`` parts."""
    raw = span / max(count, 1)
    if not raw > 1e-300:
        return None
    base = 10.0 ** math.floor(math.log10(raw))
    return next((base * times for times in (1, 2, 5) if base * times >= raw * 0.999), base * 10)


def log_ticks(lo: float, hi: float, count: int) -> list[Tick]:
    """Ticks of a log axis; ``lo`` and ``hi`` are logarithms to base 10."""
    hi = min(hi, _HIGHEST)  # a margin above the largest values has no powers of ten
    decades = range(max(math.ceil(lo - 1e-9), _LOWEST_DECADE), math.floor(hi + 1e-9) + 1)
    if len(decades) >= max(count, 2):
        every = -(-len(decades) // max(count, 1))
        return [Tick(float(d), power(d)) for d in decades if d % every == 0]
    if hi - lo < 0.8:
        ticks = nice_ticks(10**lo, 10**hi, count)
        return [Tick(math.log10(tick.at), tick.label) for tick in ticks if tick.at > 0]
    ticks = []
    for decade in range(math.floor(lo), math.ceil(hi) + 1):
        for times in (1, 2, 5) if hi - lo < 2 else (1, 3):
            at = decade + math.log10(times)
            if lo - 1e-9 <= at <= hi + 1e-9:
                ticks.append(Tick(at, power(decade) if times == 1 else _times(times, decade)))
    return ticks


def time_ticks(lo: float, hi: float, count: int) -> list[Tick]:
    """Ticks of elapsed seconds at whole seconds, minutes, hours and days."""
    raw = (hi - lo) / max(count, 1)
    if raw <= 1:
        step = 1.0
    elif raw <= _SECONDS[-1]:
        step = float(next(seconds for seconds in _SECONDS if seconds >= raw))
    else:
        step = max(nice_step((hi - lo) / _DAY, count) or 1.0, 1.0) * _DAY
    return [Tick(at, elapsed(at)) for at in _multiples(lo, hi, step)] or [Tick(lo, elapsed(lo))]


def _multiples(lo: float, hi: float, step: float) -> list[float]:
    first, last = math.ceil(lo / step - 1e-9), math.floor(hi / step + 1e-9)
    return [number * step for number in range(first, min(last, first + _MOST) + 1)]


def elapsed(seconds: float) -> str:
    """``0:42``, ``1:05:00``, ``3d``, ``3d 4h``."""
    whole = int(seconds)
    if whole < 0:
        return f"-{elapsed(-whole)}"
    if whole >= 2 * _DAY:
        days, rest = divmod(whole, int(_DAY))
        return f"{days}d {rest // 3600}h" if rest >= 3600 else f"{days}d"
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def power(decade: int) -> str:
    """A power of ten in few characters: 0.01, 1, 1k, 1e-5."""
    return short(10.0**decade, 10.0**decade)


def _times(times: int, decade: int) -> str:
    return short(times * 10.0**decade, 10.0**decade)


def short(value: float, step: float) -> str:
    """A tick's number in as few characters as its distance to the next one allows: 1.2k, 3e-4."""
    size = abs(value)
    if size == 0 or size < step * 1e-6:
        return "0"
    step = step or size
    if size >= 1e15 or (size < 1e-3 and step < 1e-3):
        digits = max(0, math.floor(math.log10(size)) - math.floor(math.log10(step) + 1e-9))
        mantissa, exponent = f"{value:.{min(digits, 12)}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    unit, letter = next(((u, x) for u, x in _UNITS if size >= u and size >= 1000), (1.0, ""))
    digits = max(0, math.ceil(-math.log10(step / unit) - 1e-9)) if step < unit else 0
    return f"{value / unit:.{min(digits, 12)}f}{letter}"
