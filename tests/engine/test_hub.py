"""Which files of a hub dataset are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_tui.backend.engine import hub
from arkor_tui.backend.engine.errors import DatasetError
from arkor_tui.backend.engine.hub import choose
from arkor_tui.backend.engine.rows import read_examples
from arkor_tui.backend.spec import DatasetSpec


def chosen(files: list[str], split: str = "train", subset: str | None = None) -> list[str]:
    return choose(files, split=split, subset=subset, name="me/data")


@pytest.mark.parametrize(
    ("files", "split", "subset", "found"),
    [
        (["README.md", "train.jsonl", "test.jsonl"], "train", None, ["train.jsonl"]),
        (["train.jsonl", "test.jsonl"], "test", None, ["test.jsonl"]),
        (["data/train-00001-of-2.jsonl", "data/train-00000-of-2.jsonl"], "train", None,
         ["data/train-00000-of-2.jsonl", "data/train-00001-of-2.jsonl"]),
        (["rows.jsonl"], "train", None, ["rows.jsonl"]),
        (["en/train.jsonl", "de/train.jsonl"], "train", "de", ["de/train.jsonl"]),
        (["train.jsonl", "pretraining.jsonl"], "train", None, ["train.jsonl"]),
    ],
)  # fmt: skip
def test_choice(files: list[str], split: str, subset: str | None, found: list[str]) -> None:
    assert chosen(files, split, subset) == found


@pytest.mark.parametrize(
    ("files", "split", "words"),
    [
        (["train.parquet"], "train", "Parquet"),
        (["train.jsonl"], "test", "train.jsonl"),
        (["test.jsonl"], "train", "test.jsonl"),
        (["a.jsonl", "b.jsonl"], "train", "a.jsonl, b.jsonl"),
        ([], "train", "no files"),
    ],
)
def test_nothing_to_choose(files: list[str], split: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        chosen(files, split)


def test_the_cache_serves_when_the_hub_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a"}\n')

    def unreachable(name: str, token: str | None) -> dict[str, Path | None]:
        raise ConnectionError("no network\nsecond line")

    monkeypatch.setattr(hub, "_online", unreachable)
    monkeypatch.setattr(hub, "_cached", lambda name: {"train.jsonl": path})
    dataset = DatasetSpec("huggingface", "me/data")
    assert [e.text for e in read_examples(dataset)] == ["a"]
    monkeypatch.setattr(hub, "_cached", lambda name: None)
    with pytest.raises(DatasetError, match=r"Cannot reach the hub dataset me/data: no network$"):
        read_examples(dataset)
