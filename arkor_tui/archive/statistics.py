"""The numbers of Studio's advanced statistics (docs/protocol.md, section 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL95 = 1.96


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of ``n`` values: everything is NaN where there are none.

    The mean lies within ``mean ± half_width_95`` with 95 % confidence (Student's t; the normal
    distribution beyond 30 degrees of freedom). ``variance`` is divided by n - 1, ``deviation`` is
    its root; both, and the half-width, are 0 for one value, which says nothing of them.
    """

    n: int
    mean: float
    half_width_95: float
    variance: float
    deviation: float
    p90: float
    p95: float

    def spread(self, value: float) -> str:
        """How a half-width, a variance or a deviation reads: a dash where there is none yet."""
        return f"{value:.4f}" if self.n > 1 else "–"


def summary(values: Sequence[float]) -> Statistics:
    """Statistics of finite values; the input is left as it is."""
    n = len(values)
    if n == 0:
        return Statistics(0, *[math.nan] * 6)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1) if n > 1 else 0.0
    deviation = math.sqrt(variance)
    half_width = t95(n - 1) * deviation / math.sqrt(n) if n > 1 else 0.0
    ordered = sorted(values)
    return Statistics(
        n,
        mean,
        half_width,
        variance,
        deviation,
        percentile(ordered, 0.90),
        percentile(ordered, 0.95),
    )


def t95(degrees: int) -> float:
    """The two-sided 95 % quantile for ``degrees`` of freedom, 1 or more."""
    return _T95[degrees - 1] if degrees <= len(_T95) else _NORMAL95


def percentile(ordered: Sequence[float], q: float) -> float:
    """The quantile ``q`` (held between 0 and 1) of ascending values.

    Linear interpolation at rank ``q * (n - 1)``; NaN without values.
    """
    if not ordered:
        return math.nan
    rank = min(max(q, 0.0), 1.0) * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
