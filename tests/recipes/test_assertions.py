"""What an answer should be: each part alone, all together, and files of golden prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from arkor_tui.errors import UsageError
from arkor_tui.recipes import Expect, Golden
from arkor_tui.recipes.prompts import PromptFileError, read_prompts
from arkor_tui.recipes.signtest import p_value

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
        (Expect(regex=r"^\d+$"), "12 apples", False, "nothing matches '^\\\\d+$'"),
        (Expect(valid_json=True), "[1]", True, "as expected"),
        (Expect(valid_json=True), "{", False, "is not JSON"),
        (Expect(schema=SCHEMA), '{"category": "auth"}', True, "as expected"),
        (Expect(equals={"a.b": 1}), '{"a": {"b": 1}}', True, "as expected"),
        (Expect(equals={"a.0": "x"}), '{"a": ["x"]}', True, "as expected"),
        (Expect(equals={"a.b": 1}), '{"a": {}}', False, "a.b is missing, not 1"),
        (Expect(equals={"urgency": "high"}), '{"urgency": "low"}', False,
         "urgency is 'low', not 'high'"),
        (Expect(equals={"a": 1}), "no", False, "is not JSON"),
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


class Triage(BaseModel):
    category: str


def test_how_a_golden_prompt_is_asked() -> None:
    plain = Golden("hi", system="be short", max_tokens=10)
    assert plain.messages() == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "hi"},
    ]
    assert plain.options() == {"temperature": 0.0, "max_tokens": 10, "seed": 0}
    typed = Golden("hi", schema=Triage).options()["structured_outputs"]["json"]
    assert typed["required"] == ["category"]
    assert typed["additionalProperties"] is False
    assert Golden("hi", choice=["a", "b"]).options()["structured_outputs"] == {"choice": ["a", "b"]}
    assert Golden("hi", regex="a+").options()["structured_outputs"] == {"regex": "a+"}


TOML = """
[[prompt]]
text = "I cannot log in"
system = "You sort tickets."
max_tokens = 50
[prompt.expect]
contains = "auth"
equals = { urgency = "high" }

[[prompt]]
text = "Hello"
name = "greeting"
choice = ["hi", "bye"]
"""


def test_a_toml_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_text(TOML)
    first, second = read_prompts(file)
    assert first == Golden(
        "I cannot log in", "You sort tickets.",
        Expect("auth", not_contains=[], equals={"urgency": "high"}), None, [], max_tokens=50,
    )  # fmt: skip
    assert (second.name, list(second.choice)) == ("greeting", ["hi", "bye"])


def test_a_jsonl_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    entry = {"text": "two", "expect": {"regex": "x+"}}
    file.write_text(json.dumps("one") + "\n\n" + json.dumps(entry) + "\n")
    first, second = read_prompts(file)
    assert (first.text, second.text, second.expect.regex) == ("one", "two", "x+")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("p.toml", "[[prompt]\n", "not TOML"),
        ("p.toml", "x = 1\n", "only [[prompt]] tables"),
        ("p.toml", "", "holds no prompts"),
        ("p.toml", '[[prompt]]\ntext = "a"\n[[prompt]]\ntxt = "b"\n', "prompt 2: "),
        ("p.toml", '[[prompt]]\ntext = ""\n', "prompt 1: "),
        ("p.toml", '[[prompt]]\ntext = "a"\n[prompt.expect]\nregex = "("\n', "prompt 1: "),
        ("p.jsonl", '"a"\n{"text": 1}\n', "line 2: "),
        ("p.jsonl", '"a"\n{\n', "line 2: not JSON"),
        ("p.jsonl", "[1]\n", "line 1: "),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(PromptFileError) as caught:
        read_prompts(file)
    assert str(file) in caught.value.message
    assert told in caught.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError, match="cannot be read"):
        read_prompts(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("wins", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (5, 0, 0.0625), (9, 1, 0.021484375),
     (8, 2, 0.109375), (14, 6, 0.11531829833984375)],
)  # fmt: skip
def test_the_sign_test(wins: int, losses: int, p: float) -> None:
    assert p_value(wins, losses) == pytest.approx(p)
    assert p_value(losses, wins) == p_value(wins, losses)


def test_the_sign_test_of_nonsense() -> None:
    with pytest.raises(ValueError, match="-1"):
        p_value(-1, 3)


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_sign_test_is_a_probability(wins: int, losses: int) -> None:
    p: Any = p_value(wins, losses)
    assert 0 < p <= 1
