"""Datasets that are anything but rows: reader and preview end soon, in results or in words."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.rows import read_examples
from arkor_tui.backend.spec import DatasetSpec
from arkor_tui.datasets.formats import COLUMNS
from arkor_tui.datasets.preview import preview
from arkor_tui.datasets.sources import FileDataset
from arkor_tui.errors import UsageError
from arkor_tui.tui.widgets.previews import rows_text
from tests.support.hostile_payloads import MEGABYTE, forbidden, hostile_text, json_values

columns = st.sampled_from([*(name for names in COLUMNS.values() for name in names), "role", "from"])
messages = st.lists(
    json_values
    | st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "assistant", "tool", "robot"]) | json_values,
            "content": hostile_text | json_values,
            "from": st.sampled_from(["human", "gpt"]) | json_values,
            "value": hostile_text | json_values,
            "tool_calls": json_values,
        },
    ),
    max_size=4,
)
rows = st.dictionaries(columns | hostile_text, messages | hostile_text | json_values, max_size=4)
lines = st.one_of(
    rows.map(lambda row: json.dumps(row).encode()),
    rows.map(lambda row: json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
    st.sampled_from(
        [b"[" * 5_000, b'{"a":' * 5_000, b"\xef\xbb\xbf", b"\x00", b"9" * 5_000, b'{"text":NaN}',
         b'{"text": "a"}', b'{"text": "\\ud800"}', b'{"text": 1e999}', b"\xff\xfe{", b"\r", b""]
    ),
)  # fmt: skip
datasets = st.lists(lines, max_size=8).map(b"\n".join)
formats = st.none() | st.sampled_from(sorted(COLUMNS))
mappings = st.dictionaries(columns, columns | hostile_text, max_size=2)
one_file = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refused(path: Path, format_type: Any = None, mapping: dict[str, str] | None = None) -> str:
    """The words in which the reader refuses a file; empty where it reads it."""
    spec = DatasetSpec("file", str(path), format=format_type, column_mapping=mapping or {})
    try:
        assert read_examples(spec)
    except DatasetError as error:
        return f"{error.message}\n{error.hint}"
    return ""


@one_file
@given(datasets, formats, mappings)
def test_any_dataset_is_examples_or_a_reason(
    tmp_path: Path, content: bytes, format_type: Any, mapping: dict[str, str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    words = refused(path, format_type, mapping)
    assert len(words) < 4_000
    assert forbidden(words) == set()


@one_file
@given(datasets)
def test_any_dataset_can_be_looked_at(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    found = preview(FileDataset(path), tmp_path)
    assert forbidden(rows_text(found).plain) == set()
    if len(found.problems) == 0 and content.strip():
        assert found.rows, "nothing is wrong, and nothing is there"


NASTY = {
    "one line of zeros": b"\x00" * (20 * MEGABYTE),
    "one line without end": b'{"text": "' + b"x" * (20 * MEGABYTE),
    "nothing but wrong lines": b"x\n" * MEGABYTE,
    "nothing but wrong rows": b"[]\n" * MEGABYTE,
    "nothing but blank lines": b"\n" * 200_000,
    "a thousand columns with long names": json.dumps(
        {f"{i}{'n' * 1_000}\x1b[31m": 1 for i in range(1_000)}
    ).encode(),
}


@pytest.mark.parametrize("name", NASTY)
def test_a_look_is_quick_and_takes_little_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(NASTY[name])
    tracemalloc.start()
    try:
        found = preview(FileDataset(path), tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * MEGABYTE
    shown = rows_text(found).plain
    assert len(shown) < 10_000
    assert forbidden(shown) == set()


@pytest.mark.parametrize("name", NASTY)
def test_the_reader_keeps_few_of_a_million_mistakes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(NASTY[name])
    tracemalloc.start()
    try:
        words = refused(path, "text")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words
    assert len(words) < 4_000
    assert peak < 4 * len(NASTY[name]) + 20 * MEGABYTE


def test_a_path_that_no_file_can_have_is_refused_in_words(tmp_path: Path) -> None:
    for name in ("a\x00b.jsonl", "x" * 5_000, "\ud800.jsonl"):
        with pytest.raises(UsageError, match="Cannot read"):
            preview(FileDataset(name), tmp_path)
        assert "Cannot read" in refused(tmp_path / name)
