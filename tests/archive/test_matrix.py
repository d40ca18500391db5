"""Samples as a table of prompts and checkpoints."""

from __future__ import annotations

from arkor_tui.archive.matrix import SampleMatrix
from arkor_tui.archive.records import Sample


def sample(prompt: int, step: int | None, passed: bool | None, target: str, reply: str) -> Sample:
    return Sample(1, "probe", prompt, step, reply, passed, target=target, text=f"prompt {prompt}")


SAMPLES = [
    sample(1, 50, True, "checkpoint", "b50"),
    sample(0, 100, True, "final", "a-final"),
    sample(0, None, False, "base", "a-base"),
    sample(0, 100, True, "checkpoint", "a100"),
    sample(0, 50, None, "checkpoint", "a50"),
    sample(1, None, False, "base", "b-base"),
]


def test_columns_go_from_base_to_final_and_rows_by_prompt() -> None:
    matrix = SampleMatrix(SAMPLES)
    assert [column.label for column in matrix.columns] == ["base", "50", "100", "final"]
    assert [(row.prompt, row.text) for row in matrix.rows] == [(0, "prompt 0"), (1, "prompt 1")]
    replies = [
        [found.reply if (found := matrix.cell(row, column)) else None for column in range(4)]
        for row in range(2)
    ]
    assert replies == [["a-base", "a50", "a100", "a-final"], ["b-base", "b50", None, None]]


def test_the_answer_before_skips_what_was_not_asked() -> None:
    matrix = SampleMatrix(SAMPLES)
    assert matrix.before(0, 0) is None
    assert (found := matrix.before(0, 3)) is not None
    assert found.reply == "a100"
    assert (found := matrix.before(1, 3)) is not None
    assert found.reply == "b50"


def test_only_judged_answers_count() -> None:
    matrix = SampleMatrix(SAMPLES)
    assert [matrix.passed(column) for column in range(4)] == [(0, 2), (1, 1), (1, 1), (1, 1)]
    assert SampleMatrix([]).columns == []
