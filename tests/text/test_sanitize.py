"""The sanitiser: foreign text in, harmless plain text out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.text.sanitize import indented, one_line, plain
from tests.support.hostile_payloads import EVERY, FAMILIES, forbidden, hostile_text

ESC, BEL, ST = "\x1b", "\x07", "\x1b\\"
# dense in what matters, so that sequences and halves of them come up
texts = hostile_text | st.text(
    st.characters() | st.sampled_from(list("\x1b\x07\x9b\x9c\x9d\x90[]\\;52cPX^_\r\n\t m1")),
    max_size=60,
)


@given(texts)
def test_no_control_character_passes_but_newline_and_tab(text: str) -> None:
    assert forbidden(plain(text)) == set()


@given(texts)
def test_one_line_is_one_line(text: str) -> None:
    one = plain(text, newlines=False)
    assert forbidden(one) == set()
    assert not set("\n\t\r\v\f\u2028\u2029") & set(one)


@given(texts, st.booleans())
def test_a_second_time_changes_nothing(text: str, newlines: bool) -> None:
    once = plain(text, newlines=newlines)
    assert plain(once, newlines=newlines) == once


@given(texts, st.integers(0, 20))
def test_a_limit_holds_and_says_what_was_cut(text: str, limit: int) -> None:
    cut = plain(text, limit=limit)
    if len(text) <= limit:
        assert cut == plain(text)
    else:
        assert cut.endswith(f" … [{len(text) - limit:,} more characters]")
        assert len(cut) <= limit + 40
    assert forbidden(cut) == set()


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=60))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


@given(st.text(st.characters(categories=["L", "N"]), max_size=40))
def test_nothing_of_a_clipboard_title_or_device_sequence_is_left(payload: str) -> None:
    for opening in (f"{ESC}]52;c;", f"{ESC}]0;", f"{ESC}P1$r", f"{ESC}X", f"{ESC}^", f"{ESC}_G"):
        for closing in (BEL, ST, "\x9c"):
            assert plain(f"a{opening}{payload}{closing}b") == "ab"
    for opening in ("\x9d52;c;", "\x90", "\x98", "\x9e", "\x9f"):
        assert plain(f"a{opening}{payload}\x9cb") == "ab"


@pytest.mark.parametrize(
    "sequence",
    [
        f"{ESC}[31m",
        f"{ESC}[38;2;1;2;3m",
        f"{ESC}[2J",
        f"{ESC}[?1049h",
        f"{ESC}[>4;1m",
        f"{ESC}[6n",
        "\x9b31m",
        f"{ESC}c",
        f"{ESC}(B",
        f"{ESC}#8",
        f"{ESC}7",
        f"{ESC}]8;;http://x{ST}",
    ],
)
def test_a_sequence_vanishes_whole(sequence: str) -> None:
    assert plain(f"a{sequence}b") == "ab"


@pytest.mark.parametrize("opening", [f"{ESC}]52;c;", f"{ESC}P", "\x9d", "\x90"])
def test_a_sequence_that_is_never_closed_ends_with_its_line(opening: str) -> None:
    assert plain(f"a{opening}payload\nnext") == "a\nnext"


def test_a_limit_inside_a_sequence_leaves_nothing_of_it() -> None:
    assert plain(f"{ESC}]52;c;AAAA{BEL}", limit=8).startswith(" … [")


def test_line_ends_become_newlines_and_tabs_stay() -> None:
    assert plain("a\r\nb\rc\td") == "a\nb\nc\td"
    assert plain("a\r\nb\rc\td", newlines=False) == "a b c d"


def test_other_controls_are_shown_as_replaced() -> None:
    assert plain("a\x00b\u202ec\x85d\ud800") == "a�b�c�d�"


def test_emoji_with_joiners_stay_whole() -> None:
    family = "👨‍👩‍👧"
    assert plain(family) == family


@given(st.text(st.characters(categories=["Mn", "Mc", "Me", "L"]), max_size=60))
def test_marks_stay_with_their_letters(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize("text", FAMILIES["ordinary"])
def test_what_people_write_stays(text: str) -> None:
    assert plain(text) == text


@given(texts, texts)
def test_two_harmless_texts_are_harmless_together(one: str, other: str) -> None:
    both = plain(one) + plain(other)
    assert plain(both) == both


@given(texts, st.integers(0, 40))
def test_in_a_line_there_is_one_line_and_no_more_than_is_wanted(text: str, limit: int) -> None:
    shown = one_line(text, limit=limit)
    assert len(shown) <= limit + 40
    assert not set("\n\t") & set(shown)
    assert forbidden(shown) == set()


@given(texts)
def test_no_line_of_a_foreign_text_begins_where_ours_begin(text: str) -> None:
    first, *others = indented(text).split("\n")
    assert forbidden(first) == set()
    assert all(line.startswith("  ") for line in others)


def test_a_text_of_many_megabytes_takes_time_in_proportion() -> None:
    """Each would take hours if an unclosed sequence were looked for again from each beginning."""
    for payload in EVERY:
        text = payload * (200_000 // len(payload))
        assert forbidden(plain(text)[:10_000]) == set()
        assert len(plain(text, limit=1_000)) < 1_100


def test_anything_may_be_given() -> None:
    assert (plain(None), plain(3.5), plain(ValueError("x\x1b[1m"))) == ("None", "3.5", "x")
