"""Bytes into frames, however they are cut."""

from __future__ import annotations

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api import sse
from arkor_tui.api.sse import BrokenStreamError, Frame, FrameDecoder, read_frames


def decode(*chunks: bytes) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def test_a_frame_has_a_name_data_and_the_id_of_its_own() -> None:
    assert decode(b"id: 7\nevent: training.log\ndata: {}\n\n") == [Frame("training.log", "{}", "7")]


def test_an_id_does_not_stick_to_the_next_frame() -> None:
    assert [f.id for f in decode(b"id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n")] == [
        "7",
        None,
        "",
    ]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_lf_crlf_or_cr_wherever_the_pieces_are_cut(ending: bytes) -> None:
    data = b"id: 1\ndata: a\ndata: b\n\n: note\n\ndata: c\n\n".replace(b"\n", ending)
    expected = [Frame("", "a\nb", "1"), Frame("", "c", None)]
    assert decode(data) == expected
    assert decode(*bytewise(data)) == expected


def test_a_frame_that_ends_in_cr_is_not_held_back() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"data: a\r\r") == [Frame("", "a", None)]
    assert decoder.feed(b"\n") == []


def test_utf8_cut_in_the_middle_of_a_character_is_whole_again() -> None:
    data = "data: é€😀\n\n".encode()
    assert decode(*bytewise(data)) == [Frame("", "é€😀", None)]


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert decode(b"data: \xff\xfe!\n\n") == [Frame("", "��!", None)]


def test_one_leading_byte_order_mark_is_dropped() -> None:
    assert decode(*bytewise(b"\xef\xbb\xbfdata: a\n\n")) == [Frame("", "a", None)]
    assert decode(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []


def test_stray_blank_lines_and_comments_give_no_frames() -> None:
    assert decode(b"\n\n: hello\n\nid: 1\ndata: a\n\n\n\n\n:\n\n") == [Frame("", "a", "1")]


def test_a_frame_without_data_is_given_for_its_name_or_its_id() -> None:
    assert decode(b"event: end\n\nid: 9\n\n") == [Frame("end", "", None), Frame("", "", "9")]


def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert decode(b"data:  a\ndata:b\ndata\n\n") == [Frame("", " a\nb\n", None)]


def test_an_id_with_a_nul_and_unknown_fields_are_ignored() -> None:
    assert decode(b"id: a\x00b\nretry: 10\nfoo: bar\ndata: x\n\n") == [Frame("", "x", None)]


def test_an_unfinished_frame_is_given_only_on_request() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b"data: a") == []
    assert decoder.finish() == [Frame("", "a", None)]
    assert decoder.finish() == []


def test_a_line_of_a_megabyte_in_small_pieces_is_fine() -> None:
    text = b"x" * 1_000_000
    data = b"data: " + text + b"\n\n"
    assert decode(*(data[i : i + 4096] for i in range(0, len(data), 4096))) == [
        Frame("", text.decode(), None)
    ]


@pytest.mark.parametrize("endless", [b"x" * 1000, b"data: x\n" * 125])
def test_a_frame_without_end_is_refused(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "FRAME_LIMIT", 10_000)
    with pytest.raises(BrokenStreamError, match="10,000"):
        decode(*[endless] * 11)


def test_long_streams_of_short_frames_are_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "FRAME_LIMIT", 100)
    assert len(decode(*[b"data: hello\n\n"] * 100)) == 100


lines = st.one_of(
    st.sampled_from(["", "", "data: {}", "event: end", "id: 1", "id", ": c", "data", "x: y"]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12),
    st.builds("data: {}".format, st.text(st.characters(exclude_categories=["Cs", "Cc"]))),
)


@given(st.lists(lines), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
async def test_agrees_with_httpx_sse_about_data_and_names(
    given_lines: list[str], ending: str, data: st.DataObject
) -> None:
    # without a mark at the start, which httpx-sse takes for a part of the first field's name
    text = ": start\n" + "".join(line + ending for line in given_lines)
    body = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    headers = {"content-type": "text/event-stream"}
    theirs = EventSource(httpx.Response(200, headers=headers, content=body)).iter_sse()
    expected = [(f.event, f.data) for f in theirs if f.event != "message" or f.data]
    ours = decode(*chunks)
    told = [(f.event or "message", f.data) for f in ours]
    assert [pair for pair in told if pair != ("message", "")] == expected


@given(st.lists(st.binary(max_size=40)))
def test_no_bytes_at_all_make_it_fail(chunks: list[bytes]) -> None:
    assert decode(*chunks) == decode(b"".join(chunks))


@pytest.mark.parametrize(
    "content_type", ["text/event-stream", "Text/Event-Stream; charset=latin-1"]
)
async def test_the_content_type_is_read_without_case_and_its_charset_is_ignored(
    content_type: str,
) -> None:
    body = "data: é\n\n".encode()
    response = httpx.Response(200, headers={"content-type": content_type}, content=body)
    assert [f async for frames in read_frames(response) for f in frames] == [Frame("", "é", None)]


@pytest.mark.parametrize("content_type", ["text/html", "", "application/x-text/event-stream"])
async def test_another_content_type_is_refused(content_type: str) -> None:
    response = httpx.Response(200, headers={"content-type": content_type}, content=b"data: a\n\n")
    with pytest.raises(BrokenStreamError, match="content type"):
        await anext(read_frames(response))
