"""Text as it streams: whole characters, and never a piece of a stop string."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.backend.engine.textstream import TextStream


class Bytes:
    """A tokenizer whose tokens are bytes; 256 is a special token."""

    def decode(self, ids: list[int], **_: Any) -> str:
        return bytes(i for i in ids if i < 256).decode("utf-8", errors="replace")


def stream(data: bytes, *stops: str) -> tuple[list[str], TextStream]:
    text = TextStream(Bytes(), stops)
    return [*(text.push(byte) for byte in data), text.finish()], text


@given(st.text())
def test_pieces_are_whole_characters_and_make_up_the_text(text: str) -> None:
    pieces, _ = stream(text.encode())
    assert "".join(pieces) == text.removesuffix("\ufffd")


def test_a_character_comes_with_its_last_byte() -> None:
    pieces, _ = stream("a😀b".encode())
    assert pieces == ["a", "", "", "", "😀", "b", ""]


def test_half_a_character_at_the_end_is_dropped() -> None:
    pieces, _ = stream("é😀".encode()[:-1])
    assert "".join(pieces) == "é"


def test_invalid_bytes_in_between_do_not_stop_the_text() -> None:
    pieces, _ = stream(b"a\xff\xfeb")
    assert "".join(pieces) == "a\ufffd\ufffdb"


@given(st.text("abc", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_stop_strings_never_leak(text: str, stops: list[str]) -> None:
    pieces, found = stream(text.encode(), *stops)
    first = min((text.find(s) for s in stops if s in text), default=None)
    # a shorter stop string that is complete first ends the reply there
    shown = ""
    for end in range(len(text) + 1):
        hits = [text[:end].find(s) for s in stops if s in text[:end]]
        if hits:
            shown = text[: min(hits)]
            break
    else:
        shown = text
    assert "".join(pieces) == shown
    assert found.stopped == (first is not None)
    for end in range(len(pieces)):
        assert shown.startswith("".join(pieces[:end])), "nothing is ever taken back"


@pytest.mark.parametrize("stops", [("",), ()])
def test_no_stop_strings(stops: tuple[str, ...]) -> None:
    assert "".join(stream(b"abc", *stops)[0]) == "abc"
