"""Metric points: what an event says in numbers, and how they lie in the archive.

A series lies in chunks of at most ``CHUNK`` points, each a row with the steps and the values as
little-endian doubles; a gap is a NaN among the values. Chunks do not overlap, so that points from
anywhere in the run change the chunks of their own neighbourhood only.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, overload

from .records import unix_time

if TYPE_CHECKING:
    from .series import Series

CHUNK = 512
MOST_SERIES = 100
"""Of one run; further names are left out, so that a server cannot make a table of each event."""
_LONGEST_NAME = 100
_NOT_METRICS = frozenset({"step", "type", "jobId", "timestamp", "nonFinite", ""})

Point = tuple[str, float, float | None]
"""A series' name, a step, and a value; None is a gap."""


def metric_points(kind: str, step: int | None, at: str | None, data: str) -> list[Point]:
    """The numbers of an event, under their names on the wire.

    Every number of a log event but its step; an infinite value, and what ``nonFinite`` names, are
    gaps, and so is a null loss unless the event is about the eval loss. ``time`` is the event's
    time in seconds since 1970. A field beyond the known ones is a metric as soon as it holds a
    number. Nothing that cannot be understood is an error.
    """
    if kind != "training.log" or step is None:
        return []
    from arkor_tui.api.wire import read_json  # pydantic, which the list of runs does without

    try:
        fields = read_json(data)
    except ValueError:
        return []
    if not isinstance(fields, dict):
        return []
    odd = fields.get("nonFinite")
    named = [name for name in odd if _is_metric(name)] if isinstance(odd, dict) else []
    points: list[Point] = [
        (name, step, _finite(value))
        for name, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and _is_metric(name)
    ]
    if fields.get("loss", 0) is None and fields.get("evalLoss") is None and "evalLoss" not in named:
        points.append(("loss", step, None))
    points += [(name, step, None) for name in named]
    moment = unix_time(at)
    if moment is not None:
        points.append(("time", step, moment))
    return points


def _is_metric(name: str) -> bool:
    return name not in _NOT_METRICS and len(name) <= _LONGEST_NAME


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def write_points(db: sqlite3.Connection, run: int, points: Iterable[Point]) -> None:
    """Add points to their series; the caller holds the transaction.

    A value at a step that is there already replaces it; a gap never replaces a value.
    """
    by_name: dict[str, dict[float, float]] = {}
    for name, step, value in points:
        fresh = by_name.setdefault(name, {})
        if value is not None:
            fresh[float(step)] = value
        else:
            fresh.setdefault(float(step), math.nan)
    for name, fresh in by_name.items():
        _write_series(db, run, name, fresh)


def _write_series(db: sqlite3.Connection, run: int, name: str, fresh: dict[float, float]) -> None:
    tail = db.execute(
        "SELECT last, length(steps) / 8 FROM points WHERE run = ? AND name = ?"
        " ORDER BY first DESC LIMIT 1",
        (run, name),
    ).fetchone()
    if tail is None and len(series_names(db, run)) >= MOST_SERIES:
        return
    lowest, highest = min(fresh), max(fresh)
    at_end = tail is None or lowest > tail[0]
    if tail is None or (at_end and tail[1] >= CHUNK):
        old = []
    else:
        old = _neighbours(db, run, name, lowest, highest)
    merged: dict[float, float] = {}
    for _, old_steps, old_values in old:
        merged.update(zip(_from_bytes(old_steps), _from_bytes(old_values), strict=True))
    for step, value in fresh.items():
        if not math.isnan(value) or step not in merged:
            merged[step] = value
    db.executemany(
        "DELETE FROM points WHERE run = ? AND name = ? AND first = ?",
        [(run, name, first) for first, _, _ in old],
    )
    ordered = sorted(merged)
    # At the end, full chunks; in the middle, even ones, which leave room for what comes next.
    size = CHUNK if at_end else -(-len(ordered) // -(-len(ordered) // CHUNK))
    for start in range(0, len(ordered), size):
        steps = array("d", ordered[start : start + size])
        values = array("d", [merged[step] for step in steps])
        db.execute(
            "INSERT INTO points (run, name, first, last, gaps, steps, vals)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                run, name, steps[0], steps[-1], sum(map(math.isnan, values)),
                _to_bytes(steps), _to_bytes(values),
            ),
        )  # fmt: skip


