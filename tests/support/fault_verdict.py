"""Whether a run came through its faults: each event once, in order, and waits by the policy.

What the client should have made of its connections is worked out here a second time, from the very
bytes that it got and without a line of the program's own code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from tests.support.fault_backend import CALLED
from tests.support.fault_lab import POLICY, Life, Story, Told
from tests.support.fault_network import Trace

Outcome = Literal["failure", "clean", "end"]


def judge(story: Story, *, alone: bool = True) -> None:
    """Fail unless everything is as it was promised.

    ``alone``: nobody else wrote to the archive or drew from the random source, so that waits and
    counters are known as well.
    """
    events = story.backend.events
    got = [(row.id, row.kind, row.at, row.data) for row in story.rows]
    assert got == [(one.id, one.kind, one.at, one.data) for one in events]
    assert [row.seq for row in story.rows] == list(range(1, len(events) + 1))
    record = story.record
    assert (record.events, record.status) == (len(events), story.backend.status)
    named = [one.id for one in events if one.id is not None]
    assert record.last_event_id == (named[-1] if named else None)

    expected = [(CALLED[one.kind], one.at) for one in events if one.kind in CALLED]
    if story.backend.status == "cancelled":
        expected.append(("failed", None))  # the stream does not say it, the job does
    told: list[Told] = []
    for life in story.lives:
        heard = life.diary.replayed + life.diary.told
        assert heard == expected[: len(heard)]
        assert heard[: len(told)] == told  # what was heard in an earlier life is only replayed
        told += life.diary.told
        assert life.problems == []
        if alone and life.recipes:  # a callback hears of them
            _judge_waits(life)
    assert len(heard) == (len(expected) if life.recipes else 0)
    assert told == heard  # each once, whoever archived it and however often we were killed
    if alone and len(story.lives) == 1:
        _judge_health(story)


def _judge_waits(life: Life) -> None:
    """The wait after each connection, to the last digit, and that it was waited in full."""
    states = life.diary.states
    waits = [state for _, state in states if state.phase == "reconnecting"]
    failures = 0
    for trace, wait in zip(life.traces, waits, strict=False):
        outcome, progressed = outcome_of(trace)
        if trace.passage.garbles or trace.lossy:  # what the client got is not sure
            outcome = "failure" if wait.attempt else "clean"
            progressed = outcome == "clean" or wait.attempt == 1
        failures = 0 if progressed else failures
        if outcome == "clean":
            assert (wait.attempt, wait.delay) == (0, POLICY.base_delay)
            continue
        plain = min(POLICY.base_delay * 2**failures, POLICY.max_delay)
        drawn = plain + life.draws.uniform(-plain / 4, plain / 4)
        failures += 1
        assert outcome == "failure"
        assert (wait.attempt, wait.delay) == (failures, min(drawn, POLICY.max_delay))
    for (at, state), (later, following) in pairwise(states):
        if state.phase == "reconnecting":
            assert following.phase == "connecting"
            assert abs(later - at - state.delay) < 1e-6
    if not life.killed:
        # none where everything was archived before the last kill
        assert len(waits) == max(len(life.traces) - 1, 0)


def _judge_health(story: Story) -> None:
    (life,) = story.lives
    health = life.health
    assert health.reconnects == len(life.traces) - 1
    numbers = [int(one.id) for one in story.backend.events if (one.id or "").isdecimal()]
    if len(numbers) == len(story.backend.events):
        assert health.missing == numbers[-1] - numbers[0] + 1 - len(numbers)
    if any(trace.passage.garbles or trace.lossy for trace in life.traces):
        return
    events = malformed = 0
    for trace in life.traces:
        for block in _read(trace).blocks:
            if block.name == "end":
                break
            if block.data and block.name != "ping":
                events += block.is_event
                malformed += not block.is_event
            if block.kind in ("training.completed", "training.failed"):
                break
    assert health.malformed == malformed
    assert health.events == len(story.backend.events)
    assert health.repeats == events - health.events


@dataclass(frozen=True)
class _Block:
    """What stood between two blank lines."""

    name: str
    data: str

    @cached_property
    def kind(self) -> str:
        """The event's type; empty where it is none."""
        try:
            parsed = json.loads(self.data, parse_constant=_refuse)
        except ValueError:
            return ""
        kind = parsed.get("type") if isinstance(parsed, dict) else None
        if kind in ("training.log", "checkpoint.saved") and not isinstance(parsed.get("step"), int):
            return ""
        return kind if isinstance(kind, str) else ""

    @property
    def is_event(self) -> bool:
        return bool(self.data) and self.name != "ping" and bool(self.kind)


def _refuse(token: str) -> None:
    raise ValueError(token)


@dataclass(frozen=True)
class _Got:
    status: int
    is_stream: bool
    whole: bool
    blocks: list[_Block]


def outcome_of(trace: Trace) -> tuple[Outcome, bool]:
    """How a connection has to be taken, and whether an event came with it."""
    got = _read(trace)
    if got.status != 200 or not got.is_stream:
        return "failure", False
    progressed = False
    for block in got.blocks:
        if block.name == "end":
            return "end", progressed
        progressed = progressed or block.is_event
    return ("clean" if got.whole and progressed else "failure"), progressed


def _read(trace: Trace) -> _Got:
    head, mark, rest = bytes(trace.got).partition(b"\r\n\r\n")
    if not mark:
        return _Got(0, False, False, [])
    body, whole = bytearray(), False
    while (line := re.match(rb"([0-9a-f]+)\r\n", rest)) is not None:
        size = int(line[1], 16)
        body += rest[line.end() : line.end() + size]
        whole = size == 0 and rest[line.end() :] == b"\r\n"
        rest = rest[line.end() + size + 2 :]
    is_stream = b"\r\ncontent-type: text/event-stream" in head.lower()
    blocks = list(_blocks(bytes(body))) if is_stream else []
    return _Got(int(head.split(b" ")[1]), is_stream, whole, blocks)


def _blocks(body: bytes) -> Iterator[_Block]:
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    *blocks, _ = text.split("\n\n")
    for block in blocks:
        fields: dict[str, list[str]] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
        yield _Block(fields.get("event", [""])[-1], "\n".join(fields.get("data", [])))
