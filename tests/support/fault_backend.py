"""The other side of the laboratory: a run's history, and a server with a schedule's manners."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.fault_schedule import Manner, Schedule
from tests.support.frames import END, PING, frame
from tests.support.scripted import JOB, JOB_ID, Answer, Reply, Request, Server, Stream

START = datetime(2026, 8, 7, 10, tzinfo=UTC)
CALLED = {
    "training.started": "started",
    "training.log": "log",
    "checkpoint.saved": "checkpoint",
    "training.completed": "completed",
    "training.failed": "failed",
}
"""Which callback an event fires."""


@dataclass(frozen=True)
class Event:
    """One event of a run's history, as the archive has to have it; no two have the same time."""

    id: str | None
    kind: str
    at: str
    data: str

    @property
    def frame(self) -> bytes:
        return frame(self.data, self.id, self.kind)


def history(schedule: Schedule) -> list[Event]:
    """The whole run of a schedule."""
    rng = random.Random(f"history {schedule.seed}")
    last = schedule.events
    events, number = [], rng.randint(0, 3)
    for n in range(1, last + 1):
        number += rng.choice((1, 1, 1, 5)) if schedule.ids == "gaps" else 1
        at = (START + timedelta(seconds=n)).isoformat(timespec="milliseconds")
        kind, fields = _event(rng, n, last, schedule.ending)
        text = json.dumps(
            {"type": kind, "jobId": JOB_ID, "timestamp": at, **fields}, ensure_ascii=False
        )
        without = schedule.ids == "mixed" and n > 1 and rng.random() < 0.5
        event_id = None if without else _id(rng, schedule.ids, number, at)
        events.append(Event(event_id, kind, at, text.replace('"1e309"', "1e309")))
    return events


def _event(rng: random.Random, n: int, last: int, ending: str) -> tuple[str, dict[str, Any]]:
    if n == 1:
        return "training.started", {"metadata": {"steps": last, "note": "é😀\u2028"}}
    if n == last and ending != "silent":
        error = {"error": "out of memory"} if ending == "failed" else {"artifacts": [1]}
        return f"training.{ending}", error
    if n % 25 == 0:
        return "checkpoint.saved", {"step": n}
    if rng.random() < 0.02:
        return "training.paused", {"why": "a later protocol"}
    loss = rng.choice((1.5, round(3 / n, 4), None, "1e309"))
    return "training.log", {"step": n, "loss": loss, "evalLoss": rng.choice((None, 2.5))}


def _id(rng: random.Random, style: str, number: int, at: str) -> str | None:
    match style:
        case "none":
            return None
        case "iso":
            return at
        case "opaque":
            # the vertical tab can be in no header: the client then has to go without
            odd = rng.choice(("é😀", " ", "~", "#", "%2F", ":", "\x0b", "0"))
            return f"{odd}{rng.getrandbits(40):x}-{number}"
    return str(number)


class Backend:
    """Answers the openings of a schedule. ``opening`` in a request says which one it is."""

    def __init__(self, schedule: Schedule, manner: Callable[[int], Manner]) -> None:
        self.schedule = schedule
        self.events = history(schedule)
        self._manner = manner
        self._frames = [event.frame for event in self.events]
        self._place = {
            event.id.strip(): n for n, event in enumerate(self.events, 1) if event.id is not None
        }

    @property
    def status(self) -> str:
        """What the job says once all was told."""
        return "cancelled" if self.schedule.ending == "silent" else self.schedule.ending

    def serve(self, server: Server) -> None:
        """Have a scripted server answer for this run."""
        server.job = {**JOB, "status": "running"}

        def feed(request: Request) -> Reply:
            opening = int(request.headers["x-opening"])
            manner = self._manner(opening)
            if manner.kind == "events" and manner.events is None:
                error = "out of memory" if self.status == "failed" else None
                server.job = {**server.job, "status": self.status, "error": error}
            return self.answer(opening, manner, request.headers.get("last-event-id"))

        server.feed = feed

    def answer(self, opening: int, manner: Manner, last_id: str | None) -> Reply:
        """The answer to one opening."""
        rng = random.Random(f"answer {self.schedule.seed} {opening}")
        if manner.kind == "status":
            return Answer(manner.status, {"error": "not now"})
        frames = list(self._sent(rng, manner, last_id))
        if manner.kind == "events" and manner.events is None:
            frames.append(rng.choice((END, b"event: end\n\n", b"event:end\ndata:\n\n")))
        steps = [
            b"".join(frames[n : n + manner.group]).replace(b"\n", manner.eol)
            for n in range(0, len(frames), manner.group)
        ]
        if manner.bom and steps:
            steps[0] = b"\xef\xbb\xbf" + steps[0]
        return Stream(tuple(steps), "text/html" if manner.kind == "html" else "text/event-stream")

    def _sent(self, rng: random.Random, manner: Manner, last_id: str | None) -> Iterator[bytes]:
        if manner.kind == "nothing":
            return
        if manner.kind in ("pings", "garbage"):
            for _ in range(rng.randint(1, 5)):
                yield PING if manner.kind == "pings" else _odd(rng, None)
            return
        first = self._place.get(last_id or "", 0) if not manner.deaf else 0
        until = len(self.events) if manner.events is None else first + manner.events
        before = None
        for event, bytes_ in zip(self.events[first:until], self._frames[first:until], strict=True):
            if rng.randrange(100) < manner.odd:
                yield _odd(rng, before)
            yield bytes_
            if manner.doubled:
                yield bytes_
            before = event.id


def _odd(rng: random.Random, last_id: str | None) -> bytes:
    """Something that is no event; if it carries an id, then that of the event before it."""
    own_id = rng.choice((None, last_id))
    return rng.choice(
        (
            PING,
            b"event: ping\n\n",
            b": a comment\n\n",
            b"\n\n\n",
            b"retry: 10\n\n",
            b"event: training.log\n\n",
            b"data:\n\n",
            b"id\n\n",
            b"novel: field\ndata\n\n",
            frame("not json", own_id, "training.log"),
            frame("null", own_id, "training.log"),
            frame("[1, 2]", own_id),
            frame('{"type": "training.log", "step": 1, "loss": NaN}', own_id, "training.log"),
            frame('{"type": "training.log", "loss": 1}', own_id, "training.log"),
            frame('{"type": "training.log"\n"step": 1}', own_id, "training.log"),
            frame("{}", own_id, "ping"),
        )
    )
