"""Blind comparison of two targets: votes without knowing whose answer is whose, and their tally."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from arkor_tui.archive.records import FindingRow
from arkor_tui.chat.signtest import p_value

from .session import Session
from .updates import Target

Vote = Literal["first", "second", "tie"]
KIND = "vote"


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


async def save_vote(
    session: Session, run_key: int, prompt: str, first: Target, second: Target, vote: Vote
) -> None:
    """Keep a vote with the run."""
    preferred = {"first": first.label, "second": second.label, "tie": None}[vote]
    data = {
        "prompt": prompt,
        "first": first.label,
        "second": second.label,
        "preferred": preferred,
    }
    await session.archive.write(lambda a: a.save_finding(run_key, KIND, "blind A/B", None, data))


def tally(findings: Iterable[FindingRow], a: str, b: str) -> Tally:
    """The votes between two targets, in whichever order they were shown."""
    wins_a = wins_b = ties = 0
    for row in findings:
        if row.kind != KIND or {row.data.get("first"), row.data.get("second")} != {a, b}:
            continue
        preferred = row.data.get("preferred")
        wins_a += preferred == a
        wins_b += preferred == b
        ties += preferred is None
    return Tally(a, b, wins_a, wins_b, ties)
