"""What recipes found about runs, and what they must not do twice."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from .foreign import clean, to_json
from .records import FindingRow, Sample, now
from .schema import transaction

_SAMPLE = (
    "run_key", "probe", "prompt", "step", "reply", "passed", "verdict", "created_at", "target",
    "text", "seconds",
)  # fmt: skip


class FindingStore:
    """The part of the archive that knows samples of golden prompts, findings and marks."""

    db: sqlite3.Connection

    def save_sample(self, sample: Sample) -> None:
        """Keep a sample; an earlier one of the same prompt and target is replaced."""
        with transaction(self.db):
            self.db.execute(
                "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    sample.run_key, clean(sample.probe), sample.prompt, sample.step,
                    clean(sample.reply), sample.passed, clean(sample.verdict),
                    sample.created_at or now(), _target(sample), clean(sample.text), sample.seconds,
                ),
            )  # fmt: skip

    def samples(self, run_key: int) -> list[Sample]:
        """A run's samples by prompt and step: the base model first, the final adapter last."""
        rows = self.db.execute(
            "SELECT run, probe, prompt, step, reply, passed, verdict, created_at, target, text,"
            " seconds FROM samples WHERE run = ?"
            " ORDER BY probe, prompt, target = 'final', ifnull(step, -1)",
            (run_key,),
        )
        return [_sample(dict(zip(_SAMPLE, row, strict=True))) for row in rows]

    def save_finding(
        self, run_key: int, kind: str, name: str, step: int | None, data: dict[str, Any]
    ) -> None:
        """Keep something that a recipe found."""
        with transaction(self.db):
            self.db.execute(
                "INSERT INTO findings (run, kind, name, step, data, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (run_key, kind, clean(name), step, to_json(data), now()),
            )

    def findings(self, run_key: int, kind: str | None = None) -> list[FindingRow]:
        """What recipes found about a run, in order; of one kind where it is given."""
        rows = self.db.execute(
            "SELECT run, kind, name, step, data, created_at, id FROM findings"
            " WHERE run = ? AND (?2 IS NULL OR kind = ?2) ORDER BY id",
            (run_key, kind),
        )
        return [
            FindingRow(run, kind_, name, step, json.loads(data), at, number)
            for run, kind_, name, step, data, at, number in rows
        ]

    def set_mark(self, run_key: int, mark: str) -> bool:
        """Remember that something was done for a run; False where it was done before."""
        with transaction(self.db):
            return (
                self.db.execute(
                    "INSERT OR IGNORE INTO marks (run, mark) VALUES (?, ?)", (run_key, clean(mark))
                ).rowcount
                == 1
            )

    def is_marked(self, run_key: int, mark: str) -> bool:
        """Whether a mark was set."""
        found = self.db.execute(
            "SELECT 1 FROM marks WHERE run = ? AND mark = ?", (run_key, clean(mark))
        ).fetchone()
        return found is not None


def _target(sample: Sample) -> str:
    return sample.target or ("base" if sample.step is None else "checkpoint")


def _sample(values: dict[str, Any]) -> Sample:
    passed = values.pop("passed")
    return Sample(**values, passed=None if passed is None else bool(passed))
