"""Blind comparison of two targets: votes without knowing whose answer is whose, and their tally."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .signtest import p_value

Vote = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each of two targets was preferred; ``p`` is that of the exact sign test."""

    a: str
    b: str
    wins_a: int = 0
    wins_b: int = 0
    ties: int = 0

    @property
    def votes(self) -> int:
        """All of them."""
        return self.wins_a + self.wins_b + self.ties

    @property
    def p(self) -> float:
        """How likely so uneven a tally is if both are equally good; ties are left out."""
        return p_value(self.wins_a, self.wins_b)

    @property
    def text(self) -> str:
        """For people."""
        text = f"{self.a}: {self.wins_a} · {self.b}: {self.wins_b} · ties: {self.ties}"
        if self.wins_a + self.wins_b == 0:
            return text
        sure = "more than chance" if self.p < 0.05 else "may be chance"
        return f"{text} · sign test p = {self.p:.3g} ({sure})"


def tally(votes: Iterable[Mapping[str, Any]], a: str, b: str) -> Tally:
    """Count the votes between two targets, in whichever order they were shown.

    A vote tells ``first``, ``second`` and ``preferred``: two labels, and one of them or None.
    """
    wins_a = wins_b = ties = 0
    for vote in votes:
        if {vote.get("first"), vote.get("second")} != {a, b}:
            continue
        preferred = vote.get("preferred")
        wins_a += preferred == a
        wins_b += preferred == b
        ties += preferred is None
    return Tally(a, b, wins_a, wins_b, ties)
