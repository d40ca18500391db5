"""What comes over the wire: any bytes at all are frames, events, pieces of a reply, or refused."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from httpx_sse._decoders import SSEDecoder, SSELineDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.api import sse
from arkor_tui.api.chat import ChatDelta, parse_delta
from arkor_tui.api.deltas import read_deltas
from arkor_tui.api.errors import ConnectionFailedError, NotArkorError
from arkor_tui.api.events import (
    MalformedEventError,
    TrainingCompleted,
    TrainingStarted,
    UnknownEvent,
    parse_event,
    step_of,
)
from arkor_tui.api.sse import BrokenStreamError, EventText, open_frames
from arkor_tui.api.stream import StreamEvent
from arkor_tui.api.wire import read_json
from arkor_tui.cli.output import dump_line, event_record
from arkor_tui.cli.present import BarPresenter, JsonPresenter, LinePresenter, Presenter
from tests.support.hostile_payloads import forbidden, hostile_text, json_values, numbers

pieces = st.sampled_from(
    [b"data: ", b"data", b"event: ", b"id: ", b":", b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf",
     b"\xff", b"\xe2\x82", b"\xac", b"\x00", b"{}", b"x" * 70]
)  # fmt: skip
streams = st.lists(pieces | st.binary(max_size=12), max_size=30).map(b"".join)


async def in_pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def frames_of(*chunks: bytes, unfinished: bool) -> list[tuple[str, str, str]]:
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, content=in_pieces(*chunks))
    async with open_frames(response, unfinished=unfinished) as frames:
        return [(frame.event, frame.data, frame.id) async for frame in frames]


@given(streams, st.booleans(), st.data())
async def test_a_stream_gives_the_same_frames_wherever_it_is_cut(
    body: bytes, unfinished: bool, data: st.DataObject
) -> None:
    places = st.lists(st.integers(0, len(body)), max_size=12)
    cuts = [0, *sorted(data.draw(places)), len(body)]
    cut_up = await frames_of(*(body[a:b] for a, b in pairwise(cuts)), unfinished=unfinished)
    assert cut_up == await frames_of(body, unfinished=unfinished)


@given(st.lists(pieces, min_size=1, max_size=4).map(b"".join), st.integers(1, 40))
async def test_an_endless_stream_is_read_in_bounded_memory(piece: bytes, size: int) -> None:
    limit, held = 2_000, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "FRAME_LIMIT", limit)
        text = EventText(in_pieces(*[piece * size] * 400))
        reader = SSEReader()
        try:
            async for part in text:
                held = max(held, reader.take(part))
        except BrokenStreamError:
            pass
    assert held <= limit + len(piece) * size


class SSEReader:
    """Counts what httpx-sse keeps: the line that has not ended, and the frame's data so far."""

    def __init__(self) -> None:
        self._lines, self._frames = SSELineDecoder(), SSEDecoder()

    def take(self, text: str) -> int:
        for line in self._lines.decode(text):
            self._frames.decode(line)
        return sum(map(len, self._lines.buffer)) + sum(map(len, self._frames._data))


async def test_a_frame_without_end_takes_no_more_memory_than_the_limit() -> None:
    tracemalloc.start()
    piece = b"data: " + b"x" * 65_536
    with pytest.raises(BrokenStreamError):
        await frames_of(*[piece] * 10_000, unfinished=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * sse.FRAME_LIMIT


event_fields = st.sampled_from(
    ["type", "jobId", "step", "timestamp", "loss", "evalLoss", "learningRate", "epoch", "error",
     "samplesPerSecond", "nonFinite", "metadata", "artifacts", "metrics", "x"]
)  # fmt: skip
kinds = st.sampled_from(
    ["training.started", "training.log", "checkpoint.saved", "training.completed",
     "training.failed", "odd"]
)  # fmt: skip


@st.composite
def event_texts(draw: st.DrawFn) -> str:
    """JSON of an event: of the right kind more often than not, its fields anything."""
    fields: dict[str, Any] = draw(
        st.dictionaries(event_fields | hostile_text, json_values | numbers, max_size=6)
    )
    if draw(st.booleans()):
        fields |= {"type": draw(kinds), "step": draw(st.integers(0, 100) | numbers)}
    text = json.dumps(fields, ensure_ascii=draw(st.booleans()))
    return text.replace('"x": 0', '"x": ' + "9" * 5000)


anything = event_texts() | hostile_text | st.sampled_from(["[" * 100_000, '{"type":' * 5_000, ""])


@given(anything)
def test_an_event_is_read_or_malformed(data: str) -> None:
    try:
        event = parse_event(data)
    except MalformedEventError:
        return
    assert abs(step_of(event) or 0) < 2**53
    if not isinstance(event, TrainingStarted | UnknownEvent | TrainingCompleted):
        assert step_of(event) == event.step


@given(anything, kinds)
def test_what_a_frame_calls_an_event_changes_nothing(data: str, name: str) -> None:
    def read(name: str) -> str:
        try:
            return repr(parse_event(data, name))
        except MalformedEventError as error:
            return str(error)

    assert read(name) == read("")


@given(anything, st.none() | hostile_text)
def test_every_event_that_is_read_can_be_shown_and_is_one_json_line(
    data: str, event_id: str | None
) -> None:
    try:
        item = StreamEvent(event_id, parse_event(data), data)
    except MalformedEventError:
        return
    line = dump_line(event_record(item))
    assert "\n" not in line
    assert line.isascii()
    assert forbidden(line) == set()
    json.loads(line, parse_constant=lambda constant: pytest.fail(constant))
    out = io.StringIO()
    shows: list[Presenter] = [LinePresenter(out), JsonPresenter(out), BarPresenter(out)]
    for presenter in shows:
        presenter.event(item, spoke=False)
        presenter.close()
    assert forbidden(out.getvalue()) == set()


@given(anything)
def test_a_piece_of_a_reply_is_always_a_text(data: str) -> None:
    delta = parse_delta(data)
    assert isinstance(delta, ChatDelta)
    assert isinstance(delta.text, str)


@given(streams | event_texts().map(lambda text: f"data: {text}\n\n".encode("utf-8", "replace")))
async def test_any_reply_ends_in_pieces_or_in_one_of_our_errors(body: bytes) -> None:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    try:
        found = [delta async for delta in read_deltas(response)]
    except (NotArkorError, ConnectionFailedError):
        return
    assert all(isinstance(delta.text, str) for delta in found)


@settings(max_examples=60)
@given(st.binary(max_size=60) | anything.map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        value = read_json(data)
    except ValueError:
        return
    json.dumps(value).encode()


async def test_a_frame_is_as_long_as_it_may_be_and_still_read() -> None:
    body = b"data: " + b"x" * (sse.FRAME_LIMIT - 20) + b"\n\n"
    parts = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    found = await frames_of(*parts, unfinished=False)
    assert [len(data) for _, data, _ in found] == [sse.FRAME_LIMIT - 20]
