"""Bytes of the body that become other ones, with nothing in HTTP that says so.

The protocol has no checksum. What TLS and this machine's loopback keep whole, nobody can promise
without them: a digit of a loss that becomes another digit is another loss. What can be promised,
and is tested here:

- A byte of a frame's JSON changes that event alone. Every other event is archived once, in order,
  as it was; the run's end is known. The event itself is archived as it came, or its frame cannot
  be read: then it is skipped, counted as malformed and not asked for again, because by the protocol
  an unreadable frame's id counts as well.
- Any byte at all, ids and blank lines too, may lose more: an id that has become a later one makes
  the next connection begin there. Never does it end in an error, in an event that is archived twice
  under one id, or in a wrong status; and that something was lost shows in the stream's health.

Bytes that HTTP can check, in heads and chunk sizes, are garbled by the schedules of test_network.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from arkor_tui.archive.async_archive import AsyncArchive
from tests.support import fault_clock as clock
from tests.support.fault_lab import Story, live_through
from tests.support.fault_schedule import Do, Fault, Manner, Passage, Schedule, Smudge


def draw(seed: int, *, json_only: bool) -> Schedule:
    """A run with some cuts, and some smudges in each connection."""
    rng = random.Random(seed)
    cuts: list[Do] = ["cut", "reset"]

    def passage() -> Passage:
        spots = sorted(rng.sample(range(60), rng.randint(1, 5)))
        return Passage(
            (Fault(rng.randrange(100, 20_000), rng.choice(cuts)),),
            smudges=tuple((spot, Smudge(rng.getrandbits(32), json_only)) for spot in spots),
        )

    return Schedule(
        seed=seed,
        events=rng.randint(50, 150),
        ids="counter",
        ending=rng.choice(("completed", "failed", "silent")),
        connections=tuple((Manner(), passage()) for _ in range(rng.randint(1, 5))),
    )


async def _stories(folder: Path, *, json_only: bool) -> list[Story]:
    archive = await AsyncArchive.open(folder / "history.db")
    try:
        with pytest.MonkeyPatch.context() as patch:
            return [
                await live_through(draw(seed, json_only=json_only), archive, patch, tcp=False)
                for seed in range(40)
            ]
    finally:
        await archive.aclose()


def test_a_byte_of_an_event_changes_that_event_alone(tmp_path: Path) -> None:
    changed = lost = 0
    for story in clock.run(_stories(tmp_path, json_only=True)):
        (life,) = story.lives
        smudged = {chunk for trace in life.traces for chunk in trace.smudged}
        touched = {e.id for e in story.backend.events if e.frame + b"\r\n" in smudged}
        got = [(row.id, row.data) for row in story.rows]
        sent = [(one.id, one.data) for one in story.backend.events]
        assert [one for one in got if one[0] not in touched] == [
            one for one in sent if one[0] not in touched
        ]
        ids = [row.id for row in story.rows]
        assert ids == [one.id for one in story.backend.events if one.id in set(ids)]
        missing = len(sent) - len(ids)
        assert life.health.malformed == missing
        assert story.record.status == story.backend.status
        assert life.problems == []
        changed += len(set(got) - set(sent))
        lost += missing
    assert min(changed, lost) > 20


def test_any_byte_at_all_ends_in_no_error_and_what_is_lost_shows(tmp_path: Path) -> None:
    lost = 0
    for story in clock.run(_stories(tmp_path, json_only=False)):
        (life,) = story.lives
        assert life.problems == []
        assert story.record.status == story.backend.status
        named = [row.id for row in story.rows if row.id is not None]
        assert len(named) == len(set(named))
        contents = {row.data for row in story.rows}
        smudged = {chunk for trace in life.traces for chunk in trace.smudged}
        for one in story.backend.events:
            if one.data not in contents and one.frame + b"\r\n" not in smudged:
                lost += 1
                assert life.health.missing + life.health.malformed > 0
    assert lost > 0
