"""Seeded faults between client and backend: nothing is lost, doubled or out of order.

``ARKOR_TUI_TEST_SCHEDULES`` says how many schedules are run over pipes in memory,
``ARKOR_TUI_TEST_SOCKETS`` how many over a real TCP proxy, ``ARKOR_TUI_TEST_SEED`` with which seed
they begin. Each is one run of some hundred events, through the real client, monitor and archive,
in virtual time: no wait is real, and each is checked to the last digit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.archive.async_archive import AsyncArchive
from tests.support import fault_clock as clock
from tests.support.amounts import amount, examples, patience
from tests.support.fault_lab import Story, live_through
from tests.support.fault_schedule import (
    IDS,
    LINE_ENDS,
    REFUSALS,
    Do,
    Fault,
    Manner,
    Passage,
    Schedule,
    draw,
    may_double,
)
from tests.support.fault_verdict import judge

SCHEDULES = amount("SCHEDULES", 200, 1_000)
SOCKETS = amount("SOCKETS", 10, 100)
SEED = amount("SEED", 1, 1)
PART = 100  # schedules of one test
GRACE = 0.002  # real seconds for bytes on their way through the kernel

pytestmark = pytest.mark.timeout(patience(180 + SCHEDULES // 10 + SOCKETS))


async def _all(schedules: Iterable[Schedule], folder: Path, *, tcp: bool) -> list[Story]:
    """Live through all of them with one archive, and judge each."""
    archive = await AsyncArchive.open(folder / "history.db")
    stories = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            for schedule in schedules:
                try:
                    story = await live_through(schedule, archive, patch, tcp=tcp)
                    judge(story)
                except BaseException as error:
                    error.add_note(f"{'over TCP' if tcp else 'in memory'}: {schedule}")
                    raise
                stories.append(story)
    finally:
        await archive.aclose()
    return stories


def _seen(stories: Iterable[Story]) -> Counter[str]:
    """Which faults have happened, and how often."""
    return Counter(
        did
        for story in stories
        for life in story.lives
        for trace in life.traces
        for did in trace.did
    )


@pytest.mark.parametrize("part", range(-(-SCHEDULES // PART)))
def test_each_event_once_in_order_and_waits_by_the_policy(part: int, tmp_path: Path) -> None:
    first = SEED + part * PART
    count = min(PART, SCHEDULES - part * PART)
    stories = clock.run(_all(map(draw, range(first, first + count)), tmp_path, tcp=False))
    if count == PART:  # the laboratory has to do what it is there for
        seen = _seen(stories)
        assert set(seen) >= {*get_args(Do), "refused", "forgets", "stale", "again"}
        assert sum(len(story.lives) > 1 for story in stories) > 10


def test_the_same_over_real_sockets(tmp_path: Path) -> None:
    schedules = map(draw, range(SEED, SEED + SOCKETS))
    clock.run(_all(schedules, tmp_path, tcp=True), grace=GRACE)


def test_every_byte_for_itself(tmp_path: Path) -> None:
    one_by_one = Passage((Fault(0, "split", 1_000_000),))
    schedules = [
        Schedule(
            number,
            30,
            ids,
            "completed",
            ((Manner(eol=eol, bom=True, odd=40, events=12), one_by_one), (Manner(), one_by_one)),
        )
        for number, (ids, eol) in enumerate(product(("counter", "mixed"), LINE_ENDS))
    ]
    clock.run(_all(schedules, tmp_path, tcp=False))


def test_a_cut_anywhere(tmp_path: Path) -> None:
    # the first answer ends after n bytes, in its head, in a chunk's size, in a frame or behind it
    base = Schedule(1, 3, "counter", "completed", ())
    cuts: list[Do] = ["cut", "reset"]
    schedules = [
        replace(base, seed=at, connections=((Manner(), Passage((Fault(at, cuts[at % 2]),))),))
        for at in range(0, 560, 5)
    ]
    stories = clock.run(_all(schedules, tmp_path, tcp=False))
    assert {len(story.lives[0].traces) for story in stories} == {2}


counts = st.integers(0, 12)
faults = st.builds(
    Fault,
    at=st.integers(0, 3_000),
    do=st.sampled_from(get_args(Do)),
    amount=st.integers(1, 44),
)
passages = st.builds(
    Passage,
    faults=st.lists(faults, max_size=3).map(
        lambda some: tuple(sorted(some, key=lambda fault: fault.at))
    ),
    refused=st.booleans(),
    forgets=st.booleans(),
    stale=st.booleans(),
    again=counts,
)
manners = st.builds(
    Manner,
    kind=st.sampled_from(("events", "events", "status", "nothing", "pings", "garbage", "html")),
    status=st.sampled_from(REFUSALS),
    events=st.none() | counts,
    deaf=st.booleans(),
    doubled=st.booleans(),
    odd=st.sampled_from((0, 30)),
    group=st.integers(1, 5),
    eol=st.sampled_from(LINE_ENDS),
)


@st.composite
def schedules(pick: st.DrawFn) -> Schedule:
    """Small ones; what breaks is then made smaller still."""
    ids = pick(st.sampled_from(IDS))
    connections = pick(st.lists(st.tuples(manners, passages), max_size=5))
    if not may_double(ids):
        connections = [
            (replace(manner, doubled=False), replace(passage, again=0, stale=False))
            for manner, passage in connections
        ]
    return Schedule(
        seed=pick(st.integers(0, 999)),
        events=pick(st.integers(2, 12)),
        ids=ids,
        ending=pick(st.sampled_from(("completed", "failed", "silent"))),
        connections=tuple(connections),
        restarts=tuple(pick(st.lists(st.integers(1, 10), max_size=2))),
        recipes=pick(st.booleans()),
    )


@settings(max_examples=examples(60))
@given(schedules())
def test_any_schedule_at_all(tmp_path_factory: pytest.TempPathFactory, schedule: Schedule) -> None:
    clock.run(_all([schedule], tmp_path_factory.mktemp("any"), tcp=False))


def test_two_processes_with_one_archive(tmp_path: Path) -> None:
    """Each has faults of its own; both write, and the archive has each event once.

    One of them runs the callbacks, which hear each event once, whoever archived it first.
    """

    async def both() -> None:
        archives = [await AsyncArchive.open(tmp_path / "history.db") for _ in range(2)]
        try:
            with pytest.MonkeyPatch.context() as patch:
                for seed in range(SEED, SEED + 10):
                    mine = replace(draw(seed), restarts=(), recipes=True)
                    other = replace(draw(seed + 1_000), restarts=())
                    theirs = replace(mine, connections=other.connections, recipes=False)
                    stories = await asyncio.gather(
                        live_through(mine, archives[0], patch, tcp=False),
                        live_through(theirs, archives[1], patch, tcp=False),
                    )
                    for story in stories:
                        judge(story, alone=False)
        finally:
            for archive in archives:
                await archive.aclose()

    clock.run(both())
