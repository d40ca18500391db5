"""A job's event stream across connections, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx
import pytest

from arkor_tui.api.errors import ApiError, ConnectionFailedError, StreamExhaustedError
from arkor_tui.api.events import TrainingEvent, TrainingFailed, TrainingLog, UnknownEvent
from arkor_tui.api.reconnect import ReconnectPolicy, StreamState
from arkor_tui.api.stream import EventStream, StreamEvent
from tests.support import fault_clock as clock
from tests.support.frames import BARE_END, END, PING, completed, event, failed, frame, log, started
from tests.support.scripted import (
    BEARER,
    DROP,
    JOB_ID,
    SCOPE,
    Answer,
    Reply,
    Server,
    Stream,
    Unanswered,
    running_server,
    stream,
)

POLICY = ReconnectPolicy(base_delay=1.0, jitter=0.0, idle_timeout=30.0)
GRACE = 0.02  # real seconds for bytes on their way through the kernel
T = TypeVar("T")


@dataclass
class Followed:
    """A stream followed to its end, with the waits that it asked for (none is real)."""

    events: list[StreamEvent] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    states: list[StreamState] = field(default_factory=list)
    error: BaseException | None = None
    stream: EventStream | None = None

    @property
    def ids(self) -> list[str | None]:
        return [item.id for item in self.events]

    @property
    def steps(self) -> list[int]:
        return [item.event.step for item in self.events if isinstance(item.event, TrainingLog)]

    @property
    def counters(self) -> tuple[int, int, int, int]:
        assert self.stream is not None
        counters = self.stream.counters
        return counters.connections, counters.events, counters.repeats, counters.malformed


async def follow(server: Server, policy: ReconnectPolicy = POLICY, **options: Any) -> Followed:
    followed = Followed()

    async def sleep(seconds: float) -> None:
        followed.delays.append(seconds)

    async with server.client() as client:
        followed.stream = EventStream(
            lambda last: client.open_event_stream(SCOPE, JOB_ID, last),
            policy=policy,
            sleep=sleep,
            on_state=followed.states.append,
            **options,
        )
        try:
            async with aclosing(followed.stream.events()) as events:
                async for item in events:
                    followed.events.append(item)
        except (ApiError, StreamExhaustedError) as error:
            followed.error = error
    return followed


def last_ids(server: Server) -> list[str | None]:
    return [request.headers.get("last-event-id") for request in server.openings]


# a connection


async def test_events_come_in_order_until_the_server_ends_the_stream(server: Server) -> None:
    server.script(stream(started("1"), log(1, "2"), PING, log(2, "3"), completed("4"), END))
    followed = await follow(server)
    assert followed.ids == ["1", "2", "3", "4"]
    assert [item.event.type for item in followed.events] == [
        "training.started",
        "training.log",
        "training.log",
        "training.completed",
    ]
    assert followed.delays == []
    assert [state.phase for state in followed.states] == ["connecting", "live", "ended"]
    assert followed.counters == (1, 4, 0, 0)


async def test_the_opening_says_who_asks_and_what_for(server: Server) -> None:
    server.script(stream(END))
    await follow(server)
    (request,) = server.openings
    assert request.method == "GET"
    assert request.query == {"orgSlug": SCOPE.org_slug, "projectSlug": SCOPE.project_slug}
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["authorization"] == f"Bearer {BEARER}"
    assert request.headers["x-arkor-client"].startswith("arkor/")
    assert "last-event-id" not in request.headers


async def test_a_ping_may_say_why_no_events_come(server: Server) -> None:
    waits, elsewhere = (frame({"waits": f"full {n}"}, event="ping") for n in (1, 2))
    server.script(
        stream(log(1), PING, waits, waits, elsewhere, log(2), PING, waits, PING, waits),
        stream(PING, log(3), END),
    )
    followed = await follow(server)
    assert followed.steps == [1, 2, 3]
    assert [(state.phase, state.waits) for state in followed.states] == [
        ("connecting", ""),
        ("live", ""),
        ("live", "full 1"),
        ("live", "full 2"),
        ("live", ""),
        ("live", "full 1"),
        ("live", ""),
        ("live", "full 1"),
        ("reconnecting", ""),
        ("connecting", ""),
        ("live", ""),
        ("ended", ""),
    ]
    assert followed.states[8].reason == "the server closed the stream"


async def test_a_repeat_is_no_sign_that_a_job_goes_on(server: Server) -> None:
    waits = frame({"waits": "full"}, event="ping")
    server.script(stream(log(1), waits, log(1), END))
    assert [state.waits for state in (await follow(server)).states] == ["", "", "full", ""]


async def test_an_event_carries_the_json_as_it_came(server: Server) -> None:
    data = '{"type": "training.log",  "step": 1, "novel": [1]}'
    server.script(stream(frame(data, "1"), END))
    (item,) = (await follow(server)).events
    assert item.data == data
    assert item.event.extra == {"novel": [1]}


async def test_a_failure_that_quotes_an_address_is_kept_without_its_secrets(server: Server) -> None:
    said = "cannot fetch https://user:password@data.example/rows?sig=signature"
    server.script(stream(failed(said, "1"), END))
    (item,) = (await follow(server)).events
    assert isinstance(item.event, TrainingFailed)
    assert item.event.error == "cannot fetch https://…@data.example/rows?…"
    assert json.loads(item.data)["error"] == item.event.error


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pieces_may_be_cut_anywhere(server: Server, size: int) -> None:
    body = started("1", metadata="é😀") + log(1, "2") + completed("3") + END
    server.script(stream(*(body[i : i + size] for i in range(0, len(body), size))))
    followed = await follow(server)
    assert followed.ids == ["1", "2", "3"]
    assert followed.events[0].event.metadata == "é😀"  # type: ignore[union-attr]


async def test_a_line_of_a_megabyte_and_a_byte_order_mark_are_fine(server: Server) -> None:
    big = event("training.started", "1", metadata="x" * 1_000_000)
    server.script(stream(b"\xef\xbb\xbf" + big, END))
    (item,) = (await follow(server)).events
    assert len(item.event.metadata) == 1_000_000  # type: ignore[union-attr]


@pytest.mark.parametrize("end", [END, BARE_END, b"event:end\r\ndata:\r\n\r\n"])
async def test_end_counts_by_its_name_with_or_without_data(server: Server, end: bytes) -> None:
    server.script(stream(log(1), end, log(2)))
    followed = await follow(server)
    assert followed.steps == [1]
    assert len(server.openings) == 1


async def test_frames_that_nobody_can_read_are_skipped_and_counted(server: Server) -> None:
    nan = b'id: 3\nevent: training.log\ndata: {"type":"training.log","step":1,"loss":NaN}\n\n'
    garbage = [frame(text, "2") for text in ("not json", "null", "[1]", "{}", '{"type":7}')]
    server.script(stream(log(1, "1"), *garbage, nan, log(2, "4"), END))
    followed = await follow(server)
    assert followed.steps == [1, 2]
    assert followed.counters == (1, 2, 0, 6)
    assert followed.delays == []


async def test_an_infinite_number_reaches_the_reader(server: Server) -> None:
    data = '{"type":"training.log","step":1,"loss":1e309}'
    server.script(stream(frame(data, "1", "training.log"), END))
    (item,) = (await follow(server)).events
    assert isinstance(item.event, TrainingLog)
    assert item.event.loss == float("inf")


async def test_an_unknown_event_is_given_and_causes_no_reconnect(server: Server) -> None:
    server.script(stream(event("training.paused", "1"), log(1, "2"), END))
    followed = await follow(server)
    assert isinstance(followed.events[0].event, UnknownEvent)
    assert len(server.openings) == 1


async def test_what_an_event_is_called_does_not_matter_its_type_does(server: Server) -> None:
    server.script(stream(frame({"type": "training.log", "step": 1}, "1", event="message"), END))
    assert (await follow(server)).steps == [1]


async def test_what_stands_in_one_piece_with_a_frame_that_is_skipped_is_not_lost(
    server: Server,
) -> None:
    first = PING + frame("garbage") + b"id: 1\n\n" + log(1, "2") + log(1, "2") + log(2, "3")
    server.script(stream(first, END))
    followed = await follow(server)
    assert followed.steps == [1, 2]
    assert followed.counters == (1, 2, 1, 1)


async def test_stray_blank_lines_after_an_id_and_frames_without_data_are_nothing(
    server: Server,
) -> None:
    server.script(stream(log(1, "1"), b"\n\n\n", b"event: training.log\n\n", log(2, "2"), END))
    followed = await follow(server)
    assert followed.steps == [1, 2]
    assert followed.counters == (1, 2, 0, 0)


# ids


async def test_a_repeat_is_dropped_within_a_connection_and_across_them(server: Server) -> None:
    server.script(
        stream(log(1, "a"), log(1, "a"), log(2, "b")),
        stream(log(1, "a"), log(2, "b"), log(3, "c"), END),
    )
    followed = await follow(server)
    assert followed.ids == ["a", "b", "c"]
    assert followed.counters == (2, 3, 3, 0)


async def test_frames_without_an_id_are_never_taken_for_repeats(server: Server) -> None:
    alike = frame({"type": "training.log", "step": 1})
    server.script(stream(log(1, "1"), alike, alike, log(1, "1"), END))
    followed = await follow(server)
    assert followed.ids == ["1", None, None]


async def test_an_id_that_two_events_have_is_the_first_ones(server: Server) -> None:
    both = log(1, "1") + log(2, "1")
    server.script(stream(both, log(3, "2")), stream(both, log(3, "2"), log(4, "1"), END))
    followed = await follow(server)
    assert followed.ids == ["1", None, "2", None]
    assert followed.steps == [1, 2, 3, 4]
    assert followed.counters == (2, 4, 3, 0)


async def test_what_has_no_id_is_known_by_what_it_says(server: Server) -> None:
    one, two, three = (frame({"type": "training.log", "step": step}) for step in (1, 2, 3))
    server.script(stream(one, two), stream(three, two, END))
    followed = await follow(server)
    assert followed.ids == [None] * 3
    assert followed.steps == [1, 2, 3]


async def test_a_stream_without_ids_starts_over_and_is_told_once(server: Server) -> None:
    alike = frame({"type": "training.log", "step": 1})
    other = frame({"type": "training.log", "step": 2})
    server.script(
        stream(alike, alike, DROP),
        stream(alike, alike, other),
        stream(alike, alike, other, log(3, "3"), alike, DROP),
        stream(alike, END),
    )
    followed = await follow(server)
    assert last_ids(server) == [None, None, None, "3"]
    assert followed.steps == [1, 1, 2, 3, 1]
    assert followed.counters == (4, 5, 6, 0)


async def test_the_stream_resumes_after_the_last_id_whatever_frame_carried_it(
    server: Server,
) -> None:
    server.script(
        stream(log(1, "1"), frame("garbage", "2")),
        stream(b"id: 3\nevent: ping\ndata: {}\n\n", log(2, "4")),
        stream(frame({"type": "training.log", "step": 3})),
        stream(b"id: 5\n\n", log(4, "6"), END),
    )
    await follow(server)
    assert last_ids(server) == [None, "2", "4", "4"]


async def test_an_empty_id_changes_nothing(server: Server) -> None:
    server.script(
        stream(log(1, "1"), b"id:\ndata: " + b'{"type":"x"}\n\n'),
        stream(END),
    )
    followed = await follow(server)
    assert followed.ids == ["1", None]
    assert last_ids(server) == [None, "1"]


async def test_following_may_begin_after_an_id(server: Server) -> None:
    server.script(stream(log(7, "7"), END))
    await follow(server, last_event_id="6")
    assert last_ids(server) == ["6"]


async def test_an_empty_last_id_is_not_sent(server: Server) -> None:
    server.script(stream(END))
    await follow(server, last_event_id="")
    assert last_ids(server) == [None]


async def test_ids_of_any_text_are_sent_as_utf8(server: Server) -> None:
    server.script(stream(log(1, "schritt-é😀")), stream(END))
    await follow(server)
    assert last_ids(server) == [None, "schritt-é😀"]


async def test_an_id_that_no_header_can_carry_means_a_replay_without_repeats(
    server: Server,
) -> None:
    server.script(
        stream(log(1, "a"), log(2, "b\x0bc")),
        stream(log(1, "a"), log(2, "b\x0bc"), log(3, "d"), END),
    )
    followed = await follow(server)
    assert last_ids(server) == [None, None]
    assert followed.steps == [1, 2, 3]


# the reconnect policy

THROW: Reply = Answer(503, {"error": "busy"})


async def test_a_clean_end_after_progress_waits_exactly_the_base_delay(server: Server) -> None:
    server.script(stream(log(1)), stream(log(2), END))
    followed = await follow(server, replace(POLICY, jitter=0.25))
    assert followed.delays == [1.0]
    assert followed.steps == [1, 2]
    waiting = next(state for state in followed.states if state.phase == "reconnecting")
    assert waiting == StreamState("reconnecting", 0, 1.0, "the server closed the stream")


async def test_a_clean_end_that_only_brought_repeats_or_unknown_events_is_progress(
    server: Server,
) -> None:
    server.script(stream(log(1)), stream(log(1)), stream(event("novel", "n")), stream(END))
    assert (await follow(server)).delays == [1.0, 1.0, 1.0]


async def test_a_clean_end_does_not_touch_the_counter(server: Server) -> None:
    # the data frame resets it; the end itself neither counts nor forgives
    server.script(THROW, stream(log(1)), THROW, stream(END))
    assert (await follow(server)).delays == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_a_limit_of_n_lets_n_plus_one_openings_pass(server: Server, limit: int) -> None:
    server.script(*[THROW] * (limit + 3))
    followed = await follow(server, replace(POLICY, max_attempts=limit))
    assert len(server.openings) == limit + 1
    assert followed.delays == [1.0, 2.0, 4.0][:limit]
    assert isinstance(followed.error, StreamExhaustedError)
    assert followed.error.attempts == limit + 1
    assert f"{limit + 1} times" in str(followed.error)
    assert isinstance(followed.error.__cause__, ApiError)
    assert "busy" in str(followed.error)


async def test_a_data_frame_resets_the_counter(server: Server) -> None:
    server.script(THROW, stream(log(1)), THROW, THROW, THROW, stream(END))
    followed = await follow(server, replace(POLICY, max_attempts=2))
    assert len(server.openings) == 5
    assert isinstance(followed.error, StreamExhaustedError)
    assert followed.error.attempts == 3
    assert followed.delays == [1.0, 1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "body",
    [
        (),
        (PING, PING),
        (b": comment\n\n",),
        (frame("garbage", "1"), frame("null")),
        (b"id: 1\n\n", b"\n\n"),
        (b"event: training.log\n\n",),
        (b"data: unfinished",),
    ],
)
async def test_streams_without_a_data_frame_use_up_the_budget(
    server: Server, body: tuple[bytes, ...]
) -> None:
    server.script(*[stream(*body)] * 5)
    followed = await follow(server, replace(POLICY, max_attempts=2))
    assert len(server.openings) == 3
    assert followed.delays == [1.0, 2.0]
    assert "because: closed without emitting any frame." in str(followed.error)
    assert followed.error is not None
    assert followed.error.__cause__ is not None


async def test_a_body_that_breaks_off_is_a_failure_even_after_progress(server: Server) -> None:
    server.script(stream(log(1), DROP), stream(log(2, "x"), DROP), stream(END))
    followed = await follow(server, replace(POLICY, max_attempts=1))
    assert followed.steps == [1, 2]
    assert followed.delays == [1.0, 1.0]
    assert last_ids(server) == [None, "2", "x"]
    assert followed.states[2].reason.startswith("the connection broke: peer closed connection")


async def test_without_a_limit_it_never_gives_up(server: Server) -> None:
    server.script(*[THROW] * 12, stream(END))
    followed = await follow(server)
    assert followed.error is None
    assert followed.delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    attempts = [state.attempt for state in followed.states if state.phase == "reconnecting"]
    assert attempts == list(range(1, 13))
    waits = [state.delay for state in followed.states if state.phase == "reconnecting"]
    assert waits == followed.delays


@pytest.mark.parametrize("status", [401, 403, 410, 426])
async def test_these_answers_are_for_good(server: Server, status: int) -> None:
    server.script(Answer(status, {"error": "no"}), stream(END))
    followed = await follow(server)
    assert isinstance(followed.error, ApiError)
    assert followed.error.status == status
    assert followed.delays == []


@pytest.mark.parametrize("status", [302, 400, 404, 408, 429, 500, 503])
async def test_any_other_answer_is_tried_again(server: Server, status: int) -> None:
    server.script(Answer(status, {"error": "later"}), stream(log(1), END))
    followed = await follow(server)
    assert followed.steps == [1]
    assert followed.delays == [1.0]
    assert followed.states[1].reason == f"status {status}: later"


async def test_a_wrong_content_type_is_a_failure(server: Server) -> None:
    server.script(Stream((log(1),), "text/html"), stream(END))
    followed = await follow(server)
    assert followed.delays == [1.0]
    assert followed.events == []
    assert "text/html" in followed.states[2].reason


async def test_a_server_that_cannot_be_reached_is_a_failure(server: Server) -> None:
    server.url = "http://127.0.0.1:1"
    followed = await follow(server, replace(POLICY, max_attempts=1))
    assert isinstance(followed.error, StreamExhaustedError)
    assert followed.delays == [1.0]
    assert followed.states[1].reason.startswith("Cannot reach http://127.0.0.1:1: ")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (httpx.ReadError(""), "the connection broke: ReadError"),
        (TimeoutError(), "no sign of life"),
        (ConnectionFailedError("x" * 1_000), "x" * 300 + " … [700 more characters]"),
    ],
)
async def test_every_failure_has_a_reason_of_one_short_line(error: Exception, reason: str) -> None:
    @asynccontextmanager
    async def refuse(_last: str | None) -> AsyncIterator[httpx.Response]:
        raise error
        yield  # type: ignore[unreachable]

    states: list[StreamState] = []
    policy = replace(POLICY, base_delay=0.0, max_attempts=1, idle_timeout=None)
    source = EventStream(refuse, policy=policy, on_state=states.append)
    with pytest.raises(StreamExhaustedError):
        await anext(source.events())
    assert [state.reason for state in states] == ["", reason, ""]


async def test_reasons_are_made_harmless(server: Server) -> None:
    server.script(Answer(500, {"error": "\x1b[31mred\nalert"}), stream(END))
    assert (await follow(server)).states[1].reason == "status 500: red alert"


# the watchdog


def in_no_time(story: Callable[[Server], Awaitable[T]]) -> T:
    """Run a story whose clock jumps to the next timer where the sockets are silent."""

    async def main() -> T:
        async with running_server() as server:
            return await story(server)

    return clock.run(main(), grace=GRACE)


def test_silence_is_a_failure() -> None:
    async def story(server: Server) -> Followed:
        never = asyncio.Event()
        server.script(stream(log(1), never), stream(log(2), END))
        return await follow(server)

    followed = in_no_time(story)
    assert followed.steps == [1, 2]
    assert followed.delays == [1.0]
    assert followed.states[2].reason == "no sign of life for 30 s"


def test_a_server_that_takes_the_request_and_says_nothing_is_a_failure() -> None:
    async def story(server: Server) -> Followed:
        server.script(Unanswered(), stream(log(1), END))
        return await follow(server)

    followed = in_no_time(story)
    assert followed.steps == [1]
    assert followed.states[1].reason == "no sign of life for 30 s"


def test_the_time_of_the_reader_is_not_silence() -> None:
    steps: list[int] = []

    async def story(server: Server) -> int:
        more = asyncio.Event()
        server.script(stream(log(1), more, log(2), END))
        async with server.client() as client:
            source = EventStream(
                lambda last: client.open_event_stream(SCOPE, JOB_ID, last), policy=POLICY
            )
            async with aclosing(source.events()) as events:
                async for item in events:
                    assert isinstance(item.event, TrainingLog)
                    steps.append(item.event.step)
                    more.set()
                    if steps == [1]:
                        await asyncio.sleep(40)  # more than the watchdog's patience
        return source.counters.connections

    assert in_no_time(story) == 1
    assert steps == [1, 2]


async def test_a_cancelled_reader_is_cancelled_and_the_server_sees_it_go(server: Server) -> None:
    never = asyncio.Event()
    server.script(stream(log(1), never))
    got: list[TrainingEvent | UnknownEvent] = []
    arrived = asyncio.Event()

    async def read() -> None:
        async with server.client() as client:
            source = EventStream(lambda last: client.open_event_stream(SCOPE, JOB_ID, last))
            async with aclosing(source.events()) as events:
                async for item in events:
                    got.append(item.event)
                    arrived.set()

    task = asyncio.create_task(read())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.openings[0].gone.wait()
    assert len(got) == 1
