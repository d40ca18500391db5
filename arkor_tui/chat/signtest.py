"""Whether one answer is preferred over another by more than chance."""

from __future__ import annotations

from math import comb


def p_value(wins: int, losses: int) -> float:
    """The exact two-sided sign test: how likely so uneven a tally is if both are equally good.

    Ties are left out. 1 where nothing was decided.

    Raises:
        ValueError: a count is negative.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"a tally of {wins} to {losses}")
    count = wins + losses
    if not count:
        return 1.0
    tail = sum(comb(count, k) for k in range(min(wins, losses) + 1))
    return min(float(2 * tail / 2**count), 1.0)
