"""Every odd stream of docs/protocol.md, through client, callbacks and archive.

Virtual time, and no jitter: the waits are told to the last digit.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.api import sse
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LogRow, RunRecord
from tests.support import fault_clock as clock
from tests.support.fault_lab import Life, follow_script
from tests.support.frames import (
    BARE_END,
    END,
    PING,
    checkpoint,
    completed,
    event,
    failed,
    frame,
    log,
    started,
)
from tests.support.scripted import (
    DROP,
    JOB,
    JOB_ID,
    Answer,
    Reply,
    Server,
    Stream,
    Unanswered,
    stream,
)


@dataclass(frozen=True)
class Odd:
    """A stream, opening by opening, and what has to come of it."""

    name: str
    openings: Sequence[Reply]
    ids: str
    """Of what is archived, in order; ``-`` where there is none."""
    told: str
    """The callbacks: first letters of started, log, checkpoint, completed (``e``), failed."""
    waits: Sequence[float] = ()
    asked: Sequence[str | None] | None = None
    """The ``Last-Event-ID`` of each opening."""
    malformed: int = 0
    repeats: int = 0
    status: str = "completed"
    job: Sequence[dict[str, Any]] = ()
    """What asking for the job gives, one after another."""


def nameless(step: int) -> bytes:
    """A log event without an id."""
    return event("training.log", None, step=step, loss=1.0)


def whole(body: bytes, **headers: str) -> Answer:
    """An answer with a length, as servers without chunks give it."""
    return Answer(200, body, {"Content-Type": "text/event-stream", **headers})


def job(status: str, **fields: Any) -> dict[str, Any]:
    return {"job": {**JOB, "status": status, **fields}}


def deflated(body: bytes) -> Answer:
    """A packed answer."""
    return whole(zlib.compress(body), **{"Content-Encoding": "deflate"})


MOST = 2_000_000
"""Characters of a frame that are too many, here; really it is eight times that."""
LATER = (302, 400, 404, 408, 429, 500, 502, 503, 504)
ISO = ["2026-08-07T10:00:01Z", "2026-08-07T10:00:02Z", "2026-08-07T10:00:03Z"]
NAN = b'id: 2\ndata: {"type":"training.log","step":1,"loss":NaN}\n\n'
INFINITE = frame('{"type":"training.log","step":1,"loss":1e309,"evalLoss":-1e309}', "2")
TAIL = completed("9") + END
GARBAGE = [frame(text) for text in ("{", "null", "[]", '"x"', "3", "{}", '{"type":null}', "\x00")]

ODD = [
    Odd(
        "no ids at all",
        [
            stream(event("training.started", None), nameless(1), DROP),
            stream(event("training.started", None), nameless(1), nameless(2)),
            stream(event("training.started", None), nameless(1), nameless(2), completed(None), END),
        ],
        "- - - -",
        "sllc",
        [1, 1],
        [None, None, None],
        repeats=2 + 3,
    ),
    Odd(
        "times as ids",
        [stream(started(ISO[0]), log(1, ISO[1])), stream(log(1, ISO[1]), completed(ISO[2]), END)],
        " ".join(ISO),
        "slc",
        [1],
        [None, ISO[1]],
        repeats=1,
    ),
    Odd("an end without a word", [stream(started("1"), completed("2"), BARE_END)], "1 2", "sc"),
    Odd(
        "an end before the run's",
        [stream(started("1"), log(1, "2"), END)],
        "1 2",
        "slc",
        job=[job("running"), job("running"), job("running"), job("completed")],
    ),
    Odd(
        "an end before a cancelled run's",
        [stream(started("1"), BARE_END)],
        "1",
        "sf",
        status="cancelled",
        job=[job("running"), job("cancelled")],
    ),
    Odd(
        "a cancelled run, as the reference server says it",
        [stream(started("1"), failed("Job cancelled", "2"), END)],
        "1 2",
        "sf",
        status="cancelled",
    ),
    Odd(
        "a failed run without an end",
        [stream(started("1"), failed("out of memory", "2"))],
        "1 2",
        "sf",
        status="failed",
    ),
    Odd(
        "garbage between events",
        [stream(started("1"), *GARBAGE, NAN, log(1, "3"), *GARBAGE, TAIL)],
        "1 3 9",
        "slc",
        malformed=2 * len(GARBAGE) + 1,
    ),
    Odd(
        "infinite numbers",
        [stream(started("1"), INFINITE, TAIL)],
        "1 2 9",
        "slc",
    ),
    Odd(
        "frames without data, stray lines, unknown fields",
        [
            stream(
                started("1"),
                b"event: training.log\n\n",
                b"event: training.log\nid: 1\n\n",
                b"\n\n\n\n",
                b": a comment\nretry: 1\nnovel: x\n\n",
                b"data\n\n",
                log(1, "2"),
                TAIL,
            )
        ],
        "1 2 9",
        "slc",
    ),
    Odd(
        "types of a later protocol",
        [stream(event("run.paused", "1"), event("run.resumed", "2"), DROP), stream(TAIL)],
        "1 2 9",
        "c",
        [1],
        [None, "2"],
    ),
    Odd(
        "nothing but pings, comments or garbage, and nothing at all",
        [
            stream(PING, PING),
            stream(),
            stream(b": hello\n\n"),
            stream(frame("null"), frame("garbage")),
            stream(b"id: 0\n\n"),
            stream(b"data: cut"),
            stream(started("1"), TAIL),
        ],
        "1 9",
        "sc",
        [1, 2, 4, 8, 16, 32],
        [None, None, None, None, None, "0", "0"],
        malformed=2,
    ),
    Odd(
        "a mark at the start, and lines that end in CR",
        [stream(b"\xef\xbb\xbf" + (started("1") + log(1, "2") + TAIL).replace(b"\n", b"\r"))],
        "1 2 9",
        "slc",
    ),
    Odd(
        "lines that end in CR LF or anything, cut between the two",
        [
            stream(
                started("1").replace(b"\n", b"\r\n")[:-1],
                b"\n" + log(1, "2").replace(b"\n", b"\r"),
                log(2, "3"),
                TAIL.replace(b"\n", b"\r\n"),
            )
        ],
        "1 2 3 9",
        "sllc",
    ),
    Odd(
        "a page instead of a stream",
        [
            Stream((started("1"),), "text/html"),
            Stream((started("1"),), "application/json"),
            Stream((started("1"),), ""),
            Stream((started("1"), TAIL), "Text/Event-Stream; charset=latin-1"),
        ],
        "1 9",
        "sc",
        [1, 2, 4],
    ),
    Odd(
        "lines of a megabyte",
        [
            stream(
                event("training.started", "1", metadata="x" * 1_000_000),
                b": " + b"x" * 1_000_000 + b"\n\n",
                TAIL,
            )
        ],
        "1 9",
        "sc",
    ),
    Odd(
        "a frame beyond all measure",
        [
            stream(started("1"), b"data: " + b"x" * MOST),
            stream(b"data: x\n" * (MOST // 8 + 1)),
            stream(TAIL),
        ],
        "1 9",
        "sc",
        [1, 2],
        [None, "1", "1"],
    ),
    Odd(
        "all over again whatever was asked for",
        [
            stream(started("1"), log(1, "2"), DROP),
            stream(started("1"), log(1, "2"), log(2, "3"), DROP),
            stream(started("1"), log(1, "2"), log(2, "3"), TAIL),
        ],
        "1 2 3 9",
        "sllc",
        [1, 1],
        [None, "2", "3"],
        repeats=2 + 3,
    ),
    Odd(
        "refusals that may pass",
        [
            *[Answer(status, {"error": "later"}) for status in LATER],
            Answer(503, b"<html>"),
            stream(started("1"), TAIL),
        ],
        "1 9",
        "sc",
        [1, 2, 4, 8, 16, 32, 60, 60, 60, 60],
    ),
    Odd(
        "answers without a body",
        [Answer(204), Answer(200), stream(started("1"), TAIL)],
        "1 9",
        "sc",
        [1, 2],
    ),
    Odd(
        "a clean end in mid-run",
        [stream(started("1")), stream(log(1, "2")), stream(), stream(TAIL)],
        "1 2 9",
        "slc",
        [1, 1, 1],
        [None, "1", "2", "2"],
    ),
    Odd(
        "a clean end in mid-frame",
        [stream(started("1"), log(1, "2")[:-1]), stream(log(1, "2"), TAIL)],
        "1 2 9",
        "slc",
        [1],
        [None, "1"],
    ),
    Odd(
        "silence from the start, and in the middle",
        [Unanswered(), Unanswered(), stream(started("1"), TAIL)],
        "1 9",
        "sc",
        [1, 2],
    ),
    Odd(
        "two endings, and events after the ending",
        [stream(started("1"), completed("2"), failed("x", "3"), log(1, "4"), END)],
        "1 2",
        "sc",
    ),
    Odd(
        "ids out of order",
        [stream(started("5"), log(1, "3"), log(2, "4"), DROP), stream(log(3, "1"), TAIL)],
        "5 3 4 1 9",
        "slllc",
        [1],
        [None, "4"],
    ),
    Odd(
        "one id for two events",
        [
            stream(started("1"), log(1, "2"), log(2, "2"), DROP),
            stream(started("1"), log(1, "2"), log(2, "2"), TAIL),
        ],
        "1 2 - 9",
        "sllc",
        [1],
        repeats=3,
    ),
    Odd(
        "ids that are empty, hold a NUL, or fit into no header",
        [
            stream(started("1"), b"id:\n" + nameless(1), b"id: a\0b\n" + nameless(2), DROP),
            stream(log(3, "c\x0bd"), DROP),
            stream(started("1"), nameless(1), nameless(2), log(3, "c\x0bd"), TAIL),
        ],
        "1 - - c\x0bd 9",
        "slllc",
        [1, 1],
        [None, "1", None],
        repeats=2 + 2,
    ),
    Odd(
        "a name that is not its type",
        [stream(frame({"type": "training.started"}, "1", "end of days"), TAIL)],
        "1 9",
        "sc",
    ),
    Odd(
        "fields of the wrong kind",
        [
            stream(
                frame({"type": "training.log", "step": 1, "loss": "NaN", "timestamp": 7}, "1"),
                frame({"type": "training.log", "step": 2**70}, "2"),
                frame({"type": "checkpoint.saved", "step": "three"}, "3"),
                frame('{"type":"training.started","metadata":"\\ud800"}', "4"),
                frame({"type": "training.failed"}, "5"),
                checkpoint(3, "6", artifacts={"not": "a list"}),
                TAIL,
            )
        ],
        "1 4 6 9",
        "lskc",
        malformed=3,
    ),
    Odd(
        "bodies with a length, one of them a lie, and packed ones, which nobody asked for (a2)",
        [
            whole(started("1")),
            whole(log(1, "2"), **{"Content-Length": "9999"}),
            deflated(log(2, "3")),
            deflated(log(2, "3")),
            whole(log(2, "3"), **{"Content-Encoding": "Identity"}),
            whole(log(3, "4") + TAIL),
        ],
        "1 2 3 4 9",
        "slllc",
        [1, 1, 2, 4, 1],
    ),
]
LETTERS = {"completed": "c", "checkpoint": "k"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A scripted server that listens nowhere."""
    monkeypatch.setattr(sse, "FRAME_LIMIT", MOST)
    return Server()


