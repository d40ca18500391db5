"""Datasets: the five formats, and every way in which a line can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.rows import read_examples
from arkor_tui.backend.spec import DatasetSpec
from arkor_tui.datasets.formats import Example

Write = Callable[..., Path]


def read(path: Path, format_type: Any = None, **mapping: str) -> list[Example]:
    return read_examples(
        DatasetSpec("file", str(path), format=format_type, column_mapping=dict(mapping))
    )


def refusal(path: Path, format_type: Any = None, **mapping: str) -> str:
    with pytest.raises(DatasetError) as caught:
        read(path, format_type, **mapping)
    assert caught.value.hint
    return str(caught.value)


USER = {"role": "user", "content": "hi"}
ASSISTANT = {"role": "assistant", "content": "yes"}
EXCHANGE = (USER, ASSISTANT)


@pytest.mark.parametrize(
    ("row", "format_type", "messages"),
    [
        ({"messages": [USER, ASSISTANT]}, "chatml", EXCHANGE),
        (
            {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]},
            "sharegpt",
            EXCHANGE,
        ),
        ({"instruction": "hi", "input": "", "output": "yes"}, "alpaca", EXCHANGE),
        ({"instruction": "hi", "output": "yes"}, "alpaca", EXCHANGE),
        (
            {"instruction": "hi", "input": "you", "output": "yes"},
            "alpaca",
            ({"role": "user", "content": "hi\n\nyou"}, ASSISTANT),
        ),
        ({"prompt": "hi", "completion": "yes"}, "prompt_completion", EXCHANGE),
    ],
)
def test_conversation_formats(
    write_rows: Write, row: Any, format_type: str, messages: tuple[Any, ...]
) -> None:
    path = write_rows(row)
    assert read(path, format_type) == [Example(1, messages=messages)]
    assert read(path) == read(path, format_type), "the format is guessed from the columns"


def test_text_format(write_rows: Write) -> None:
    assert read(write_rows({"text": "hello"})) == [Example(1, text="hello")]


@pytest.mark.parametrize(
    ("row", "format_type", "mapping"),
    [
        ({"chat": [USER, ASSISTANT]}, "chatml", {"messages": "chat"}),
        ({"q": "hi", "a": "yes"}, "prompt_completion", {"prompt": "q", "completion": "a"}),
        ({"q": "hi", "a": "yes"}, "alpaca", {"instruction": "q", "output": "a"}),
        (
            {"q": "hi", "i": "", "a": "yes"},
            "alpaca",
            {"instruction": "q", "input": "i", "output": "a"},
        ),
    ],
)
def test_column_mapping(
    write_rows: Write, row: Any, format_type: str, mapping: dict[str, str]
) -> None:
    assert read(write_rows(row), format_type, **mapping)[0].messages == EXCHANGE


def test_mapping_makes_a_guess_possible(write_rows: Write) -> None:
    assert read(write_rows({"body": "x"}), text="body") == [Example(1, text="x")]


def test_mapping_of_an_unknown_column(write_rows: Write) -> None:
    text = refusal(write_rows({"text": "x"}), "text", messages="text")
    assert "messages" in text
    assert "text" in text


def test_columns_that_fit_no_format(write_rows: Write) -> None:
    text = refusal(write_rows({"foo": 1, "bar": 2}))
    assert "bar, foo" in text
    assert "chatml: messages" in text


def test_blank_lines_bom_crlf_and_odd_line_separators_are_fine(write_rows: Write) -> None:
    path = write_rows(
        b'\xef\xbb\xbf{"text": "a"}', b"", b"   ", '{"text": "b\u2028c"}'.encode(), end=b"\r\n"
    )
    assert [(e.line, e.text) for e in read(path)] == [(1, "a"), (4, "b\u2028c")]


def test_no_newline_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": "b"}')
    assert [e.text for e in read(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not valid JSON"),
        (b'{"text": "a"} x', "not valid JSON"),
        (b'{"text": "\xff"}', "not valid UTF-8 at byte 11"),
        (b'{"text": NaN}', "NaN is not a JSON number"),
        (b"[1]", "a JSON list instead of an object"),
        (b'"x"', "not an object"),
        (b"null", "not an object"),
        (b'{"txt": "a"}', "column 'text' is missing (the row has txt)"),
        (b"{}", "column 'text' is missing (the row has no columns)"),
        (b'{"text": 5}', "column 'text' is a number, not a string"),
        (b'{"text": null}', "column 'text' is null, not a string"),
        (b'{"text": true}', "column 'text' is a boolean, not a string"),
        (b'{"text": {}}', "column 'text' is an object, not a string"),
        (b'{"text": " "}', "column 'text' is empty"),
        (b'{"text": "\\ud800"}', "half of a character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_broken_text_lines(write_rows: Write, line: bytes, reason: str) -> None:
    text = refusal(write_rows({"text": "fine"}, line, {"text": "fine"}), "text")
    assert "1 line that is not right" in text
    assert "line 2: " in text
    assert reason in text


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("hi", "column 'messages' is a string, not a list"),
        ([], "column 'messages' is an empty list"),
        (["hi"], "message 1 is a string, not an object"),
        ([USER, {"content": "x"}], "message 2: role is missing"),
        ([{"role": "robot", "content": "x"}], "message 1: role is 'robot'"),
        ([{"role": "user"}], "message 1 has no content"),
        ([{"role": "user", "content": None}], "message 1: content is null"),
        ([{"role": "user", "content": [{"type": "image"}]}], "a part that is not text"),
    ],
)
def test_broken_messages(write_rows: Write, messages: Any, reason: str) -> None:
    assert reason in refusal(write_rows({"messages": messages}), "chatml")


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([{"from": "martian", "value": "x"}], "'from' is 'martian'"),
        ([{"from": "human"}], "turn 1 has no 'value'"),
        ([{"from": "human", "value": 1}], "'value' is a number"),
        ([3], "turn 1 is a number, not an object"),
        ([USER], "use the format chatml"),
    ],
)
def test_broken_sharegpt(write_rows: Write, turns: Any, reason: str) -> None:
    assert reason in refusal(write_rows({"conversations": turns}), "sharegpt")


def test_content_parts_and_tool_calls(write_rows: Write) -> None:
    parts = {
        "role": "user",
        "content": [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}],
    }
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    found = read(write_rows({"messages": [parts, call]}))[0].messages
    assert found == (USER, call)


def test_first_five_are_shown_and_all_are_counted(write_rows: Write) -> None:
    text = refusal(write_rows({"text": "ok"}, *[b"oops"] * 8), "text")
    assert "8 lines" in text
    assert "line 2: " in text
    assert "line 6: " in text
    assert "line 7" not in text
    assert "and 3 more" in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"text": "a"}'.encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PAR1....", "Parquet"),
        (b"", "no rows"),
        (b"\n\n", "no rows"),
    ],
)
def test_files_that_are_no_json_lines(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert reason in refusal(path, "text")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.jsonl")
    assert "directory" in refusal(tmp_path)


def test_hostile_text_is_harmless_in_the_message(write_rows: Write) -> None:
    text = refusal(write_rows({"messages": [{"role": "\x1b]52;c;x\x07evil", "content": "x"}]}))
    assert "\x1b" not in text
    assert "\x07" not in text
