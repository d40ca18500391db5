"""Runs in the archive: taking them in, finding them, changing what people may change."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from arkor_tui.api.jobs import TERMINAL_STATUSES, Job

from .records import RunIdentity, RunQuery, RunRecord
from .schema import transaction

KEEP_DELETED_SECONDS = 7 * 86_400.0
_NAMES = (
    "key", "backend", "org", "project", "job_id", "name", "model", "dataset", "status", "error",
    "reason", "created_at", "started_at", "completed_at", "max_steps", "last_step", "last_loss",
    "best_loss", "last_eval_loss", "best_eval_loss", "events", "checkpoints", "last_event_id",
    "config", "trainer_file", "origin", "tags", "note", "spark",
)  # fmt: skip
_COLUMNS = ", ".join(_NAMES)
_ORDER = {
    "created": "created_at {0}, key {0}",
    "name": "name COLLATE NOCASE {0}, key {0}",
    "status": "status {0}, created_at DESC, key DESC",
    "loss": "last_loss IS NULL, last_loss {0}, key {0}",
    "eval_loss": "last_eval_loss IS NULL, last_eval_loss {0}, key {0}",
    "steps": "ifnull(last_step, 0) {0}, key {0}",
    "duration": "ifnull(julianday(completed_at) - julianday(started_at), 0) {0}, key {0}",
}
_LONGEST_NAME = 1_000


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
        return key

    def sync_jobs(self, backend: str, org: str, project: str, jobs: Sequence[Job]) -> None:
        """Take in a backend's whole list. Runs that were deleted here stay deleted."""
        with transaction(self.db):
            for job in jobs:
                self._take(RunIdentity(backend, org, project, job.id), job, None, "backend")

    def _take(self, identity: RunIdentity, job: Job, file: str | None, origin: str) -> int:
        where = (identity.backend, identity.org, identity.project, identity.job_id)
        known = self.db.execute(
            "SELECT key, status FROM runs"
            " WHERE backend = ? AND org = ? AND project = ? AND job_id = ?",
            where,
        ).fetchone()
        if known is None:
            config = _without_secrets(job.config.model_dump(by_alias=True))
            found = self.db.execute(
                "INSERT INTO runs (backend, org, project, job_id, name, model, dataset, status,"
                " error, created_at, started_at, completed_at, max_steps, config, trainer_file,"
                " origin) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key",
                (
                    *where,
                    job.name[:_LONGEST_NAME],
                    job.config.model[:_LONGEST_NAME],
                    dataset_name(config),
                    job.status,
                    job.error,
                    job.created_at or "",
                    job.started_at,
                    job.completed_at,
                    _whole(config.get("maxSteps")),
                    json.dumps(config),
                    file,
                    origin,
                ),
            ).fetchone()
            return int(found[0])
        key, status = known
        if job.is_terminal or status not in TERMINAL_STATUSES:
            self.db.execute(
                "UPDATE runs SET status = ?, error = ifnull(?, error),"
                " started_at = ifnull(?, started_at), completed_at = ifnull(?, completed_at),"
                " trainer_file = ifnull(?, trainer_file) WHERE key = ?",
                (job.status, job.error, job.started_at, job.completed_at, file, key),
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

    def count(self, query: RunQuery | None = None) -> int:
        """How many runs match."""
        where, values = _where(query or RunQuery())
        sql = f"SELECT count(*) FROM runs WHERE {where}"  # noqa: S608
        return int(self.db.execute(sql, values).fetchone()[0])

    def find(self, ref: str) -> list[RunRecord]:
        """Runs with that job id; else whose job id begins so; else with that name; newest first."""
        for where, value in (
            ("job_id = ?", ref),
            ("job_id >= ?1 AND job_id < ?1 || char(1114111)", ref),
            ("name = ?", ref),
        ):
            rows = self.db.execute(
                f"SELECT {_COLUMNS} FROM runs WHERE {where} AND deleted_at IS NULL"  # noqa: S608
                " ORDER BY created_at DESC, key DESC LIMIT 100",
                (value,),
            ).fetchall()
            if rows:
                return [_record(row) for row in rows]
        return []

    def set_status(
        self, key: int, status: str, error: str | None = None, *, reason: str | None = None
    ) -> None:
        """What the backend said last, and why it was stopped."""
        with transaction(self.db):
            self.db.execute(
                "UPDATE runs SET status = ?, error = ifnull(?, error), reason = ifnull(?, reason)"
                " WHERE key = ?",
                (status, error, reason, key),
            )

    def set_note(self, key: int, note: str) -> None:
        """Replace the note."""
        with transaction(self.db):
            self.db.execute("UPDATE runs SET note = ? WHERE key = ?", (note, key))

    def set_tags(self, key: int, tags: Iterable[str]) -> None:
        """Replace the tags; white space inside a tag becomes a hyphen."""
        clean = dict.fromkeys("-".join(tag.split()) for tag in tags if tag.strip())
        text = "".join(f" {tag} " for tag in clean)
        with transaction(self.db):
            self.db.execute("UPDATE runs SET tags = ? WHERE key = ?", (text, key))

    def tags(self) -> list[str]:
        """Every tag in use."""
        rows = self.db.execute("SELECT DISTINCT tags FROM runs WHERE tags <> ''")
        return sorted({tag for row in rows for tag in row[0].split()})

    def delete(self, keys: Sequence[int]) -> None:
        """Hide runs; they can be brought back for seven days. Touches no backend."""
        with transaction(self.db):
            for key in keys:
                self.db.execute("UPDATE runs SET deleted_at = ? WHERE key = ?", (time.time(), key))

    def undelete(self, keys: Sequence[int]) -> None:
        """Bring runs back."""
        with transaction(self.db):
            for key in keys:
                self.db.execute("UPDATE runs SET deleted_at = NULL WHERE key = ?", (key,))

    def purge(self) -> None:
        """Empty runs that were deleted long ago; what remains keeps them from coming back."""
        limit = time.time() - KEEP_DELETED_SECONDS
        due = self.db.execute(
            "SELECT key FROM runs WHERE deleted_at < ? AND events > 0 LIMIT 20", (limit,)
        ).fetchall()
        for (key,) in due:
            with transaction(self.db):
                for table in ("events", "points", "exchanges", "samples"):
                    self.db.execute(f"DELETE FROM {table} WHERE run = ?", (key,))  # noqa: S608
                self.db.execute(
                    "UPDATE runs SET events = 0, checkpoints = 0, last_event_id = NULL,"
                    " config = '{}', note = '', tags = '', error = NULL WHERE key = ?",
                    (key,),
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
        values.append(f" {query.tag} ")
    for word in query.text.lower().split():
        parts.append(
            "instr(lower(name || ' ' || job_id || ' ' || model || ' ' || dataset || ' ' || tags"
            " || ' ' || note || ' ' || status), ?) > 0"
        )
        values.append(word)
    return " AND ".join(parts), values


def _record(row: Sequence[Any]) -> RunRecord:
    values = dict(zip(_NAMES, row, strict=True))
    identity = RunIdentity(*(values.pop(name) for name in ("backend", "org", "project", "job_id")))
    spark = _object(values.pop("spark")).get("values", ())
    values["config"] = _object(values["config"])
    values["tags"] = tuple(values["tags"].split())
    return RunRecord(identity=identity, sparkline=tuple(spark), **values)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _without_secrets(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as it may be kept: a dataset's token, and a signed address's query, go."""
    source = config.get("datasetSource")
    if isinstance(source, dict):
        kept = {name: value for name, value in source.items() if name != "token"}
        if isinstance(kept.get("url"), str):
            kept["url"] = kept["url"].partition("?")[0].partition("#")[0]
            scheme, mark, rest = kept["url"].partition("://")
            host, slash, path = rest.partition("/")
            kept["url"] = scheme + mark + host.rpartition("@")[2] + slash + path
        config = {**config, "datasetSource": kept}
    return config


def dataset_name(config: dict[str, Any]) -> str:
    """A dataset in few words: a hub name, a file's name, or an address."""
    source = config.get("datasetSource")
    if not isinstance(source, dict):
        return ""
    if source.get("type") == "file":
        return str(source.get("path", "")).rpartition("/")[2]
    return str(source.get("name") or source.get("url") or "")[:_LONGEST_NAME]