def cut_points(db: sqlite3.Connection, run: int, step: int) -> None:
    """Forget every point after ``step``; the caller holds the transaction."""
    db.execute("DELETE FROM points WHERE run = ? AND first > ?", (run, step))
    across = db.execute(
        "SELECT name, first, steps, vals FROM points WHERE run = ? AND last > ?", (run, step)
    ).fetchall()
    for name, first, some_steps, some_values in across:
        place = bisect_right(steps := _from_bytes(some_steps), step)
        kept, values = steps[:place], _from_bytes(some_values)[:place]
        db.execute(
            "UPDATE points SET last = ?, gaps = ?, steps = ?, vals = ?"
            " WHERE run = ? AND name = ? AND first = ?",
            (
                kept[-1], sum(map(math.isnan, values)), _to_bytes(kept), _to_bytes(values),
                run, name, first,
            ),
        )  # fmt: skip


def _neighbours(
    db: sqlite3.Connection, run: int, name: str, lowest: float, highest: float
) -> list[tuple[float, bytes, bytes]]:
    """The chunks that the steps fall into, and one beside them, which may have room."""
    found = db.execute(
        "SELECT first, steps, vals FROM points WHERE run = ? AND name = ? AND first <= ? AND"
        " first >= ifnull((SELECT max(first) FROM points WHERE run = ? AND name = ?"
        " AND first <= ?), ?)",
        (run, name, highest, run, name, lowest, lowest),
    ).fetchall()
    return (
        found
        or db.execute(
            "SELECT first, steps, vals FROM points WHERE run = ? AND name = ?"
            " ORDER BY first LIMIT 1",
            (run, name),
        ).fetchall()
    )


def load_one(db: sqlite3.Connection, run: int, name: str) -> Series:
    """A whole series; empty where there is none."""
    from .series import Series  # the list of runs does without

    steps, values, gaps = array("d"), array("d"), array("d")
    rows = db.execute(
        "SELECT gaps, steps, vals FROM points WHERE run = ? AND name = ? ORDER BY first",
        (run, name),
    )
    for missing, some_steps, some_values in rows:
        if missing:
            for step, value in zip(_from_bytes(some_steps), _from_bytes(some_values), strict=True):
                if math.isnan(value):
                    gaps.append(step)
                else:
                    steps.append(step)
                    values.append(value)
        else:
            steps.extend(_from_bytes(some_steps))
            values.extend(_from_bytes(some_values))
    return Series(steps, values, gaps)


@overload
def iterate(
    db: sqlite3.Connection, run: int, name: str, *, gaps: Literal[False] = False
) -> Iterator[tuple[float, float]]: ...


@overload
def iterate(
    db: sqlite3.Connection, run: int, name: str, *, gaps: Literal[True]
) -> Iterator[tuple[float, float | None]]: ...


def iterate(
    db: sqlite3.Connection, run: int, name: str, *, gaps: bool = False
) -> Iterator[tuple[float, float | None]]:
    """Steps and finite values, ascending; with ``gaps`` those too, as None.

    No more than a chunk is in memory.
    """
    rows = db.execute(
        "SELECT steps, vals FROM points WHERE run = ? AND name = ? ORDER BY first", (run, name)
    )
    for steps, values in rows:
        for step, value in zip(_from_bytes(steps), _from_bytes(values), strict=True):
            if not math.isnan(value):
                yield step, value
            elif gaps:
                yield step, None


def values_before(
    db: sqlite3.Connection, run: int, name: str, steps: Sequence[int]
) -> list[float | None]:
    """For each of ascending ``steps`` the last value that is not after it; None for a gap."""
    firsts = [
        row[0]
        for row in db.execute(
            "SELECT first FROM points WHERE run = ? AND name = ? ORDER BY first", (run, name)
        )
    ]
    found: list[float | None] = []
    loaded, some_steps, values = -1, array("d"), array("d")
    for step in steps:
        place = bisect_right(firsts, step) - 1
        if place < 0:
            found.append(None)
            continue
        if place != loaded:
            loaded, (some_steps, values) = place, _chunk(db, run, name, firsts[place])
        value = values[bisect_right(some_steps, step) - 1]
        found.append(None if math.isnan(value) else value)
    return found


def _chunk(
    db: sqlite3.Connection, run: int, name: str, first: float
) -> tuple[array[float], array[float]]:
    steps, values = db.execute(
        "SELECT steps, vals FROM points WHERE run = ? AND name = ? AND first = ?",
        (run, name, first),
    ).fetchone()
    return _from_bytes(steps), _from_bytes(values)


def series_names(db: sqlite3.Connection, run: int) -> list[str]:
    """The series that a run has."""
    rows = db.execute("SELECT DISTINCT name FROM points WHERE run = ? ORDER BY name", (run,))
    return [row[0] for row in rows]


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
