"""What the backend knows, on disk: jobs, their events and checkpoints, projects, tokens.

One SQLite file, one connection, one thread. What a method has returned from is on disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.jsonsafe import finite

from .limits import MAX_IDENTITIES, MAX_LIVE_JOBS
from .spec import TrainingSpec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
    config TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
    created_at TEXT NOT NULL, started_at TEXT, completed_at TEXT,
    next_seq INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS jobs_by_scope ON jobs (org, project, created_at);
CREATE INDEX IF NOT EXISTS live_jobs ON jobs (status) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS events (
    job_id TEXT NOT NULL REFERENCES jobs (id), seq INTEGER NOT NULL,
    type TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job_id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
    job_id TEXT NOT NULL REFERENCES jobs (id), step INTEGER NOT NULL, path TEXT NOT NULL,
    PRIMARY KEY (job_id, step)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, slug TEXT NOT NULL, name TEXT NOT NULL,
    UNIQUE (org, slug)
);
CREATE TABLE IF NOT EXISTS identities (
    token_hash TEXT PRIMARY KEY, id TEXT NOT NULL, org TEXT NOT NULL
);
"""
T = TypeVar("T")


class StoreError(ArkorTuiError):
    """What the backend knows cannot be read or written."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A row of jobs. Times are ISO-8601 strings."""

    id: str
    org: str
    project: str
    name: str
    config: dict[str, Any]
    status: str
    error: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status not in ("queued", "running")

    def to_wire(self) -> dict[str, Any]:
        """As the protocol tells it (docs/protocol.md, section 3)."""
        return {
            "id": self.id,
            "orgId": self.org,
            "projectId": self.project,
            "name": self.name,
            "status": self.status,
            "config": self.config,
            "error": self.error,
            "createdAt": self.created_at,
            "startedAt": self.started_at,
            "completedAt": self.completed_at,
        }


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event: ``seq`` is its id within the job, ``data`` its JSON text."""

    seq: int
    type: str
    data: str


class Store:
    """Open it with :meth:`open`; every method may be awaited from any task of one loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._db: sqlite3.Connection

    async def open(self) -> None:
        """Open or create the file, owner-only.

        Raises:
            StoreError: it is damaged, or there is no room for it.
        """
        try:
            await self._run(self._open)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The embedded backend cannot use its store {self._path}: {error}.",
                hint="Check its disk and the free space. If the file is damaged, move it and the "
                "files beside it that begin so away: the backend begins a new one. What the app "
                "has seen of its runs is in the archive.",
            ) from error

    def _open(self) -> None:
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)
        self._db = sqlite3.connect(self._path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten
        self._db.executescript(_SCHEMA)

    async def close(self) -> None:
        """Close the file; nothing may be called afterwards."""
        await self._run(lambda: self._db.close())
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transact() -> T:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._db)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return result

        return await self._run(transact)

    async def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return await self._run(lambda: self._db.execute(query, values).fetchall())

    # jobs

    async def create_job(
        self, org: str, project: str, name: str, config: dict[str, Any], spec: TrainingSpec
    ) -> StoredJob | None:
        """A new job, queued; None if too many have not ended yet. Its id cannot be guessed."""
        job_id = f"job_{secrets.token_hex(12)}"
        shown = json.dumps(config, ensure_ascii=False, allow_nan=False)

        def work(db: sqlite3.Connection) -> None:
            live = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
            if db.execute(live).fetchone()[0] < MAX_LIVE_JOBS:
                db.execute(
                    "INSERT INTO jobs (id, org, project, name, config, spec, status, created_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                    (job_id, org, project, name, shown, spec.to_json(), now()),
                )

        await self._in_transaction(work)
        return await self.job(job_id)

    async def job(self, job_id: str) -> StoredJob | None:
        """One job; None if there is none of that id."""
        rows = await self._rows("SELECT * FROM jobs WHERE id = ?", job_id)
        return _job(rows[0]) if rows else None

    async def jobs(self, org: str | None, project: str | None) -> list[StoredJob]:
        """Newest first; a scope part that is None does not filter."""
        rows = await self._rows(
            "SELECT * FROM jobs WHERE (?1 IS NULL OR org = ?1) AND (?2 IS NULL OR project = ?2)"
            " ORDER BY created_at DESC, rowid DESC",
            org,
            project,
        )
        return [_job(row) for row in rows]

    async def live_jobs(self) -> list[StoredJob]:
        """Queued and running jobs, oldest first."""
        rows = await self._rows(
            "SELECT * FROM jobs WHERE status IN ('queued', 'running') ORDER BY created_at, rowid"
        )
        return [_job(row) for row in rows]

    async def spec(self, job_id: str) -> TrainingSpec:
        """The checked settings of a job."""
        rows = await self._rows("SELECT spec FROM jobs WHERE id = ?", job_id)
        return TrainingSpec.from_json(rows[0]["spec"])

    # events

    async def append(self, job_id: str, kind: str, fields: Mapping[str, Any]) -> int:
        """Add an event; returns its id, which is never given twice."""
        return await self._in_transaction(lambda db: _append(db, job_id, kind, fields))

    async def mark_started(self, job_id: str, metadata: Mapping[str, Any]) -> bool:
        """Queued to running, with its event, in one step; False if it was not queued.

        A job that ran before and goes on from a checkpoint says from which step, in an event of its
        own: a client that does not know that event passes over it.
        """

        def work(db: sqlite3.Connection) -> bool:
            changed = db.execute(
                "UPDATE jobs SET status = 'running', started_at = ?"
                " WHERE id = ? AND status = 'queued'",
                (now(), job_id),
            ).rowcount
            if changed:
                _append(db, job_id, "training.started", {"metadata": metadata})
            elif (step := metadata.get("resumedFrom")) is not None:
                _append(db, job_id, "training.resumed", {"step": step, "metadata": metadata})
            return bool(changed)

        return await self._in_transaction(work)

    async def add_checkpoint(self, job_id: str, step: int, path: str, artifacts: list[Any]) -> None:
        """Remember a checkpoint, with its event, in one step."""

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO checkpoints (job_id, step, path) VALUES (?, ?, ?)",
                (job_id, step, path),
            )
            _append(db, job_id, "checkpoint.saved", {"step": step, "artifacts": artifacts})

        await self._in_transaction(work)

    async def finish(self, job_id: str, status: str, kind: str, fields: Mapping[str, Any]) -> bool:
        """End a live job with its one terminal event; False if it had ended before."""

        def work(db: sqlite3.Connection) -> bool:
            error = fields.get("error")
            changed = db.execute(
                "UPDATE jobs SET status = ?, error = ?, completed_at = ?"
                " WHERE id = ? AND status IN ('queued', 'running')",
                (status, error, now(), job_id),
            ).rowcount
            if changed:
                _append(db, job_id, kind, fields)
                _forget_secrets(db, job_id)
            return bool(changed)

        return await self._in_transaction(work)

    async def events_after(self, job_id: str, seq: int, limit: int) -> list[StoredEvent]:
        """The next events, at most ``limit``."""
        rows = await self._rows(
            "SELECT seq, type, data FROM events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            job_id,
            seq,
            limit,
        )
        return [StoredEvent(row["seq"], row["type"], row["data"]) for row in rows]

    async def last_seq(self, job_id: str) -> int:
        """The newest event's id; 0 if there is none."""
        rows = await self._rows("SELECT next_seq - 1 AS last FROM jobs WHERE id = ?", job_id)
        return int(rows[0]["last"]) if rows else 0

    async def milestones(self, job_id: str) -> list[dict[str, Any]]:
        """Every event but the logs, which may be a million."""
        rows = await self._rows(
            "SELECT data FROM events WHERE job_id = ? AND type <> 'training.log' ORDER BY seq",
            job_id,
        )
        return [json.loads(row["data"]) for row in rows]

    async def checkpoints(self, job_id: str) -> dict[int, str]:
        """Paths by step, in order of steps."""
        rows = await self._rows(
            "SELECT step, path FROM checkpoints WHERE job_id = ? ORDER BY step", job_id
        )
        return {row["step"]: row["path"] for row in rows}

    # projects and identities

    async def projects(self, org: str) -> list[dict[str, Any]]:
        """Projects of an organisation, by slug."""
        rows = await self._rows("SELECT * FROM projects WHERE org = ? ORDER BY slug", org)
        return [_project(row) for row in rows]

    async def create_project(self, org: str, name: str, slug: str) -> dict[str, Any] | None:
        """A new project; None if the slug is taken."""

        def work(db: sqlite3.Connection) -> sqlite3.Row | None:
            row: sqlite3.Row | None = db.execute(
                "INSERT INTO projects (id, org, slug, name) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING RETURNING *",
                (f"prj_{secrets.token_hex(8)}", org, slug, name),
            ).fetchone()
            return row

        row = await self._in_transaction(work)
        return _project(row) if row is not None else None

    async def create_identity(self) -> tuple[str, str, str] | None:
        """A new anonymous identity: its token, id and organisation. Only a hash is kept.

        None if there are too many.
        """
        token, identity = secrets.token_urlsafe(32), f"anon_{secrets.token_hex(8)}"
        org = f"anon-{secrets.token_hex(4)}"
        made = await self._in_transaction(
            lambda db: db.execute(
                "INSERT INTO identities (token_hash, id, org)"
                " SELECT ?, ?, ? WHERE (SELECT count(*) FROM identities) < ?",
                (_hash(token), identity, org, MAX_IDENTITIES),
            )
        )
        return (token, identity, org) if made.rowcount else None

    async def identity(self, token: str) -> tuple[str, str] | None:
        """Id and organisation of an anonymous token; None if it is unknown."""
        rows = await self._rows("SELECT id, org FROM identities WHERE token_hash = ?", _hash(token))
        return (rows[0]["id"], rows[0]["org"]) if rows else None


