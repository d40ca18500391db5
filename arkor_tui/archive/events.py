"""Events in the archive: each exactly once, in the order in which they came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .foreign import clean
from .points import (
    Point,
    cut_points,
    load_one,
    metric_points,
    series_names,
    values_before,
    write_points,
)
from .records import AppendResult, CheckpointRow, LogRow, NewEvent
from .schema import transaction
from .summary import Summary

if TYPE_CHECKING:
    from .series import Series

_ROW = "seq, id, kind, step, at, data"
# SQLite would otherwise read a million log events to find the few others
_RARE = "events INDEXED BY events_rare"
_ENDINGS = ("training.completed", "training.failed")
_LONGEST_SQL = 500
_NO_ID = "~"  # begins what stands in for a missing id; an id that begins so gets another one


class EventStore:
    """The part of the archive that knows events and metric points."""

    db: sqlite3.Connection

    def append(self, key: int, events: Sequence[NewEvent]) -> AppendResult:
        """Add what is new, in one transaction, and bring the run's summary up to date.

        An event is known by its id. One without an id is known by its content: the same content
        again is a repeat, because a stream without ids starts over with every connection. Data
        that cannot be understood is kept as it is, with lone surrogates as U+FFFD.
        """
        ids = [_stored_id(event) for event in events]
        fresh: dict[str, NewEvent] = {}
        for stored_id, event in zip(ids, events, strict=True):
            fresh.setdefault(stored_id, event)
        with transaction(self.db):
            summary = Summary.read(self.db, key)
            if summary is None:
                return AppendResult((), len(events))  # the run was purged meanwhile
            seqs = self._known(key, list(fresh))
            for stored_id in seqs:
                del fresh[stored_id]
            if not fresh:
                return AppendResult((), len(events), tuple(seqs[one] for one in ids))
            added: list[LogRow] = []
            rows: list[tuple[object, ...]] = []
            points: list[Point] = []
            for seq, (stored_id, event) in enumerate(fresh.items(), summary.events + 1):
                seqs[stored_id] = seq
                row = _log_row(seq, stored_id, event)
                added.append(row)
                rows.append((key, seq, stored_id, row.kind, row.step, row.at, row.data))
                if row.kind == "training.resumed" and row.step is not None:
                    # what was logged after that step was lost with the process that logged it
                    write_points(self.db, key, points)
                    points = []
                    cut_points(self.db, key, row.step)
                    summary.go_back(self.db, key, row.step)
                numbers = metric_points(row.kind, row.step, row.at, row.data)
                points += numbers
                summary.take(row, numbers)
            self.db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            if any(row.kind == "checkpoint.saved" for row in added):
                summary.checkpoints = self._count_checkpoints(key)
            write_points(self.db, key, points)
            summary.write(self.db, key)
        every = tuple(seqs[one] for one in ids)
        return AppendResult(tuple(added), len(events) - len(added), every)

    def _known(self, key: int, ids: Sequence[str]) -> dict[str, int]:
        known: dict[str, int] = {}
        for start in range(0, len(ids), _LONGEST_SQL):
            part = ids[start : start + _LONGEST_SQL]
            marks = ", ".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT id, seq FROM events WHERE run = ? AND id IN ({marks})",  # noqa: S608
                (key, *part),
            )
            known.update(rows)
        return known

    def _count_checkpoints(self, key: int) -> int:
        row = self.db.execute(
            f"SELECT count(DISTINCT step) FROM {_RARE} WHERE run = ?"  # noqa: S608
            " AND kind <> 'training.log' AND +kind = 'checkpoint.saved'",
            (key,),
        ).fetchone()
        return int(row[0])

    def count_events(self, key: int) -> int:
        """How many events a run has."""
        row = self.db.execute("SELECT events FROM runs WHERE key = ?", (key,)).fetchone()
        return int(row[0]) if row else 0

    def log(
        self,
        key: int,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 500,
        kinds: Iterable[str] = (),
        text: str = "",
    ) -> list[LogRow]:
        """Events with ``after`` < seq < ``before``, ascending, at most ``limit``.

        They are the first ones after ``after``; without it, the last ones before ``before``;
        without both, the first of the run. ``kinds`` and ``text`` are those of :meth:`matching`.
        """
        table, where, values = _filter(key, kinds, text)
        if after is not None:
            where += " AND seq > ?"
            values.append(after)
        if before is not None:
            where += " AND seq < ?"
            values.append(before)
        backwards = before is not None and after is None
        order = "DESC" if backwards else "ASC"
        rows = self.db.execute(
            f"SELECT {_ROW} FROM {table} WHERE {where} ORDER BY seq {order} LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        found = [_read(row) for row in rows]
        return found[::-1] if backwards else found

    def rows_at(self, key: int, seqs: Sequence[int]) -> list[LogRow]:
        """Certain events, ascending."""
        found: list[LogRow] = []
        ordered = sorted(set(seqs))
        for start in range(0, len(ordered), _LONGEST_SQL):
            part = ordered[start : start + _LONGEST_SQL]
            marks = ", ".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT {_ROW} FROM events WHERE run = ? AND seq IN ({marks})"  # noqa: S608
                " ORDER BY seq",
                (key, *part),
            )
            found += [_read(row) for row in rows]
        return found

    def matching(self, key: int, *, kinds: Iterable[str] = (), text: str = "") -> list[int]:
        """The seqs of all events of some kinds (none: all) that hold a text, ascending.

        Upper and lower case of ASCII letters are the same.
        """
        table, where, values = _filter(key, kinds, text)
        sql = f"SELECT seq FROM {table} WHERE {where} ORDER BY seq"  # noqa: S608
        return [row[0] for row in self.db.execute(sql, values)]

    def count_matching(self, key: int, text: str) -> int:
        """How many events hold a text; letters as in :meth:`matching`."""
        table, where, values = _filter(key, (), text)
        sql = f"SELECT COUNT(*) FROM {table} WHERE {where}"  # noqa: S608
        return int(self.db.execute(sql, values).fetchone()[0])

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
        """The seq of the log event whose step is nearest; of equally near ones the earlier step,
        and of several events of that step the last."""
        sides = [
            self.db.execute(
                "SELECT step, seq FROM events WHERE run = ? AND kind = 'training.log'"  # noqa: S608
                f" AND step {compare} ? ORDER BY step {order}, seq DESC LIMIT 1",
                (key, step),
            ).fetchone()
            for compare, order in (("<=", "DESC"), (">", "ASC"))
        ]
        found = [row for row in sides if row is not None]
        return int(min(found, key=lambda row: abs(row[0] - step))[1]) if found else None

    def log_data_at(self, key: int, step: int) -> list[str]:
        """The JSON of every log event of a step, in order.

        Those that are void are left out: the run went on from an earlier step after them.
        """
        rows = self.db.execute(
            "SELECT data FROM events WHERE run = ?1 AND kind = 'training.log' AND step = ?2"  # noqa: S608
            f" AND seq > ifnull((SELECT max(seq) FROM {_RARE} WHERE run = ?1"
            " AND kind <> 'training.log' AND kind = 'training.resumed' AND step < ?2), 0)"
            " ORDER BY seq",
            (key, step),
        )
        return [row[0] for row in rows]

    def ended(self, key: int) -> bool:
        """Whether the event that ends a run is archived."""
        row = self.db.execute(
            f"SELECT 1 FROM {_RARE} WHERE run = ? AND kind <> 'training.log'"  # noqa: S608
            " AND +kind IN (?, ?) LIMIT 1",
            (key, *_ENDINGS),
        ).fetchone()
        return row is not None

    def checkpoints(self, key: int) -> list[CheckpointRow]:
        """Each step that a checkpoint was saved at, ascending, with the losses known there."""
        rows = self.db.execute(
            f"SELECT step, max(seq), at FROM {_RARE} WHERE run = ? AND kind <> 'training.log'"  # noqa: S608
            " AND +kind = 'checkpoint.saved' AND step IS NOT NULL GROUP BY step ORDER BY step",
            (key,),
        ).fetchall()
        steps = [row[0] for row in rows]
        losses = values_before(self.db, key, "loss", steps)
        evals = values_before(self.db, key, "evalLoss", steps)
        return [
            CheckpointRow(step, seq, at, loss, eval_loss)
            for (step, seq, at), loss, eval_loss in zip(rows, losses, evals, strict=True)
        ]

    def load_series(self, key: int, names: Iterable[str] | None = None) -> dict[str, Series]:
        """Metric series by their names on the wire; all of them without ``names``."""
        wanted = series_names(self.db, key) if names is None else names
        return {name: load_one(self.db, key, name) for name in wanted}


def _stored_id(event: NewEvent) -> str:
    """The event's id, or one made of its content; the two never meet."""
    if event.id:
        own = clean(event.id)
        return _NO_ID + own if own.startswith(_NO_ID) else own
    import hashlib  # the list of runs does without, and events nearly always have an id

    content = f"{event.kind}\n{event.data}".encode("utf-8", "surrogatepass")
    return f"{_NO_ID}#{hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _own_id(stored: str) -> str | None:
    if not stored.startswith(_NO_ID):
        return stored
    return stored[1:] if stored.startswith(_NO_ID * 2) else None


def _log_row(seq: int, stored_id: str, event: NewEvent) -> LogRow:
    step = event.step if event.step is not None and -(2**63) <= event.step < 2**63 else None
    at = clean(event.at) if event.at is not None else None
    return LogRow(seq, _own_id(stored_id), clean(event.kind), step, at, clean(event.data))


def _read(row: Sequence[Any]) -> LogRow:
    seq, stored_id, *rest = row
    return LogRow(seq, _own_id(stored_id), *rest)


def _filter(key: int, kinds: Iterable[str], text: str) -> tuple[str, str, list[Any]]:
    """Table, condition and values."""
    wanted = sorted(kinds)
    table, where, values = "events", "run = ?", list[Any]([key])
    if wanted:
        # the plus keeps SQLite from replacing "kind" by the value, which would hide the index
        where += f" AND +kind IN ({', '.join('?' * len(wanted))})"
        values += wanted
        if "training.log" not in wanted:
            table = _RARE
            where += " AND kind <> 'training.log'"
    if text:
        where += " AND data LIKE ? ESCAPE '\\'"
        values.append(_like(text))
    return table, where, values


def _like(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
