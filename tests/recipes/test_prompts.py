"""Golden prompts: how they are asked and judged, and the files that hold them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from arkor_tui.recipes import Expect, Golden
from arkor_tui.recipes.prompts import PromptFileError, read_prompts


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


def test_a_reply_of_another_form_fails_whatever_is_expected() -> None:
    typed = Golden("hi", schema=Triage, expect=Expect(contains="auth"))
    assert typed.judge('{"category": "auth"}').passed is True
    assert typed.judge('{"category": "billing"}').text == "lacks 'auth'"
    assert typed.judge('{"category": "auth"').text.startswith("not JSON")
    assert Golden("hi", schema=Triage).judge('{"category": "x"}').text == "matches the schema"
    assert Golden("hi", choice=["a|b", "c"]).judge(" a|b ").passed is True
    assert Golden("hi", choice=["a|b", "c"]).judge("a").text == "none of the choices (a|b, c)"
    assert Golden("hi", regex="a+").judge("aa").passed is True
    assert Golden("hi", regex="a+").judge("aab").passed is False
    assert Golden("hi").judge("anything").passed is None


def test_a_pattern_that_only_the_backend_understands_is_left_to_it() -> None:
    assert Golden("hi", regex=r"\p{OfAnotherDialect}+").judge("anything").passed is None


@pytest.mark.parametrize("key", ["schema", "json_schema"])
def test_a_schema_in_a_file_may_be_called_as_in_python(tmp_path: Path, key: str) -> None:
    file = tmp_path / "prompts.jsonl"
    schema = {"type": "object"}
    file.write_text(json.dumps({"text": "a", key: schema, "expect": {key: schema}}))
    (only,) = read_prompts(file)
    assert (only.schema, only.expect.schema) == (schema, schema)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    file = tmp_path / "prompts.toml"
    file.write_bytes(b"\xef\xbb\xbf" + TOML.encode())
    assert len(read_prompts(file)) == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PromptFileError, match="cannot be read"):
        read_prompts(tmp_path / "none.toml")