def now() -> str:
    """The time, as it is told on the wire."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(value: Any) -> str:
    """JSON that every parser takes: a number that JSON cannot hold becomes null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        return json.dumps(finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _append(db: sqlite3.Connection, job_id: str, kind: str, fields: Mapping[str, Any]) -> int:
    seq: int = db.execute(
        "UPDATE jobs SET next_seq = next_seq + 1 WHERE id = ? RETURNING next_seq - 1", (job_id,)
    ).fetchone()[0]
    data = encode({"type": kind, "jobId": job_id, "timestamp": now(), **fields})
    db.execute(
        "INSERT INTO events (job_id, seq, type, data) VALUES (?, ?, ?, ?)",
        (job_id, seq, kind, data),
    )
    return seq


def _forget_secrets(db: sqlite3.Connection, job_id: str) -> None:
    """Nobody fetches the dataset of a job that has ended again: its token is not needed any more,
    nor what is secret in its address."""
    row = db.execute("SELECT spec FROM jobs WHERE id = ?", (job_id,)).fetchone()
    spec = TrainingSpec.from_json(row["spec"])
    bare = replace(spec, dataset=spec.dataset.without_secrets())
    if bare != spec:
        db.execute("UPDATE jobs SET spec = ? WHERE id = ?", (bare.to_json(), job_id))


def _job(row: sqlite3.Row) -> StoredJob:
    return StoredJob(
        id=row["id"],
        org=row["org"],
        project=row["project"],
        name=row["name"],
        config=json.loads(row["config"]),
        status=row["status"],
        error=row["error"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
    )


def _project(row: sqlite3.Row) -> dict[str, Any]:
    return {"id": row["id"], "slug": row["slug"], "name": row["name"], "orgId": row["org"]}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
