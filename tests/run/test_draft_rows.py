"""A draft's dataset, held against its format before it is sent: as the backend will read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.rows import read_examples
from arkor_tui.backend.spec import DatasetSpec
from arkor_tui.datasets import preview as module
from arkor_tui.datasets.formats import COLUMNS
from arkor_tui.datasets.layout import Layout
from arkor_tui.datasets.preview import DatasetPreview, preview
from arkor_tui.datasets.sources import FileDataset
from arkor_tui.errors import UsageError
from arkor_tui.run import draft as drafts
from tests.hostile.test_datasets import datasets, formats, mappings
from tests.support.amounts import examples
from tests.support.hostile_payloads import forbidden

USER, ANSWER = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}
GOOD = json.dumps({"messages": [USER, ANSWER]}).encode()


def looked_at(path: Path, kind: str | None, columns: dict[str, str] | None = None) -> Any:
    return preview(FileDataset(path), path.parent, layout=Layout(kind, columns or {}))


def is_refused(path: Path, kind: Any, columns: dict[str, str] | None = None) -> bool:
    """Whether the backend's own reader takes it."""
    spec = DatasetSpec("file", str(path), format=kind, column_mapping=columns or {})
    try:
        return not read_examples(spec)
    except DatasetError:
        return True


def chat(*messages: Any) -> bytes:
    return json.dumps({"messages": messages}).encode()


CALL: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [{"a": "b"}]}


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(datasets, formats, mappings)
@example(GOOD, None, {})
@example(GOOD + b"\n{}", None, {})
@example(GOOD, "chatml", {"messages": "text"})
@example(chat(USER, CALL), "chatml", {})
@example(chat({**CALL, "role": "user"}), "chatml", {})
@example(chat({**CALL, "tool_calls": ["\ud800"]}), "chatml", {})
@example(chat({**CALL, "tool_calls": []}), "chatml", {})
@example(chat({"role": "robot", "content": "x"}), "chatml", {})
@example(chat({"role": "user"}), "chatml", {})
@example(chat({"role": "user", "content": [{"type": "text", "text": "a"}]}), "chatml", {})
@example(chat({"role": "user", "content": [{"type": "image"}]}), "chatml", {})
@example(chat({"role": "user", "content": 5}), "chatml", {})
@example(chat(), "chatml", {})
@example(chat(5), "chatml", {})
@example(b'{"conversations": [{"from": "human", "value": "a"}]}', None, {})
@example(b'{"conversations": [{"role": "human", "value": "a"}]}', "sharegpt", {})
@example(b'{"conversations": [{"from": "gpt"}]}', "sharegpt", {})
@example(b'{"instruction": "a", "output": "b"}', None, {})
@example(b'{"instruction": "a", "input": 5, "output": "b"}', "alpaca", {})
@example(b'{"prompt": "a", "completion": null}', None, {})
@example(b'{"q": "a", "completion": "b"}', "prompt_completion", {"prompt": "q"})
@example(b'{"text": " "}', None, {})
@example(b'{"text": "\\ud800"}', "text", {})
@example(b'{"foo": 1}', None, {})
@example(b'{"foo": 1}\n{"text": "a"}', None, {})
@example(b"", None, {})
@example(b"\n \n", "text", {})
def test_a_file_is_broken_here_exactly_where_the_backend_refuses_it(
    tmp_path: Path, content: bytes, kind: str | None, columns: dict[str, str]
) -> None:
    if kind is not None:  # others are refused before any row is read
        columns = {name: column for name, column in columns.items() if name in COLUMNS[kind]}
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    found = looked_at(path, kind, columns)
    if kind is None and columns:
        assert not found.broken or is_refused(path, kind, columns)
    else:
        assert bool(found.broken) == is_refused(path, kind, columns), found.broken
    assert forbidden(found.broken) == set()
    assert len(found.broken) < 700


def test_the_first_wrong_line_is_told_with_how_many_there_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(GOOD + b'\n{broken\n{"foo": 1, "bar": 2}\n')
    found = looked_at(path, "chatml")
    assert found.problems == (
        "line 2: not JSON: expecting property name enclosed in double quotes at character 2",
        "line 3: column 'messages' is missing (the row has foo, bar)",
    )
    assert found.broken == f"{found.problems[0]} (and 1 more)"
    path.write_bytes(b'{"foo": 1}')
    assert looked_at(path, None).broken.startswith("line 1: fits no format: it has foo. Formats")
    path.write_bytes(b"x\n" * 50)
    assert looked_at(path, None).broken.endswith("(and 19 more so far)")


def test_only_so_much_is_read_and_nothing_said_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 3 * len(GOOD))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([GOOD] * 5))
    note = "only the beginning was read: the first 2 rows"
    assert looked_at(path, None).broken == ""
    assert looked_at(path, None).note == note
    path.write_bytes(GOOD + b"\noops\n" + b"\n".join([GOOD] * 5))
    assert looked_at(path, None).broken.startswith("line 2: not JSON")
    path.write_bytes(b"[" * 1_000)
    assert looked_at(path, None).problems == (f"line 1: longer than {3 * len(GOOD)} bytes",)
    assert looked_at(path, None).broken == "", "the rest of the line may be right"
    path.write_bytes(b"\n".join([GOOD[:-1] + b" }"] * 3)[: 3 * len(GOOD)])  # ends at the last byte
    assert looked_at(path, None).broken.startswith("line 3: not JSON")


def test_without_a_known_format_only_lines_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"foo": 1}')
    for setting in ("csv", {"type": "csv"}, {"columnMapping": {}}, 5):
        assert Layout.of(setting) is None
    assert preview(FileDataset(path), tmp_path) == DatasetPreview(({"foo": 1},), (), "1 row")
    assert Layout.of({"type": "text", "column_mapping": {"text": "foo"}}) == Layout(
        "text", {"text": "foo"}
    )
    assert drafts.layout_in({"dataset_format": " text "}) == Layout("text")
    assert drafts.layout_in({}) == Layout()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "rows.jsonl")
    with pytest.raises(UsageError, match="it is no regular file"):
        looked_at(tmp_path / "rows.jsonl", None)
