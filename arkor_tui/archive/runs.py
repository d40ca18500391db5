"""Runs in the archive: taking them in, finding them, changing what people may change."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from arkor_tui.api.statuses import TERMINAL_STATUSES
from arkor_tui.ended import Ended
from arkor_tui.text.redact import redact_config
from arkor_tui.text.sanitize import plain

from .foreign import clean, object_of, to_json
from .records import OddLoss, RunIdentity, RunQuery, RunRecord, now, utc_time
from .schema import transaction

if TYPE_CHECKING:
    from arkor_tui.api.jobs import Job

KEEP_DELETED_SECONDS = 7 * 86_400.0
_NAMES = (
    "key", "backend", "org", "project", "job_id", "name", "model", "dataset", "status", "error",
    "reason", "created_at", "started_at", "completed_at", "max_steps", "last_step", "last_loss",
    "best_loss", "last_eval_loss", "best_eval_loss", "events", "checkpoints", "last_event_id",
    "config", "trainer_file", "origin", "tags", "note", "spark", "recipes", "ended",
    "odd_loss", "odd_eval_loss",
)  # fmt: skip
_COLUMNS = ", ".join(_NAMES)
# as RunRecord.duration has it: none where the two contradict each other
_DURATION = (
    "(SELECT days FROM (SELECT CASE WHEN live THEN julianday('now') ELSE julianday(completed_at)"
    " END - julianday(started_at) AS days) WHERE days > 0)"
)
_ORDER = {
    "created": "created_at {0}, key {0}",
    "name": "name COLLATE NOCASE {0}, key {0}",
    "status": "status {0}, created_at DESC, key DESC",
    "loss": "last_loss IS NULL, last_loss {0}, key {0}",
    "eval_loss": "last_eval_loss IS NULL, last_eval_loss {0}, key {0}",
    "steps": "last_step IS NULL, last_step {0}, key {0}",
    "duration": f"{_DURATION} IS NULL, {_DURATION} {{0}}, key {{0}}",
}
_PURGE_SLICE = 20_000
_PURGED = "{}"  # no job has a configuration without a model
_LONGEST_NAME = 1_000
_LONGEST_ERROR = 10_000


class RunStore:
    """The part of the archive that knows runs."""

    db: sqlite3.Connection

    def register(
        self,
        identity: RunIdentity,
        job: Job,
        *,
        trainer_file: str | None = None,
        origin: str = "app",
    ) -> int:
        """Take in a job, or what is new about it; returns the run's key.

        An ended run does not come back to life, and tags and notes stay. A run that was deleted
        here comes back.
        """
        with transaction(self.db):
            key = self._take(identity, job, trainer_file, origin)
            self.db.execute("UPDATE runs SET deleted_at = NULL WHERE key = ?", (key,))
            self.db.execute(
                "UPDATE runs SET config = ?, max_steps = ? WHERE key = ? AND config = ?",
                (*_settings(job), key, _PURGED),
            )
        return key

    def sync_jobs(self, backend: str, org: str, project: str, jobs: Sequence[Job]) -> None:
        """Take in a backend's whole list. Runs that were deleted here stay deleted."""
        with transaction(self.db):
            for job in jobs:
                self._take(RunIdentity(backend, org, project, job.id), job, None, "backend")

    def _take(self, identity: RunIdentity, job: Job, file: str | None, origin: str) -> int:
        where = (identity.backend, identity.org, identity.project, clean(identity.job_id))
        known = self.db.execute(
            "SELECT key, status, error, started_at, completed_at, trainer_file, origin FROM runs"
            " WHERE backend = ? AND org = ? AND project = ? AND job_id = ?",
            where,
        ).fetchone()
        error = plain(job.error, limit=_LONGEST_ERROR) if job.error is not None else None
        if known is None:
            config, max_steps = _settings(job)
            found = self.db.execute(
                "INSERT INTO runs (backend, org, project, job_id, name, model, dataset, status,"
                " error, created_at, started_at, completed_at, max_steps, config, trainer_file,"
                " origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key",
                (
                    *where,
                    plain(job.name, limit=_LONGEST_NAME, newlines=False),
                    plain(job.config.model, limit=_LONGEST_NAME, newlines=False),
                    dataset_name(object_of(config)),
                    job.status,
                    error,
                    utc_time(job.created_at) or now(),
                    utc_time(job.started_at),
                    utc_time(job.completed_at),
                    max_steps,
                    config,
                    file,
                    origin,
                ),
            ).fetchone()
            return int(found[0])
        key, *before = known
        after = list(before)
        if job.is_terminal or before[0] not in TERMINAL_STATUSES:
            after[:4] = (
                job.status,
                error or before[1],
                utc_time(job.started_at) or before[2],
                utc_time(job.completed_at) or before[3],
            )
        after[4] = file or before[4]
        after[5] = origin if before[5] == "backend" else before[5]
        if after != before:  # a list of thousands of old jobs must not be written on each refresh
            self.db.execute(
                "UPDATE runs SET status = ?, error = ?, started_at = ?, completed_at = ?,"
                " trainer_file = ?, origin = ? WHERE key = ?",
                (*after, key),
            )
        return int(key)

    def run(self, key: int) -> RunRecord | None:
        """One run; None where there is none (or it was deleted)."""
        row = self.db.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE key = ? AND deleted_at IS NULL",  # noqa: S608
            (key,),
        ).fetchone()
        return _record(row) if row else None

    def runs(
        self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0
    ) -> list[RunRecord]:
        """A page of the runs that match."""
        query = query or RunQuery()
        where, values = _where(query)
        order = _ORDER[query.sort].format("DESC" if query.descending else "ASC")
        live = "live DESC, " if query.live_first else ""
        rows = self.db.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY {live}{order}"  # noqa: S608
            " LIMIT ? OFFSET ?",
            (*values, limit, offset),
        )
        return [_record(row) for row in rows]

    def names(self, start: str) -> set[str]:
        """Names of runs that begin with ``start``."""
        rows = self.db.execute(
            "SELECT DISTINCT name FROM runs WHERE substr(name, 1, ?) = ?", (len(start), start)
        )
        return {str(row[0]) for row in rows}

    def count(self, query: RunQuery | None = None) -> int:
        """How many runs match."""
        where, values = _where(query or RunQuery())
        sql = f"SELECT count(*) FROM runs WHERE {where}"  # noqa: S608
        return int(self.db.execute(sql, values).fetchone()[0])

    def among(self, keys: Sequence[int], query: RunQuery) -> list[int]:
        """Those of some runs that match, ascending."""
        where, values = _where(query)
        rows = self.db.execute(
            f"SELECT key FROM runs WHERE {where} AND key IN"  # noqa: S608
            " (SELECT value FROM json_each(?)) ORDER BY key",
            (*values, to_json(list(keys))),
        )
        return [row[0] for row in rows]

    def find(self, ref: str) -> list[RunRecord]:
        """Runs with that name, or whose job id begins so: a whole id first, then the newest."""
        rows = self.db.execute(
            f"SELECT {_COLUMNS} FROM runs WHERE deleted_at IS NULL AND (name = ?1"  # noqa: S608
            " OR job_id >= ?1 AND job_id < ?1 || char(1114111))"
            " ORDER BY job_id = ?1 DESC, created_at DESC, key DESC LIMIT 1000",
            (ref,),
        )
        return [_record(row) for row in rows]

    def set_status(
        self, key: int, status: str, error: str | None = None, *, reason: str | None = None
    ) -> None:
        """What the backend said last, and why it was stopped.

        An ended run stays ended; an error or reason of None leaves what is there.
        """
        ended = ", ".join(f"'{name}'" for name in sorted(TERMINAL_STATUSES))
        error = plain(error, limit=_LONGEST_ERROR) if error is not None else None
        reason = clean(reason) if reason is not None else None
        with transaction(self.db):
            self.db.execute(
                "UPDATE runs SET status = CASE"  # noqa: S608
                f" WHEN status IN ({ended}) AND ?1 NOT IN ({ended}) THEN status ELSE ?1 END,"
                " error = ifnull(?2, error), reason = ifnull(?3, reason) WHERE key = ?4",
                (status, error, reason, key),
            )

    def set_end(self, key: int, status: str, error: str | None, ended: Ended) -> None:
        """Keep how a run ended and why; the first reason that was not the backend's stays."""
        self.set_status(key, status, error)
        reason = clean(ended.sentence) if ended.by != "backend" else None
        with transaction(self.db):
            self.db.execute(
                "UPDATE runs SET ended = ?1, reason = ifnull(?2, reason) WHERE key = ?3"
                " AND (ended IS NULL OR json_extract(ended, '$.by') IN ('backend', 'lost'))",
                (to_json(ended.as_dict()), reason, key),
            )

    def delivered(self, key: int, host: str) -> int:
        """The seq of the last event that callbacks on ``host`` have heard; 0 for none.

        What version 0.1 archived of a watched run counts as heard, on any host.
        """
        row = self.db.execute(
            "SELECT max(seq) FROM delivered WHERE run = ? AND host IN (?, '')", (key, host)
        ).fetchone()
        return int(row[0] or 0)

    def set_delivered(self, key: int, host: str, seq: int) -> None:
        """Remember that callbacks on ``host`` have heard every event up to ``seq``.

        Survives a kill of the process, and may be lost with the power.
        """
        with transaction(self.db):
            self.db.execute(
                "INSERT INTO delivered VALUES (?1, ?2, ?3) ON CONFLICT (run, host)"
                " DO UPDATE SET seq = max(seq, ?3)",
                (key, clean(host), seq),
            )

    def set_note(self, key: int, note: str) -> None:
        """Replace the note."""
        with transaction(self.db):
            self.db.execute("UPDATE runs SET note = ? WHERE key = ?", (clean(note), key))

    def set_tags(self, key: int, tags: Iterable[str]) -> None:
        """Replace the tags; white space inside a tag becomes a hyphen, a ``#`` before it goes."""
        words = ("-".join(plain(tag, newlines=False).split()).lstrip("#") for tag in tags)
        text = "".join(f" {word} " for word in dict.fromkeys(filter(None, words)))
        with transaction(self.db):
            self.db.execute("UPDATE runs SET tags = ? WHERE key = ?", (text, key))

    def set_recipes(self, key: int, count: int, trainer_file: str | None) -> None:
        """Say how many callbacks watch over a run, and which file they come from."""
        with transaction(self.db):
            self.db.execute(
                "UPDATE runs SET recipes = ?, trainer_file = ifnull(?, trainer_file) WHERE key = ?",
                (count, trainer_file, key),
            )

    def tags(self) -> list[str]:
        """Every tag in use."""
        rows = self.db.execute(
            "SELECT DISTINCT tags FROM runs WHERE tags <> '' AND deleted_at IS NULL"
        )
        return sorted({tag for row in rows for tag in row[0].split()})

    def delete(self, keys: Sequence[int]) -> None:
        """Hide runs; they can be brought back for seven days. Touches no backend."""
        with transaction(self.db):
            for key in keys:
                self.db.execute("UPDATE runs SET deleted_at = ? WHERE key = ?", (time.time(), key))

    def deleted(self, job_id: str) -> list[int]:
        """Keys of deleted runs with this job id."""
        rows = self.db.execute(
            "SELECT key FROM runs WHERE job_id = ? AND deleted_at IS NOT NULL", (job_id,)
        )
        return [row[0] for row in rows]

    def deleted_lately(self, *, limit: int) -> list[tuple[str, str]]:
        """Job ids and names of what can be brought back, the latest deletions first."""
        rows = self.db.execute(
            "SELECT job_id, name FROM runs WHERE deleted_at IS NOT NULL AND config <> ?"
            " ORDER BY deleted_at DESC, key DESC LIMIT ?",
            (_PURGED, limit),
        )
        return [(str(job_id), str(name)) for job_id, name in rows]

    def undelete(self, keys: Sequence[int]) -> None:
        """Bring runs back, unless they have been emptied meanwhile."""
        with transaction(self.db):
            for key in keys:
                self.db.execute(
                    "UPDATE runs SET deleted_at = NULL WHERE key = ? AND config <> ?",
                    (key, _PURGED),
                )

    def purge(self) -> None:
        """Empty runs that were deleted more than seven days ago.

        What remains of them keeps a backend's list from bringing them back. A call does a limited
        amount of work, so that it may be made whenever the archive is opened; the next one goes on.
        """
        limit = time.time() - KEEP_DELETED_SECONDS
        due = self.db.execute(
            "SELECT key FROM runs WHERE deleted_at < ? AND config <> ? LIMIT 100", (limit, _PURGED)
        ).fetchall()
        left = _PURGE_SLICE
        for (key,) in due:
            with transaction(self.db):
                left -= self.db.execute(
                    "DELETE FROM events WHERE run = ?1 AND seq < ?2 + ifnull("
                    "(SELECT min(seq) FROM events WHERE run = ?1), 0)",
                    (key, left),
                ).rowcount
                if left <= 0:
                    return
                for table in ("points", "exchanges", "samples"):
                    self.db.execute(f"DELETE FROM {table} WHERE run = ?", (key,))  # noqa: S608
                self.db.execute(
                    "UPDATE runs SET events = 0, checkpoints = 0, last_event_id = NULL, spark = '',"
                    " config = ?, note = '', tags = '', error = NULL WHERE key = ?",
                    (_PURGED, key),
                )


