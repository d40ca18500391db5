"""Votes without knowing whose answer is whose, and what they add up to."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_tui.chat.blind import Tally, tally
from arkor_tui.chat.target import Target
from arkor_tui.session.asking import save_vote, tally_of
from arkor_tui.session.session import Session
from tests.support.archive_material import IDENTITY, job


async def test_votes_are_kept_and_counted_for_each_pair(tmp_path: Path) -> None:
    base, final, early = Target("base"), Target("final"), Target("checkpoint", 25)
    async with Session.open(tmp_path, archive_path=tmp_path / "history.db") as session:
        key = await session.archive.write(lambda a: a.register(IDENTITY, job()))
        await save_vote(session, key, "hi", base, final, "second")
        await save_vote(session, key, "hi", final, base, "first")
        await save_vote(session, key, "ho", final, base, "second")
        await save_vote(session, key, "ho", base, final, "tie")
        await save_vote(session, key, "hi", early, final, "first")
        await session.archive.write(lambda a: a.save_finding(key, "guard", "x", None, {}))
        found = await session.archive.read(lambda a: a.findings(key))
        assert await tally_of(session, key, final, base) == Tally("final", "base", 2, 1, 1)
    votes = [row.data for row in found]
    assert tally(votes, "final", "base") == Tally("final", "base", 2, 1, 1)
    assert tally(votes, "base", "final") == Tally("base", "final", 1, 2, 1)
    assert tally(votes, "step 25", "final") == Tally("step 25", "final", 1, 0, 0)
    assert tally(votes, "step 25", "base").votes == 0
    told = next(row for row in found if row.kind == "vote")
    assert told.data == {"prompt": "hi", "first": "base", "second": "final", "preferred": "final"}


@pytest.mark.parametrize(
    ("wins", "text"),
    [
        ((0, 0, 2), "a: 0 · b: 0 · ties: 2"),
        ((3, 2, 1), "a: 3 · b: 2 · ties: 1 · sign test p = 1 (may be chance)"),
        ((6, 0, 0), "a: 6 · b: 0 · ties: 0 · sign test p = 0.0312 (more than chance)"),
    ],
)
def test_a_tally_says_whether_it_may_be_chance(wins: tuple[int, int, int], text: str) -> None:
    found = Tally("a", "b", *wins)
    assert found.text == text
    assert found.votes == sum(wins)
