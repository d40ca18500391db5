"""A run's summary, kept up to date by each event as it comes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from arkor_tui.api.statuses import TERMINAL_STATUSES
from arkor_tui.text.sanitize import plain

from .foreign import object_of, to_json
from .points import Point, iterate
from .records import CANCELLED, LogRow

SPARK_VALUES = 48
_LONGEST_ERROR = 10_000
_FIELDS = (
    "status", "error", "started_at", "completed_at", "max_steps", "last_step", "last_loss",
    "best_loss", "last_eval_loss", "best_eval_loss", "events", "checkpoints", "last_event_id",
    "odd_loss", "odd_eval_loss",
)  # fmt: skip


@dataclass(slots=True)
class Summary:
    """A run's row as far as events change it."""

    status: str
    error: str | None
    started_at: str | None
    completed_at: str | None
    max_steps: int | None
    last_step: int | None
    last_loss: float | None
    best_loss: float | None
    last_eval_loss: float | None
    best_eval_loss: float | None
    events: int
    checkpoints: int
    last_event_id: str | None
    odd_loss: str | None
    odd_eval_loss: str | None
    spark: Spark

    @classmethod
    def read(cls, db: sqlite3.Connection, key: int) -> Summary | None:
        """The summary as it is; None if there is no such run."""
        row = db.execute(
            f"SELECT {', '.join(_FIELDS)}, spark FROM runs WHERE key = ?",  # noqa: S608
            (key,),
        ).fetchone()
        if row is None:
            return None
        *values, spark = row
        return cls(**dict(zip(_FIELDS, values, strict=True)), spark=Spark.read(spark))

    def take(self, row: LogRow, points: Sequence[Point]) -> None:
        """One more event, with its metric points."""
        self.events = row.seq
        if row.id is not None:
            self.last_event_id = row.id
        if row.step is not None and row.kind in ("training.log", "checkpoint.saved"):
            self.last_step = max(row.step, self.last_step or row.step)
        for name, step, value in points:
            if name == "loss":
                self._take_loss(value, step, row.data)
            elif name == "evalLoss":
                self._take_eval_loss(value, step, row.data)
        if row.kind == "training.started":
            self._start(row)
        elif row.kind == "training.completed":
            self._end(row, "completed")
        elif row.kind == "training.failed":
            self._fail(row)

    def go_back(self, db: sqlite3.Connection, key: int, step: int) -> None:
        """Take the losses anew from the points, which end at ``step`` now."""
        self.last_step, self.spark = step, Spark()
        self.last_loss = self.best_loss = self.last_eval_loss = self.best_eval_loss = None
        self.odd_loss = self.odd_eval_loss = None
        for at, value in iterate(db, key, "loss", gaps=True):
            self._take_loss(value, at)
        for at, value in iterate(db, key, "evalLoss", gaps=True):
            self._take_eval_loss(value, at)

    def _take_loss(self, value: float | None, step: float, data: str = "") -> None:
        self.last_loss = value
        self.odd_loss = None if value is not None else _odd("loss", step, data)
        if value is not None:
            self.best_loss = value if self.best_loss is None else min(value, self.best_loss)
            self.spark.add(value)

    def _take_eval_loss(self, value: float | None, step: float, data: str = "") -> None:
        self.last_eval_loss = value
        self.odd_eval_loss = None if value is not None else _odd("evalLoss", step, data)
        if value is not None:
            best = self.best_eval_loss
            self.best_eval_loss = value if best is None else min(value, best)

    def _start(self, row: LogRow) -> None:
        self.started_at = self.started_at or row.at
        if self.status == "queued":
            self.status = "running"
        metadata = object_of(row.data).get("metadata")
        steps = metadata.get("steps") if isinstance(metadata, dict) else None
        # what our own backend has worked out from epochs, or from a dry run
        if type(steps) is int and 0 < steps < 2**63:
            self.max_steps = steps

    def _fail(self, row: LogRow) -> None:
        error = object_of(row.data).get("error")
        if isinstance(error, str) and self.error is None:
            self.error = plain(error, limit=_LONGEST_ERROR)
        self._end(row, "cancelled" if error == CANCELLED else "failed")

    def _end(self, row: LogRow, status: str) -> None:
        # what the backend said of an ended job counts for more than an event that comes late
        if self.status not in TERMINAL_STATUSES:
            self.status = status
        self.completed_at = self.completed_at or row.at

    def write(self, db: sqlite3.Connection, key: int) -> None:
        """Put it back; the caller holds the transaction."""
        assignments = ", ".join(f"{name} = ?" for name in _FIELDS)
        db.execute(
            f"UPDATE runs SET {assignments}, spark = ? WHERE key = ?",  # noqa: S608
            (*(getattr(self, name) for name in _FIELDS), self.spark.to_text(), key),
        )


def _odd(metric: str, step: float, data: str) -> str:
    """A loss that is no finite number, as :class:`~arkor_tui.archive.records.OddLoss` reads it."""
    named = object_of(data).get("nonFinite")
    value = named.get(metric) if isinstance(named, dict) else None
    return to_json({"value": value if isinstance(value, str) else "", "step": int(step)})


@dataclass(slots=True)
class Spark:
    """Every n-th loss; n doubles whenever there are too many."""

    every: int = 1
    waiting: int = 0
    values: list[float] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> Spark:
        """As :meth:`to_text` wrote it; an empty one where the text is of no use."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def add(self, value: float) -> None:
        """One more loss."""
        if self.waiting == 0:
            self.values.append(float(f"{value:.4g}"))
            if len(self.values) > SPARK_VALUES:
                self.values = self.values[::2]
                self.every *= 2
        self.waiting = (self.waiting + 1) % self.every

    def to_text(self) -> str:
        """For the archive."""
        return json.dumps({"every": self.every, "waiting": self.waiting, "values": self.values})
