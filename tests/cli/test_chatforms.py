"""What ``chat`` is told of a form or of tools: files, classes, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from arkor_tui.chat.typed import ChoiceForm, GrammarForm, ModelForm, RegexForm, SchemaForm
from arkor_tui.cli import chat
from arkor_tui.cli.chatforms import form_from, judged, tools_from
from arkor_tui.errors import UsageError

MODEL = """
from __future__ import annotations
from pydantic import BaseModel

print("\\x1b[31mhello")
number = 3

class Answer(BaseModel):
    ratio: float
    parts: list[Part] = []

class Part(BaseModel):
    name: str
"""
TOOLS = """
from arkor_tui.chat.tools import tool

@tool
def second(x: int) -> int:
    return x

@tool
def first() -> str:
    return ""

alias = second
"""


def parse(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    chat.configure(parser)
    return parser.parse_args(["latest", "prompt", *options])


def test_each_option_is_its_form(project: Path) -> None:
    (project / "s.json").write_text('{"type": "object"}')
    (project / "g.lark").write_text('start: "a"')
    assert form_from(parse()) is None
    schema, grammar = (
        form_from(parse("--schema", "s.json")),
        form_from(parse("--grammar", "g.lark")),
    )
    assert isinstance(schema, SchemaForm)
    assert schema.schema == {"type": "object"}
    assert isinstance(grammar, GrammarForm)
    assert grammar.grammar == 'start: "a"'
    choice, regex = (
        form_from(parse("--choice", "a", "--choice", "b|c")),
        form_from(parse("--regex", "a+")),
    )
    assert isinstance(choice, ChoiceForm)
    assert choice.choices == ["a", "b|c"]
    assert isinstance(regex, RegexForm)


@pytest.mark.parametrize("name", ["answers.py:Answer", "answers_module:Answer"])
def test_a_class_of_a_file_or_a_module_of_this_folder(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "answers.py").write_text(MODEL)
    (project / "answers_module.py").write_text(MODEL)
    form = form_from(parse("--model-type", name))
    assert isinstance(form, ModelForm)
    code, told = judged(form, '{"ratio": Infinity, "parts": null}', "stop")
    assert (code, told["value"]) == (1, None)
    code, told = judged(form, '{"ratio": 1e999, "parts": null}', "stop")
    assert (code, told["value"]) == (0, {"ratio": None, "parts": []})
    assert json.dumps(told, allow_nan=False)
    out, err = capsys.readouterr()
    assert out == "", "stdout is the reply's alone"
    assert "\x1b" not in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model-type", "Answer"], "names no class"),
        (["--model-type", "answers.py:"], "names no class"),
        (["--model-type", "answers.py:Nothing"], "has no class Nothing"),
        (["--model-type", "answers.py:number"], "has no class number"),
        (["--model-type", "gone.py:Answer"], "There is no file"),
        (["--model-type", "no_such_module_here:Answer"], "cannot be imported"),
        (["--model-type", "broken.py:Answer"], "line 1"),
        (["--schema", "gone.json"], "^Cannot read gone.json: No such file or directory.$"),
        (["--schema", "latin.json"], "latin.json, line 2: it is not UTF-8 text"),
        (["--schema", "list.json"], "not a JSON object"),
        (["--schema", "broken.py"], "line 1: not JSON"),
        (["--grammar", "gone.lark"], "^Cannot read gone.lark: No such file or directory.$"),
        (["--choice", " "], "none may be blank"),
        (["--tools", "gone.py"], "There is no file"),
        (["--tools", "answers.py"], "marks no function"),
        (["--tool-choice", "auto"], "go with --tools"),
        (["--max-rounds", "2"], "go with --tools"),
    ],
)
def test_what_cannot_be_used_is_told(project: Path, options: list[str], said: str) -> None:
    (project / "answers.py").write_text(MODEL)
    (project / "broken.py").write_text("raise RuntimeError('x')")
    (project / "list.json").write_text("[]")
    (project / "latin.json").write_bytes(b'{\n"\xe9": 1}')
    args = parse(*options)
    with pytest.raises(UsageError, match=said):
        form_from(args)
        tools_from(args)


def test_tools_come_in_the_order_of_the_file_and_once(project: Path) -> None:
    (project / "t.py").write_text(TOOLS)
    assert [tool.name for tool in tools_from(parse("--tools", "t.py"))] == ["second", "first"]
    assert tools_from(parse()) == []


def test_one_form_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--regex", "a", "--tools", "t.py"], ["--choice", "a", "--model-type", "m:C"]):
        with pytest.raises(SystemExit):
            parse(*options)
        assert "not allowed with" in capsys.readouterr().err


def test_the_verdict_decides_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(None, "anything", "length") == (0, {"verdict": None, "value": None})
    code, told = judged(ChoiceForm(["a"]), "b\x1b[31m", "stop")
    assert code == 1
    assert told == {"verdict": {"passed": False, "text": "none of the choices (a)"}, "value": None}
    assert "none of the choices (a)" in capsys.readouterr().err
    code, told = judged(RegexForm(r"\p{OfAnotherDialect}+"), "b", "stop")
    assert (code, told["verdict"]["passed"], told["value"]) == (0, None, "b")
    assert "Not checked" in capsys.readouterr().err