def _where(query: RunQuery) -> tuple[str, list[Any]]:
    parts, values = ["deleted_at IS NULL"], list[Any]()
    for column in ("backend", "org", "project"):
        value = getattr(query, column)
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    if query.statuses:
        parts.append(f"status IN ({', '.join('?' * len(query.statuses))})")
        values += sorted(query.statuses)
    if query.tag:
        parts.append("instr(tags, ?) > 0")
        values.append(f" {query.tag.removeprefix('#')} ")
    for word in clean(query.text).casefold().split():
        parts.append(
            "instr(folded(name || ' ' || job_id || ' ' || model || ' ' || dataset"
            " || replace(tags, ' ', ' #') || ' ' || note || ' ' || status), ?) > 0"
        )
        values.append(word)
    return " AND ".join(parts), values


def _record(row: Sequence[Any]) -> RunRecord:
    values = dict(zip(_NAMES, row, strict=True))
    identity = RunIdentity(*(values.pop(name) for name in ("backend", "org", "project", "job_id")))
    spark = object_of(values.pop("spark")).get("values", ())
    values["config"] = object_of(values["config"])
    values["tags"] = tuple(values["tags"].split())
    values["ended"] = _ended(values)
    for name in ("odd_loss", "odd_eval_loss"):
        values[name] = OddLoss.read(values[name])
    return RunRecord(identity=identity, sparkline=tuple(spark), **values)


