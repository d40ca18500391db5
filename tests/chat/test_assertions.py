"""What an answer should be: each part alone, and all together."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.chat.patterns import PatternError, check_pattern, matches
from arkor_tui.chat.verdict import Constraint, judge
from arkor_tui.errors import UsageError
from arkor_tui.recipes import Expect

HOURS, EVIL = r"(a|aa)+$", "a" * 40 + "b"
SCHEMA = {
    "type": "object",
    "properties": {"category": {"enum": ["auth", "billing"]}},
    "required": ["category"],
}


@pytest.mark.parametrize(
    ("expect", "reply", "passed", "text"),
    [
        (Expect(), "anything", None, ""),
        (Expect(contains="auth"), "it is auth", True, "as expected"),
        (Expect(contains="auth"), "it is Auth", False, "lacks 'auth'"),
        (Expect(contains=["a", "b"]), "only a", False, "lacks 'b'"),
        (Expect(not_contains="sorry"), "sorry, no", False, "contains 'sorry'"),
        (Expect(regex=r"^\d+$"), "12", True, "as expected"),
        (Expect(regex=r"^\d+$"), "12 apples", False, "nothing matches /^\\d+$/"),
        (Expect(valid_json=True), "[1]", True, "as expected"),
        (Expect(valid_json=True), "{", False, "is not JSON"),
        (Expect(schema=SCHEMA), '{"category": "auth"}', True, "as expected"),
        (Expect(equals={"a.b": 1}), '{"a": {"b": 1}}', True, "as expected"),
        (Expect(equals={"a.0": "x"}), '{"a": ["x"]}', True, "as expected"),
        (Expect(equals={"a.b": 1}), '{"a": {}}', False, "a.b is missing, not 1"),
        (Expect(equals={"urgency": "high"}), '{"urgency": "low"}', False,
         "urgency is 'low', not 'high'"),
        (Expect(equals={"a": 1}), "no", False, "is not JSON"),
        (Expect(equals={"a": 1}), '{"a": true}', False, "a is True, not 1"),
        (Expect(equals={"a": 0}), '{"a": false}', False, "a is False, not 0"),
        (Expect(equals={"a": [{"b": True}]}), '{"a": [{"b": 1}]}', False,
         "a is [{'b': 1}], not [{'b': True}]"),
        (Expect(equals={"a": (1, 2)}), '{"a": [1, 2.0]}', True, "as expected"),
        (Expect(equals={"a": [1]}), '{"a": [1, 2]}', False, "a is [1, 2], not [1]"),
        (Expect(valid_json=True), "NaN", False, "is not JSON"),
        (Expect(valid_json=True), "[" * 100_000, False, "is not JSON"),
        (Expect(check=lambda _: "line one\nline two\x1b[31m"), "x", False, "line one line two"),
        (Expect(check=lambda reply: len(reply) < 3), "long", False, "the check says no"),
        (Expect(check=lambda reply: "too long" if len(reply) > 3 else True), "long", False,
         "too long"),
        (Expect(contains="a", check=lambda _: None), "a", True, "as expected"),
    ],
)  # fmt: skip
def test_each_part(expect: Expect, reply: str, passed: bool | None, text: str) -> None:
    verdict = expect.judge(reply)
    assert (verdict.passed, verdict.text) == (passed, text)


def test_a_schema_says_which_field_fails() -> None:
    verdict = Expect(schema=SCHEMA).judge('{"category": "??"}')
    assert verdict.passed is False
    assert verdict.text.startswith("category: ")


def test_a_wrong_pattern_is_told_at_once() -> None:
    with pytest.raises(UsageError, match="pattern"):
        Expect(regex="(")


@given(st.text(max_size=200))
def test_no_reply_breaks_a_judgement(reply: str) -> None:
    whole = Expect(contains="x", regex="y?", equals={"a": 1}, schema=SCHEMA, valid_json=True)
    assert whole.judge(reply).passed in (True, False)


def test_a_verdict_is_short() -> None:
    verdict = Expect(check=lambda reply: reply).judge("x" * 5_000)
    assert verdict.passed is False
    assert len(verdict.text) < 400


def test_a_search_that_would_take_hours_is_given_up() -> None:
    with pytest.raises(PatternError, match="takes longer than"):
        matches(HOURS, EVIL, seconds=0.5)


async def test_the_event_loop_runs_while_a_pattern_is_tried() -> None:
    """A search holds no lock that others need: the loop runs on, thousands of times."""
    search = asyncio.create_task(asyncio.to_thread(matches, HOURS, EVIL, seconds=0.5))
    turns = 0
    while not search.done():
        turns += 1
        await asyncio.sleep(0)
    with pytest.raises(PatternError):
        await search
    assert turns > 100


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", r"missing \) at position 1"),
        ("a{99999999999}", "repeat count too big"),
        ("(" * 900 + ")" * 900, "nested too deeply"),
        ("a" * 3_000, "longer than 2,000 characters"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_told_in_words(pattern: str, said: str) -> None:
    with pytest.raises(PatternError, match=said):
        check_pattern(pattern)
    with pytest.raises(UsageError, match=said):
        Expect(regex=pattern)
    with pytest.raises(UsageError, match=said):
        Constraint.parse("regex", pattern)


def test_a_search_without_result_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(pattern: str, text: str) -> bool:
        raise PatternError("'(a+)+$' takes longer than 5 s")

    monkeypatch.setattr("arkor_tui.chat.assertions.matches", gives_up)
    verdict = Expect(regex=r"(a+)+$").judge("aaab")
    assert verdict.passed is None
    assert verdict.text == "could not be judged: '(a+)+$' takes longer than 5 s"


@pytest.mark.parametrize("text", ["é\n\u2028", "\ud800", "\0", "x" * 100_000])
def test_any_text_can_be_searched(text: str) -> None:
    assert matches(".", text)
    assert not matches("q", text)


def test_where_a_pattern_looks() -> None:
    assert matches("b", "abc")
    assert not matches("b", "abc", whole=True)
    assert matches("abc", "abc", whole=True)
    assert not matches("b", "a" * 10_000 + "b")


def test_a_text_that_was_not_seen_whole_gets_no_verdict_on_the_whole() -> None:
    verdict = judge("a" * 20_000 + "b", Constraint("regex", "a+b"))
    assert verdict.passed is None
    assert "longer than 10,000 characters" in verdict.text
