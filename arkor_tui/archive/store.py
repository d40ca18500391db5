"""The archive of one user: a SQLite file that several copies of the program may share."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Self

from .events import EventStore
from .findings import FindingStore
from .runs import RunStore
from .schema import archive_path, connect, failed
from .transcripts import TalkStore


class Archive(RunStore, EventStore, TalkStore, FindingStore):
    """Runs, events, metric points, transcripts, findings. One thread at a time; every call blocks.

    Calls raise :class:`sqlite3.Error`, which a ``with`` block turns into an :class:`ArchiveError`.
    ``notice`` says what was unusual about opening it, such as a damaged file set aside.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, notice: str | None = None) -> None:
        self.db = db
        self.path = path
        self.notice = notice

    @classmethod
    def open(cls, path: Path | None = None) -> Self:
        """Open the archive at ``path``, by default the user's; it is made where there is none.

        Raises:
            ArchiveError: it is from a newer version, or cannot be opened or made.
        """
        path = path or archive_path()
        db, notice = connect(path)
        archive = cls(db, path, notice)
        # another process writes, the disk is full, a page is damaged: this can wait
        with suppress(sqlite3.Error):
            archive.purge()
        return archive

    def close(self) -> None:
        """Close it."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise failed(self.path, error) from error
