"""Bytes into frames, however they are cut."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api import sse
from arkor_tui.api.sse import BrokenStreamError, open_frames

HEADERS = {"content-type": "text/event-stream"}


class Frame(NamedTuple):
    """What is read of a frame; an id stays until another comes."""

    event: str
    data: str
    id: str


async def decode(*chunks: bytes, unfinished: bool = False) -> list[Frame]:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    response = httpx.Response(200, headers=HEADERS, content=body())
    async with open_frames(response, unfinished=unfinished) as frames:
        return [Frame(f.event, f.data, f.id) async for f in frames if f.data or f.event == "end"]


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


async def test_a_frame_has_a_name_data_and_an_id() -> None:
    body = b"id: 7\nevent: training.log\ndata: {}\n\n"
    assert await decode(body) == [Frame("training.log", "{}", "7")]


async def test_an_id_stays_until_another_comes() -> None:
    frames = await decode(b"id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n")
    assert [f.id for f in frames] == ["7", "7", ""]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_lines_end_in_lf_crlf_or_cr_wherever_the_pieces_are_cut(ending: bytes) -> None:
    data = b"id: 1\ndata: a\ndata: b\n\n: note\n\ndata: c\n\n".replace(b"\n", ending)
    expected = [Frame("message", "a\nb", "1"), Frame("message", "c", "1")]
    assert await decode(data) == expected
    assert await decode(*bytewise(data)) == expected


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1e", "\x85"])
async def test_nothing_else_ends_a_line(sign: str) -> None:
    data = f"id: 1{sign}2\nevent: a{sign}b\ndata: x{sign}y{sign}\n\n".encode()
    expected = [Frame(f"a{sign}b", f"x{sign}y{sign}", f"1{sign}2")]
    assert await decode(data) == expected
    assert await decode(*bytewise(data)) == expected


async def test_a_frame_that_ends_in_cr_is_not_held_back() -> None:
    pieces, asked = [b"data: a\r\r", b"\n", b"data: b\n\n"], 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal asked
        for piece in pieces:
            asked += 1
            yield piece

    async with open_frames(httpx.Response(200, headers=HEADERS, content=body())) as frames:
        assert (await anext(frames)).data == "a"
        assert asked == 1
        assert (await anext(frames)).data == "b"


async def test_utf8_cut_in_the_middle_of_a_character_is_whole_again() -> None:
    data = "data: é€😀\n\n".encode()
    assert await decode(*bytewise(data)) == [Frame("message", "é€😀", "")]


async def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert await decode(b"data: \xff\xfe!\n\n") == [Frame("message", "��!", "")]


async def test_one_leading_byte_order_mark_is_dropped() -> None:
    assert await decode(*bytewise(b"\xef\xbb\xbfdata: a\n\n")) == [Frame("message", "a", "")]
    assert await decode(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []


async def test_a_frame_without_data_is_given_for_its_name() -> None:
    assert await decode(b"event: end\n\nid: 9\n\n") == [Frame("end", "", "")]


async def test_only_one_space_after_the_colon_is_dropped() -> None:
    assert await decode(b"data:  a\ndata:b\ndata\n\n") == [Frame("message", " a\nb\n", "")]


async def test_an_id_with_a_nul_and_unknown_fields_are_ignored() -> None:
    body = b"id: a\x00b\nretry: 10\nfoo: bar\ndata: x\n\n"
    assert await decode(body) == [Frame("message", "x", "")]


@pytest.mark.parametrize("rest", [b"data: a", b"data: a\n", b"data: a\r"])
async def test_an_unfinished_frame_is_given_only_on_request(rest: bytes) -> None:
    assert await decode(rest) == []
    assert await decode(rest, unfinished=True) == [Frame("message", "a", "")]
    assert await decode(rest, b"\n\n", unfinished=True) == [Frame("message", "a", "")]


async def test_a_line_of_a_megabyte_in_small_pieces_is_fine() -> None:
    text = b"x" * 1_000_000
    data = b"data: " + text + b"\n\n"
    pieces = (data[i : i + 4096] for i in range(0, len(data), 4096))
    assert await decode(*pieces) == [Frame("message", text.decode(), "")]


@pytest.mark.parametrize("endless", [b"x" * 1000, b"data: x\n" * 125, b": x\r" * 250])
async def test_a_frame_without_end_is_refused(
    endless: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "FRAME_LIMIT", 10_000)
    with pytest.raises(BrokenStreamError, match="10,000"):
        await decode(*[endless] * 11)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
async def test_long_streams_of_short_frames_are_not_refused(
    ending: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "FRAME_LIMIT", 100)
    body = (b"data: hello\n\n" * 100).replace(b"\n", ending)
    assert len(await decode(body)) == 100
    assert len(await decode(*bytewise(body))) == 100


lines = st.one_of(
    st.sampled_from(["", "", "data: {}", "event: end", "id: 1", "id", ": c", "data", "x: y"]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12),
    st.builds("data: {}".format, st.text(st.characters(exclude_categories=["Cs", "Cc"]))),
)


@given(st.lists(lines), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
async def test_pieces_cut_anywhere_give_what_httpx_sse_reads_from_the_whole(
    given_lines: list[str], ending: str, data: st.DataObject
) -> None:
    # without a mark at the start, which httpx-sse takes for a part of the first field's name
    text = ": start\n" + "".join(line + ending for line in given_lines)
    body = text.encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=8)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    theirs = EventSource(httpx.Response(200, headers=HEADERS, content=body)).iter_sse()
    expected = [Frame(f.event, f.data, f.id) for f in theirs if f.data or f.event == "end"]
    assert await decode(*chunks) == expected


@given(st.lists(st.binary(max_size=40)))
async def test_no_bytes_at_all_make_it_fail(chunks: list[bytes]) -> None:
    assert await decode(*chunks) == await decode(b"".join(chunks))


@pytest.mark.parametrize(
    "content_type", ["text/event-stream", "Text/Event-Stream; charset=latin-1"]
)
async def test_the_content_type_is_read_without_case_and_its_charset_is_ignored(
    content_type: str,
) -> None:
    body = "data: é\n\n".encode()
    response = httpx.Response(200, headers={"content-type": content_type}, content=body)
    async with open_frames(response) as frames:
        assert [f.data async for f in frames] == ["é"]


@pytest.mark.parametrize("content_type", ["text/html", "", "application/x-text/event-stream"])
async def test_another_content_type_is_refused(content_type: str) -> None:
    response = httpx.Response(200, headers={"content-type": content_type}, content=b"data: a\n\n")
    with pytest.raises(BrokenStreamError, match="content type"):
        async with open_frames(response):
            pass
