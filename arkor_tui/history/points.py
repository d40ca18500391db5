"""Metric points: what an event says in numbers, and how they lie in the archive."""

from __future__ import annotations

import json
import math
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Sequence

from .records import unix_time
from .series import Series

CHUNK = 512
"""Points of one row; the last row of a series is written again until it is full."""
_GAPS = -1  # the chunk that holds the steps of gaps
_NOT_METRICS = frozenset({"step"})

Point = tuple[str, float, float | None]
"""A series' name, a step, and a value; None is a gap."""


def metric_points(kind: str, step: int | None, at: str | None, data: str) -> list[Point]:
    """The numbers of an event, under their names on the wire.

    Every number of a log event but its step; a null, an infinite value, and what ``nonFinite``
    names are gaps. ``time`` is the event's time in seconds since 1970. A field beyond the known
    ones is a metric as soon as it holds a number.
    """
    if kind != "training.log" or step is None:
        return []
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return []
    if not isinstance(fields, dict):
        return []
    odd = fields.pop("nonFinite", None)
    points: list[Point] = []
    for name, value in fields.items():
        if name in _NOT_METRICS or len(name) > 100:
            continue
        if isinstance(value, int | float) and not isinstance(value, bool):
            points.append((name, step, _finite(value)))
    if isinstance(odd, dict):
        points += [(name, step, None) for name in odd if isinstance(name, str) and len(name) <= 100]
    if fields.get("loss", 0) is None and fields.get("evalLoss") is None:
        points.append(("loss", step, None))
    moment = unix_time(at)
    if moment is not None:
        points.append(("time", step, moment))
    return points


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def write_points(db: sqlite3.Connection, run: int, points: Iterable[Point]) -> None:
    """Add points to their series; the caller holds the transaction."""
    by_name: dict[str, list[tuple[float, float | None]]] = {}
    for name, step, value in points:
        by_name.setdefault(name, []).append((step, value))
    for name, fresh in by_name.items():
        _write_series(db, run, name, fresh)


def _write_series(
    db: sqlite3.Connection, run: int, name: str, fresh: Sequence[tuple[float, float | None]]
) -> None:
    found = db.execute(
        "SELECT chunk, steps, vals FROM points WHERE run = ? AND name = ? AND chunk IN"
        " (-1, (SELECT max(chunk) FROM points WHERE run = ? AND name = ?))",
        (run, name, run, name),
    ).fetchall()
    gaps = next((row for row in found if row[0] == _GAPS), None)
    tail = next((row for row in found if row[0] != _GAPS), None)
    series = _series([tail] if tail else [], gaps)
    chunk = tail[0] if tail else 0
    if tail is not None and min(step for step, _ in fresh) < series.steps[0] and chunk > 0:
        # steps from before the last chunk: rare (a run that was resumed further back)
        series, chunk = load_one(db, run, name), 0
    series.extend(fresh)
    _write_chunks(db, run, name, series, chunk)
    if series.gaps or gaps is not None:
        _put(db, run, name, _GAPS, series.gaps, array("d"))


def _write_chunks(db: sqlite3.Connection, run: int, name: str, series: Series, chunk: int) -> None:
    for number, start in enumerate(range(0, len(series), CHUNK), chunk):
        end = start + CHUNK
        _put(db, run, name, number, series.steps[start:end], series.values[start:end])


def _put(
    db: sqlite3.Connection,
    run: int,
    name: str,
    chunk: int,
    steps: array[float],
    values: array[float],
) -> None:
    db.execute(
        "INSERT OR REPLACE INTO points VALUES (?, ?, ?, ?, ?)",
        (run, name, chunk, _to_bytes(steps), _to_bytes(values)),
    )


def load_one(db: sqlite3.Connection, run: int, name: str) -> Series:
    """A whole series; empty where there is none."""
    rows = db.execute(
        "SELECT chunk, steps, vals FROM points WHERE run = ? AND name = ? ORDER BY chunk",
        (run, name),
    ).fetchall()
    gaps = rows.pop(0) if rows and rows[0][0] == _GAPS else None
    return _series(rows, gaps)


def series_names(db: sqlite3.Connection, run: int) -> list[str]:
    """The series that a run has."""
    rows = db.execute("SELECT DISTINCT name FROM points WHERE run = ? ORDER BY name", (run,))
    return [row[0] for row in rows]


def _series(
    rows: Sequence[tuple[int, bytes, bytes]], gaps: tuple[int, bytes, bytes] | None
) -> Series:
    steps = _from_bytes(b"".join(row[1] for row in rows))
    values = _from_bytes(b"".join(row[2] for row in rows))
    return Series(steps, values, _from_bytes(gaps[1]) if gaps else ())


def _to_bytes(numbers: array[float]) -> bytes:
    if sys.byteorder == "big":
        numbers = array("d", numbers)
        numbers.byteswap()
    return numbers.tobytes()


def _from_bytes(data: bytes) -> array[float]:
    numbers = array("d")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