def _ended(values: dict[str, Any]) -> Ended | None:
    """Why a run ended: as it was kept, else what its status tells."""
    kept = Ended.from_dict(object_of(values["ended"] or ""))
    if kept is not None or values["status"] not in TERMINAL_STATUSES:
        return kept
    if values["status"] == "completed":
        return Ended("backend", "Training completed.", step=values["last_step"])
    if values["status"] == "failed":
        why = values["error"] or "The backend gave no reason."
        return Ended("backend", f"Training failed: {why}", step=values["last_step"])
    return None


def _settings(job: Job) -> tuple[str, int | None]:
    """The configuration as it is kept, and the number of steps that it asks for."""
    config = redact_config(job.config.model_dump(by_alias=True))
    steps = config.get("maxSteps")
    if isinstance(steps, bool) or not isinstance(steps, int | float) or not 0 < steps < 2**63:
        return to_json(config), None
    return to_json(config), int(steps)


def dataset_name(config: dict[str, Any]) -> str:
    """A dataset in few words: a hub name, a file's name, or an address."""
    source = config.get("datasetSource")
    if not isinstance(source, dict):
        return ""
    if source.get("type") == "file":
        name = str(source.get("path", "")).rpartition("/")[2]
    else:
        name = str(source.get("name") or source.get("url") or "")
    return plain(name, limit=_LONGEST_NAME, newlines=False)