def lived(
    server: Server, folder: Path, record: RunRecord | None = None
) -> tuple[Life, RunRecord, list[LogRow]]:
    """Follow the server's script, to the end or until it refuses for good."""

    async def main() -> tuple[Life, RunRecord, list[LogRow]]:
        archive = await AsyncArchive.open(folder / "history.db")
        try:
            return await follow_script(server, archive, record)
        finally:
            await archive.aclose()

    return clock.run(main())


def told(life: Life) -> str:
    return "".join(LETTERS.get(kind, kind[0]) for kind, _ in life.diary.told)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_odd_streams(odd: Odd, server: Server, tmp_path: Path) -> None:
    server.script(*odd.openings)
    known = odd.job or [job(odd.status)]
    # the first is what the job was when following began
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = [
        Answer(200, body) for body in (job("queued"), *known)
    ]
    life, record, rows = lived(server, tmp_path)
    assert life.problems == []
    assert " ".join(row.id or "-" for row in rows) == odd.ids
    assert told(life) == odd.told
    assert record.status == odd.status
    waits = [state.delay for _, state in life.diary.states if state.phase == "reconnecting"]
    assert waits == list(odd.waits)
    if odd.asked is not None:
        assert [one.headers.get("last-event-id") for one in server.openings] == list(odd.asked)
    assert (life.health.malformed, life.health.repeats) == (odd.malformed, odd.repeats)
    assert not server.streams
    json.dumps([row.data for row in rows])


@pytest.mark.parametrize("status", [401, 403, 410, 426])
def test_after_a_refusal_for_good_the_next_process_goes_on(
    status: int, server: Server, tmp_path: Path
) -> None:
    server.script(
        stream(started("1"), log(1, "2"), DROP),
        Answer(status, {"error": "no more"}),
        stream(log(2, "3"), TAIL),
    )
    life, record, rows = lived(server, tmp_path)
    assert [row.id for row in rows] == ["1", "2"]
    (problem,) = life.problems
    assert "no more" in problem
    life, record, rows = lived(server, tmp_path, record)
    assert server.openings[-1].headers["last-event-id"] == "2"
    assert [row.id for row in rows] == ["1", "2", "3", "9"]
    assert [kind for kind, _ in life.diary.replayed] == ["started", "log"]
    assert (told(life), record.status, life.problems) == ("lc", "completed", [])
