"""Events in the archive: each exactly once, in the order in which they came."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .points import load_one, metric_points, series_names, write_points
from .records import AppendResult, CheckpointRow, LogRow, NewEvent
from .schema import transaction
from .series import Series

_ROW = "seq, id, kind, step, at, data"
SPARK_VALUES = 48
_LONGEST_SQL = 500


class EventStore:
    """The part of the archive that knows events and metric points."""

    db: sqlite3.Connection

    def append(self, key: int, events: Sequence[NewEvent]) -> AppendResult:
        """Add what is new, in one transaction, and bring the run's summary up to date.

        An event is known by its id. One without an id is known by its content: the same content
        again is a repeat, because a stream without ids starts over with every connection.
        """
        with transaction(self.db):
            summary = _Summary.read(self.db, key)
            if summary is None:
                return AppendResult((), len(events))  # the run was purged meanwhile
            known = self._known(key, events)
            added: list[LogRow] = []
            for event in events:
                event_id = _id_of(event)
                if event_id in known:
                    continue
                known.add(event_id)
                summary.events += 1
                step = event.step if _fits(event.step) else None
                added.append(
                    LogRow(summary.events, event_id, event.kind, step, event.at, event.data)
                )
            if not added:
                return AppendResult((), len(events))
            self.db.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(key, r.seq, r.id, r.kind, r.step, r.at, r.data) for r in added],
            )
            points = []
            for row in added:
                fresh = metric_points(row.kind, row.step, row.at, row.data)
                points += fresh
                summary.take(row, fresh)
            write_points(self.db, key, points)
            summary.write(self.db, key)
        return AppendResult(tuple(added), len(events) - len(added))

    def _known(self, key: int, events: Sequence[NewEvent]) -> set[str]:
        ids = list({_id_of(event) for event in events})
        known: set[str] = set()
        for start in range(0, len(ids), _LONGEST_SQL):
            part = ids[start : start + _LONGEST_SQL]
            marks = ", ".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT id FROM events WHERE run = ? AND id IN ({marks})",  # noqa: S608
                (key, *part),
            )
            known.update(row[0] for row in rows)
        return known

    def count_events(self, key: int) -> int:
        """How many events a run has."""
        row = self.db.execute("SELECT events FROM runs WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def log(
        self, key: int, *, after: int = 0, before: int | None = None, limit: int = 500
    ) -> list[LogRow]:
        """Events with ``after`` < seq < ``before``, ascending, at most ``limit``."""
        rows = self.db.execute(
            f"SELECT {_ROW} FROM events WHERE run = ? AND seq > ? AND seq < ?"  # noqa: S608
            " ORDER BY seq LIMIT ?",
            (key, after, before if before is not None else 1 << 62, limit),
        )
        return [LogRow(*row) for row in rows]

    def rows_at(self, key: int, seqs: Sequence[int]) -> list[LogRow]:
        """Certain events, ascending."""
        marks = ", ".join("?" * len(seqs))
        rows = self.db.execute(
            f"SELECT {_ROW} FROM events WHERE run = ? AND seq IN ({marks})"  # noqa: S608
            " ORDER BY seq",
            (key, *seqs),
        )
        return [LogRow(*row) for row in rows]

    def matching(self, key: int, *, kinds: Iterable[str] = (), text: str = "") -> list[int]:
        """The seqs of all events of some kinds (none: all) that hold a text, ascending."""
        wanted = sorted(kinds)
        where, values = ["run = ?"], list[Any]([key])
        if wanted:
            where.append(f"kind IN ({', '.join('?' * len(wanted))})")
            values += wanted
            if "training.log" not in wanted:
                where.append("kind <> 'training.log'")  # has an index of its own
        if text:
            where.append("data LIKE ? ESCAPE '\\'")
            values.append(_like(text))
        sql = f"SELECT seq FROM events WHERE {' AND '.join(where)} ORDER BY seq"  # noqa: S608
        return [row[0] for row in self.db.execute(sql, values)]

    def search(self, key: int, text: str, *, start: int, forward: bool) -> int | None:
        """The seq of the nearest event after (or before) ``start`` that holds ``text``.

        Upper and lower case of ASCII letters are the same.
        """
        compare, order = (">", "ASC") if forward else ("<", "DESC")
        row = self.db.execute(
            f"SELECT seq FROM events WHERE run = ? AND seq {compare} ?"  # noqa: S608
            f" AND data LIKE ? ESCAPE '\\' ORDER BY seq {order} LIMIT 1",
            (key, start, _like(text)),
        ).fetchone()
        return row[0] if row else None

    def row_of_step(self, key: int, step: int) -> int | None:
        """The seq of the log event at ``step``, or of the last one before it, or of the first."""
        before = self.db.execute(
            "SELECT seq FROM events WHERE run = ? AND kind = 'training.log' AND step <= ?"
            " ORDER BY step DESC, seq DESC LIMIT 1",
            (key, step),
        ).fetchone()
        found = (
            before
            or self.db.execute(
                "SELECT seq FROM events WHERE run = ? AND kind = 'training.log' AND step > ?"
                " ORDER BY step, seq LIMIT 1",
                (key, step),
            ).fetchone()
        )
        return int(found[0]) if found else None

    def ended(self, key: int) -> bool:
        """Whether the event that ends a run is archived."""
        row = self.db.execute(
            "SELECT 1 FROM events WHERE run = ? AND kind <> 'training.log'"
            " AND kind IN ('training.completed', 'training.failed') LIMIT 1",
            (key,),
        ).fetchone()
        return row is not None

    def checkpoints(self, key: int) -> list[CheckpointRow]:
        """Each step that a checkpoint was saved at, ascending, with the losses known then."""
        rows = self.db.execute(
            "SELECT step, max(seq), at FROM events WHERE run = ? AND kind <> 'training.log'"
            " AND kind = 'checkpoint.saved' AND step IS NOT NULL GROUP BY step ORDER BY step",
            (key,),
        ).fetchall()
        if not rows:
            return []
        loss, evals = load_one(self.db, key, "loss"), load_one(self.db, key, "evalLoss")
        return [
            CheckpointRow(step, seq, at, _before(loss, step), _before(evals, step))
            for step, seq, at in rows
        ]

    def load_series(self, key: int, names: Iterable[str] | None = None) -> dict[str, Series]:
        """Metric series by their names on the wire; all of them without ``names``."""
        wanted = series_names(self.db, key) if names is None else names
        return {name: load_one(self.db, key, name) for name in wanted}


def _before(series: Series, step: int) -> float | None:
    found = series.at_or_before(step)
    return found[1] if found else None


def _id_of(event: NewEvent) -> str:
    if event.id:
        return event.id
    return "~" + hashlib.sha256(event.data.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _fits(step: int | None) -> bool:
    return step is not None and -(2**63) <= step < 2**63


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


_SUMMARY = (
    "status", "error", "started_at", "completed_at", "last_step", "last_loss", "best_loss",
    "last_eval", "best_eval", "events", "checkpoints", "last_event_id",
)  # fmt: skip


@dataclass(slots=True)
class _Summary:
    """A run's row as far as events change it."""

    status: str
    error: str | None
    started_at: str | None
    completed_at: str | None
    last_step: int | None
    last_loss: float | None
    best_loss: float | None
    last_eval: float | None
    best_eval: float | None
    events: int
    checkpoints: int
    last_event_id: str | None
    spark: _Spark

    @classmethod
    def read(cls, db: sqlite3.Connection, key: int) -> _Summary | None:
        row = db.execute(
            "SELECT status, error, started_at, completed_at, last_step, last_loss, best_loss,"
            " last_eval_loss, best_eval_loss, events, checkpoints, last_event_id, spark"
            " FROM runs WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            return None
        *values, spark = row
        return cls(**dict(zip(_SUMMARY, values, strict=True)), spark=_Spark.read(spark))

    def take(self, row: LogRow, points: Sequence[tuple[str, float, float | None]]) -> None:
        if row.id is not None and not row.id.startswith("~"):
            self.last_event_id = row.id
        if row.step is not None and row.kind in ("training.log", "checkpoint.saved"):
            self.last_step = max(row.step, self.last_step or row.step)
        for name, _, value in points:
            if value is None:
                continue
            if name == "loss":
                self.last_loss = value
                self.best_loss = value if self.best_loss is None else min(value, self.best_loss)
                self.spark.add(value)
            elif name == "evalLoss":
                self.last_eval = value
                self.best_eval = value if self.best_eval is None else min(value, self.best_eval)
        if row.kind == "checkpoint.saved":
            self.checkpoints += 1
        elif row.kind == "training.started":
            self.started_at = self.started_at or row.at
            if self.status == "queued":
                self.status = "running"
        elif row.kind == "training.completed":
            self.status, self.completed_at = "completed", row.at or self.completed_at
        elif row.kind == "training.failed":
            self.completed_at = row.at or self.completed_at
            self._fail(row.data)

    def _fail(self, data: str) -> None:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = {}
        error = found.get("error") if isinstance(found, dict) else None
        self.error = error if isinstance(error, str) else self.error
        if self.status not in ("failed", "cancelled"):
            self.status = "cancelled" if error == "Job cancelled" else "failed"

    def write(self, db: sqlite3.Connection, key: int) -> None:
        db.execute(
            "UPDATE runs SET status = ?, error = ?, started_at = ?, completed_at = ?,"
            " last_step = ?, last_loss = ?, best_loss = ?, last_eval_loss = ?, best_eval_loss = ?,"
            " events = ?, checkpoints = ?, last_event_id = ?, spark = ? WHERE key = ?",
            (
                self.status, self.error, self.started_at, self.completed_at, self.last_step,
                self.last_loss, self.best_loss, self.last_eval, self.best_eval, self.events,
                self.checkpoints, self.last_event_id, self.spark.to_text(), key,
            ),
        )  # fmt: skip


@dataclass(slots=True)
class _Spark:
    """Every n-th loss; n doubles whenever there are too many."""

    every: int = 1
    waiting: int = 0
    values: list[float] = field(default_factory=list)

    @classmethod
    def read(cls, text: str) -> _Spark:
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError):
            return cls()

    def add(self, value: float) -> None:
        if self.waiting == 0:
            self.values.append(float(f"{value:.4g}") if math.isfinite(value) else value)
            if len(self.values) > SPARK_VALUES:
                self.values = self.values[::2]
                self.every *= 2
        self.waiting = (self.waiting + 1) % self.every

    def to_text(self) -> str:
        return json.dumps({"every": self.every, "waiting": self.waiting, "values": self.values})
