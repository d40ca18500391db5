"""An archive that cannot be used names the cause, and advice that helps."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.archive import schema
from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.schema import examine
from arkor_tui.archive.store import Archive
from arkor_tui.cli.checks import all_checks

CASES = [
    (sqlite3.SQLITE_PROTOCOL, "locking protocol", "file system (NFS)", "ARKOR_TUI_DATA_DIR"),
    # what SQLite says where the shared memory of its log cannot be had
    (sqlite3.SQLITE_IOERR | 19 << 8, "disk I/O error", "network file system", "ARKOR_TUI_DATA_DIR"),
    (sqlite3.SQLITE_IOERR, "disk I/O error", "disk cannot be read", "still mounted"),
    (sqlite3.SQLITE_FULL, "database or disk is full", "disk is full", "Free some space"),
    (sqlite3.SQLITE_BUSY, "database is locked", "another process", "Try again"),
    (sqlite3.SQLITE_READONLY, "attempt to write", "may not be written", "Check who owns"),
    (sqlite3.SQLITE_CANTOPEN, "unable to open database file", "cannot be made", "ARKOR_TUI_DATA"),
]  # fmt: skip


def failing(code: int, said: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(said)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(("code", "said", "cause", "advice"), CASES)
def test_opening_it_names_cause_and_advice(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str, cause: str, advice: str
) -> None:
    """r21: the data folder on NFS, and its siblings."""

    def fail(*_: Any) -> Any:
        raise failing(code, said)

    monkeypatch.setattr(schema, "_open", fail)
    with pytest.raises(ArchiveError) as caught:
        Archive.open(path)
    assert cause in caught.value.message
    assert said in caught.value.message
    assert advice in (caught.value.hint or "")


@pytest.mark.parametrize(("code", "said", "cause", "advice"), CASES)
def test_an_open_one_says_the_same(
    path: Path, code: int, said: str, cause: str, advice: str
) -> None:
    def use() -> None:
        with Archive.open(path):
            raise failing(code, said)

    with pytest.raises(ArchiveError) as caught:
        use()
    assert cause in caught.value.message
    assert advice in (caught.value.hint or "")


def test_the_doctor_uses_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """r21: it looks at the archive in a way of its own."""
    with Archive.open() as archive:
        path = archive.path

    def fail(*_: Any, **_more: Any) -> Any:
        raise failing(sqlite3.SQLITE_PROTOCOL, "locking protocol")

    monkeypatch.setattr(schema.sqlite3, "connect", fail)
    with pytest.raises(ArchiveError) as caught:
        examine(path)
    found = next(check for check in all_checks() if check.name == "archive")
    assert (found.status, found.detail, found.hint) == (
        "fail", caught.value.message, caught.value.hint,
    )  # fmt: skip
    assert "ARKOR_TUI_DATA_DIR" in (found.hint or "")


def test_a_read_only_file_system_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_is_read_only", lambda _: True)
    error = schema.failed(path, failing(sqlite3.SQLITE_READONLY, "attempt to write"))
    assert "file system is read-only" in error.message
    assert "ARKOR_TUI_DATA_DIR" in (error.hint or "")
