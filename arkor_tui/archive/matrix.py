"""Samples of golden prompts as a table: a row for each prompt, a column for each target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .records import Sample


@dataclass(frozen=True, slots=True)
class Column:
    """One target: the base model, a checkpoint at ``step``, or the final adapter."""

    target: str
    step: int | None

    @property
    def label(self) -> str:
        """For people: ``base``, ``25``, ``final``."""
        return str(self.step) if self.target == "checkpoint" else self.target


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One golden prompt of a probe."""

    probe: str
    prompt: int
    text: str


class SampleMatrix:
    """Rows by probe and prompt, columns from the base model over the checkpoints to the end."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._cells: dict[tuple[str, int, Column], Sample] = {}
        texts: dict[tuple[str, int], str] = {}
        columns: set[Column] = set()
        for sample in samples:
            column = Column(sample.target, sample.step if sample.target == "checkpoint" else None)
            columns.add(column)
            self._cells[sample.probe, sample.prompt, column] = sample
            place = sample.probe, sample.prompt
            texts[place] = sample.text or texts.get(place, "")
        self.columns = sorted(columns, key=_order)
        self.rows = [SampleRow(*place, text) for place, text in sorted(texts.items())]

    def cell(self, row: int, column: int) -> Sample | None:
        """What was answered; None where that was not asked."""
        place = self.rows[row]
        return self._cells.get((place.probe, place.prompt, self.columns[column]))

    def before(self, row: int, column: int) -> Sample | None:
        """The answer of the nearest target before this one."""
        for earlier in range(column - 1, -1, -1):
            sample = self.cell(row, earlier)
            if sample is not None:
                return sample
        return None

    def passed(self, column: int) -> tuple[int, int]:
        """How many prompts of a column passed, and how many were judged."""
        judged = [s for r in range(len(self.rows)) if (s := self.cell(r, column)) is not None]
        verdicts = [s.passed for s in judged if s.passed is not None]
        return sum(verdicts), len(verdicts)


def _order(column: Column) -> tuple[int, int]:
    place = {"base": 0, "checkpoint": 1, "final": 2}.get(column.target, 1)
    return place, column.step or 0
