"""The archive's file: opening it, bringing it up to date, and what to do with a broken one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from arkor_tui.config.atomic import make_private_folder, reason_of
from arkor_tui.config.folders import data_dir

from .errors import ArchiveError

FILE_NAME = "history.db"

_FIRST = """
CREATE TABLE runs (
    key INTEGER PRIMARY KEY,
    backend TEXT NOT NULL, org TEXT NOT NULL, project TEXT NOT NULL, job_id TEXT NOT NULL,
    name TEXT NOT NULL, model TEXT NOT NULL, dataset TEXT NOT NULL,
    status TEXT NOT NULL, error TEXT, reason TEXT,
    created_at TEXT NOT NULL, started_at TEXT, completed_at TEXT,
    max_steps INTEGER, last_step INTEGER,
    last_loss REAL, best_loss REAL, last_eval_loss REAL, best_eval_loss REAL,
    events INTEGER NOT NULL DEFAULT 0, checkpoints INTEGER NOT NULL DEFAULT 0,
    last_event_id TEXT, config TEXT NOT NULL, trainer_file TEXT, origin TEXT NOT NULL,
    tags TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '',
    spark TEXT NOT NULL DEFAULT '', deleted_at REAL,
    live INTEGER GENERATED ALWAYS AS (status IN ('queued', 'running')) STORED,
    UNIQUE (backend, org, project, job_id)
);
CREATE INDEX runs_in_order ON runs (live DESC, created_at DESC, key DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX runs_of_project ON runs (backend, org, project, live DESC, created_at DESC, key DESC)
    WHERE deleted_at IS NULL;
CREATE INDEX runs_deleted ON runs (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX runs_of_job ON runs (job_id);
CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, step INTEGER, at TEXT,
    data TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX events_by_id ON events (run, id);
CREATE INDEX events_by_step ON events (run, step) WHERE kind = 'training.log';
CREATE INDEX events_rare ON events (run, seq, kind) WHERE kind <> 'training.log';
CREATE TABLE points (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    name TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL, gaps INTEGER NOT NULL,
    steps BLOB NOT NULL, vals BLOB NOT NULL,
    PRIMARY KEY (run, name, first)
);
CREATE TABLE exchanges (
    id INTEGER PRIMARY KEY,
    run INTEGER REFERENCES runs (key) ON DELETE CASCADE,
    target TEXT NOT NULL, step INTEGER, model TEXT NOT NULL, messages TEXT NOT NULL,
    settings TEXT NOT NULL, reply TEXT NOT NULL, finish_reason TEXT, first_token_s REAL,
    total_s REAL, tokens INTEGER, verdict TEXT, error TEXT, grp TEXT, created_at TEXT NOT NULL
);
CREATE INDEX exchanges_of_run ON exchanges (run, id);
CREATE TABLE prompts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, prompt TEXT NOT NULL, system TEXT NOT NULL,
    settings TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE TABLE samples (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    probe TEXT NOT NULL, prompt INTEGER NOT NULL, step INTEGER, reply TEXT NOT NULL,
    passed INTEGER, verdict TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE UNIQUE INDEX samples_once ON samples (run, probe, prompt, ifnull(step, -1));
"""

_SECOND = """
ALTER TABLE runs ADD COLUMN recipes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE samples ADD COLUMN target TEXT NOT NULL DEFAULT 'checkpoint';
ALTER TABLE samples ADD COLUMN text TEXT NOT NULL DEFAULT '';
ALTER TABLE samples ADD COLUMN seconds REAL;
UPDATE samples SET target = 'base' WHERE step IS NULL;
DROP INDEX samples_once;
CREATE UNIQUE INDEX samples_once ON samples (run, probe, prompt, target, ifnull(step, -1));
CREATE TABLE findings (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE,
    kind TEXT NOT NULL, name TEXT NOT NULL, step INTEGER, data TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX findings_of_run ON findings (run, id);
CREATE TABLE marks (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE, mark TEXT NOT NULL,
    PRIMARY KEY (run, mark)
) WITHOUT ROWID;
"""

# Why a run ended is one JSON object (arkor_tui/ended.py); 0.1 kept a sentence only, and what fired
# among the findings. A last loss that is no finite number (in points, a NaN) is kept as that, where
# 0.1 kept the finite one before it. What callbacks have heard is kept apart from what is archived:
# of a run that 0.1 watched, everything that is archived counts as heard.
_THIRD = """
ALTER TABLE runs ADD COLUMN ended TEXT;
ALTER TABLE runs ADD COLUMN odd_loss TEXT;
ALTER TABLE runs ADD COLUMN odd_eval_loss TEXT;
CREATE TEMP TABLE odd_ends AS
    SELECT p.run, p.name, CAST(p.last AS INTEGER) AS step, ifnull((
        SELECT json_extract(e.data, '$.nonFinite.' || p.name) FROM events e
        WHERE e.run = p.run AND e.kind = 'training.log' AND e.step = CAST(p.last AS INTEGER)
        AND json_valid(e.data) ORDER BY e.seq DESC LIMIT 1), '') AS value
    FROM points p WHERE p.name IN ('loss', 'evalLoss')
    AND p.first = (SELECT max(first) FROM points WHERE run = p.run AND name = p.name)
    AND hex(substr(p.vals, -2)) = 'F87F';
UPDATE runs SET last_loss = NULL, odd_loss = json_object('value', o.value, 'step', o.step)
    FROM odd_ends o WHERE o.run = runs.key AND o.name = 'loss';
UPDATE runs SET last_eval_loss = NULL, odd_eval_loss = json_object('value', o.value, 'step', o.step)
    FROM odd_ends o WHERE o.run = runs.key AND o.name = 'evalLoss';
DROP TABLE odd_ends;
WITH fired AS (
    SELECT f.run, json_extract(f.data, '$.reason') AS reason, min(f.step) AS step,
        max(json_extract(f.data, '$.guard')) AS guard,
        max(CASE WHEN json_extract(f.data, '$.phase') = 'stopped' THEN
            (SELECT e.step FROM events e WHERE e.run = f.run AND e.kind = 'checkpoint.saved'
             AND e.step = f.step AND json_extract(f.data, '$.action') = 'checkpoint') END)
            AS checkpoint
    FROM findings f WHERE f.kind = 'guard' GROUP BY 1, 2
)
UPDATE runs SET ended = json_object('by', 'guard', 'sentence', runs.reason, 'guard', fired.guard,
    'step', fired.step, 'checkpoint', fired.checkpoint)
    FROM fired WHERE fired.run = runs.key AND fired.reason = runs.reason
    AND runs.status = 'cancelled';
UPDATE runs SET ended = json_object('by', 'person', 'sentence', reason)
    WHERE ended IS NULL AND reason LIKE 'cancelled %' AND status = 'cancelled';
UPDATE runs SET ended = json_object('by', 'lost', 'sentence', reason)
    WHERE ended IS NULL AND reason = 'recorded before the run had ended';
UPDATE runs SET ended = json_object('by', 'callback', 'sentence', reason)
    WHERE ended IS NULL AND reason IS NOT NULL AND status = 'cancelled' AND backend <> 'import';
CREATE TABLE delivered (
    run INTEGER NOT NULL REFERENCES runs (key) ON DELETE CASCADE, host TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, host)
) WITHOUT ROWID;
INSERT INTO delivered (run, host, seq) SELECT key, '', events FROM runs WHERE recipes > 0;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND, _THIRD)
"""What makes version n+1 of version n; never changed once it was released."""


_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY_SECONDS = 30.0


def failed(path: Path, error: sqlite3.Error) -> ArchiveError:
    """What is wrong where an archive that was opened cannot be read or written any more."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = code & 0xFF if isinstance(code, int) else -1
    if kind in _BROKEN:
        return _damaged(path, str(error))
    cause, hint = _cause(path, kind)
    why = f"{cause} ({error})" if cause else str(error)
    return ArchiveError(f"The archive {path} cannot be used: {why}.", hint=hint)


def _cause(path: Path, kind: int) -> tuple[str, str]:
    """What is behind an error of SQLite, where that is known, and what to do about it."""
    if kind == sqlite3.SQLITE_READONLY and _is_read_only(path.parent):
        return "its file system is read-only", _elsewhere("Mount it writable")
    causes = {
        sqlite3.SQLITE_PROTOCOL: (
            "its folder lies on a network file system (NFS) without the locks and the shared "
            "memory that the archive needs",
            _elsewhere(),
        ),
        sqlite3.SQLITE_IOERR: (
            "its disk cannot be read or written, or its folder lies on a network file system",
            _elsewhere("Check the disk: its free space, and whether it is still mounted"),
        ),
        sqlite3.SQLITE_FULL: ("its disk is full", "Free some space there, then try again."),
        sqlite3.SQLITE_BUSY: (
            "another process is busy with it",
            "Try again in a moment.",
        ),
        sqlite3.SQLITE_READONLY: (
            "it may not be written to",
            f"Check who owns {path} and {path.parent}, and their modes.",
        ),
        sqlite3.SQLITE_CANTOPEN: (
            "it or a file beside it cannot be made or opened",
            _elsewhere(f"Check who owns {path.parent}, its mode and its free space"),
        ),
    }
    return causes.get(kind, ("", "`arkor-tui doctor` checks the archive and its folder."))


def _elsewhere(first: str = "") -> str:
    """Advise another data folder, where ``first`` does not help."""
    here = "set ARKOR_TUI_DATA_DIR to a folder on a disk of this machine"
    return f"{first}, or {here}." if first else f"{here[:1].upper()}{here[1:]}."


def _is_read_only(folder: Path) -> bool:
    try:
        return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _damaged(path: Path, how: str) -> ArchiveError:
    return ArchiveError(
        f"The archive {path} is damaged within: {how}.",
        hint=f"Move it away once nothing of arkor-tui runs (`mv {path} {path}.damaged`): a new one "
        "is begun, and the backend's runs come back into it. Tags, notes, samples and transcripts "
        "are in the old file only.",
    )


class _BrokenFileError(Exception):
    """The file is no database, or a damaged one."""


def archive_path(*, create: bool = True) -> Path:
    """The archive in the user's data folder, which is made."""
    return data_dir(create=create) / FILE_NAME


def examine(path: Path) -> None:
    """Read every page of an archive, and change nothing.

    Raises:
        ArchiveError: it is damaged, of a newer version, or cannot be read.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        with closing(db):
            _version(db, path)
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise failed(path, error) from error
    if found != "ok":
        raise _damaged(path, found)


def connect(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """Open the file, made or brought up to date as needed, and what there is to say about it.

    A file that is no database, or a broken one, is set aside beside it and never deleted.

    Raises:
        ArchiveError: it is from a newer version, or cannot be opened or made.
    """
    try:
        make_private_folder(path.parent)
        with _locked(path):
            return _connect(path)
    except sqlite3.Error as error:
        raise failed(path, error) from error
    except _BrokenFileError as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise ArchiveError(
            f"The archive {path} cannot be used: {reason_of(error)}.",
            hint=_elsewhere(f"Check who owns {path.parent} and whether it can be written to"),
        ) from error


def _connect(path: Path) -> tuple[sqlite3.Connection, str | None]:
    _make_private(path)
    try:
        return _open(path), None
    except _BrokenFileError as error:
        kept = _set_aside(path)
        _make_private(path)
        told = f"The archive was damaged ({error}); it is kept as {kept}, and a new one was begun."
        return _open(path), told


def _make_private(path: Path) -> None:
    # made here first: SQLite would make it readable for others; its -wal and -shm follow it
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        with suppress(OSError):  # a mount that has no modes, or a file that is just going away
            if file.is_file() and file.stat().st_mode & 0o077:
                file.chmod(0o600)


def _open(path: Path) -> sqlite3.Connection:
    # Each connection belongs to one thread at a time; the thread that closes it may be another.
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = NORMAL")
        db.create_function("folded", 1, _folded, deterministic=True)
        if _version(db, path) < len(MIGRATIONS):
            _bring_up_to_date(db, path)
        db.execute("SELECT max(key) FROM runs").fetchone()
        _check_length(db, path)
    except BaseException as error:
        db.close()
        code = getattr(error, "sqlite_errorcode", None)
        if isinstance(code, int) and code & 0xFF in _BROKEN:
            raise _BrokenFileError(str(error)) from error
        raise
    return db


def _folded(text: object) -> str:
    """What letters are compared by in any alphabet; SQLite's own lower() knows ASCII only."""
    return text.casefold() if isinstance(text, str) else ""


def _check_length(db: sqlite3.Connection, path: Path) -> None:
    """Whether something is missing at the end; SQLite does not miss a part of the last page.

    Nothing here may open the file: closing it again would end the locks of all connections that
    this process has to it, and another process would take the log away from under them.

    Raises:
        _BrokenFileError: the file is too short.
    """
    pages: int = db.execute("PRAGMA page_count").fetchone()[0]
    size: int = db.execute("PRAGMA page_size").fetchone()[0]
    log = path.with_name(path.name + "-wal")
    with suppress(FileNotFoundError):  # looked at in this order, as others write meanwhile
        if log.stat().st_size > 0:
            return  # pages may be there instead
    if path.stat().st_size < pages * size:
        raise _BrokenFileError("the file is cut short")


def _version(db: sqlite3.Connection, path: Path) -> int:
    # both in one statement: another process may make the tables in between
    version, tables = db.execute(
        "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
    ).fetchone()
    if version > len(MIGRATIONS):
        raise ArchiveError(
            f"The archive {path} was written by a newer version of arkor-tui.",
            hint="Update arkor-tui (pip install -U arkor-tui); the archive is left as it is.",
        )
    if version == 0 and tables:
        raise ArchiveError(
            f"{path} is a database of another program.",
            hint="Move it away, or set ARKOR_TUI_DATA_DIR to another folder.",
        )
    return int(version)


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        # another process may have been faster
        version = _version(db, path)
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            for statement in _statements(script):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time opens the file at ``path``, makes, migrates or sets it aside.

    SQLite's own locks do not cover the change to WAL, nor renaming: who opened the file meanwhile
    would meet parts of two.
    """
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with suppress(OSError):  # some network mounts have no locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _statements(script: str) -> Iterator[str]:
    # executescript would commit the transaction that it runs in
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that two writers queue up."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite may have rolled back by itself, on a full disk for instance
            db.execute("ROLLBACK")
        raise


def _set_aside(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    path.rename(kept)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    return kept
