"""A look at a dataset before it is submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_tui import FileDataset, HuggingFaceDataset
from arkor_tui.datasets import preview as module
from arkor_tui.datasets.preview import DatasetPreview, preview
from arkor_tui.errors import UsageError


def test_the_first_rows_and_every_problem(project: Path) -> None:
    lines = ['{"a": 1}', "", "[1]", "oops", '{"a": 2}', '{"a": 3}']
    (project / "rows.jsonl").write_text("\n".join(lines))
    found = preview(FileDataset("rows.jsonl"), project, limit=2)
    assert found.rows == ({"a": 1}, {"a": 2})
    assert found.problems[0] == "line 3: not a JSON object"
    assert found.problems[1].startswith("line 4: not JSON: ")
    assert len(found.problems) == 2
    assert found.note == "5 rows"


def test_a_file_full_of_mistakes_does_not_fill_the_screen(project: Path) -> None:
    (project / "rows.jsonl").write_text("oops\n" * 1_234)
    found = preview(FileDataset("rows.jsonl"), project)
    assert len(found.problems) == 20
    assert found.note == "no row was found"


def test_a_large_file_is_read_only_at_its_beginning(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 20)
    (project / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\nthe rest is never looked at\n')
    found = preview(FileDataset("rows.jsonl"), project, limit=2)
    note = "only the beginning was read: the first 2 rows"
    assert found == DatasetPreview(({"a": 1}, {"a": 2}), (), note)


def test_a_missing_file_says_where_names_start(project: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as raised:
        preview(FileDataset("rows.jsonl"), project)
    assert str(project / "rows.jsonl") in raised.value.message
    assert raised.value.hint is not None
    assert "starts at the trainer file's folder" in raised.value.hint


def test_what_a_backend_fetches_is_not_fetched_here(project: Path) -> None:
    found = preview(HuggingFaceDataset(name="org/name"), project)
    assert found.rows == ()
    assert "when the run starts" in found.note
