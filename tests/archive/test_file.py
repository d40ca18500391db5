"""The archive's file: private, versioned, and never thrown away."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.schema import MIGRATIONS
from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, job, whole_run


def mode(path: Path) -> int:
    """Permission bits."""
    return path.stat().st_mode & 0o777


def test_only_the_owner_can_read_it(path: Path) -> None:
    with Archive.open(path) as archive:
        archive.register(IDENTITY, job())
        files = sorted(path.parent.glob("history.db*"))
        assert {file.name for file in files} >= {"history.db", "history.db-wal", "history.db-shm"}
        assert {mode(file) for file in files} == {0o600}


def test_the_users_archive_lies_in_the_data_folder(home: Path) -> None:
    with Archive.open() as archive:
        assert archive.path == home / "data" / "history.db"
    assert mode(home / "data") == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    Archive.open(path).close()
    path.chmod(0o644)
    Archive.open(path).close()
    assert mode(path) == 0o600


def test_durable_enough_and_ready_for_two(archive: Archive) -> None:
    pragmas = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1}
    for name, expected in pragmas.items():
        assert archive.db.execute(f"PRAGMA {name}").fetchone()[0] == expected
    assert archive.db.execute("PRAGMA busy_timeout").fetchone()[0] >= 5000


def test_a_newer_file_is_refused_and_left_alone(path: Path) -> None:
    Archive.open(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ArchiveError, match="newer version") as caught:
        Archive.open(path)
    assert caught.value.hint is not None
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.broken-*"))


def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE cookies (name TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ArchiveError, match="another program"):
        Archive.open(path)
    assert path.read_bytes() == before


def test_a_step_of_the_migrations_happens_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())
    step = "ALTER TABLE runs ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;"
    monkeypatch.setattr("arkor_tui.archive.schema.MIGRATIONS", (*MIGRATIONS, step))
    for _ in range(2):
        with Archive.open(path) as archive:
            assert archive.run(key) is not None
            assert archive.db.execute("SELECT pinned FROM runs").fetchall() == [(0,)]


def test_a_failing_migration_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())
    monkeypatch.setattr(
        "arkor_tui.archive.schema.MIGRATIONS",
        (*MIGRATIONS, "CREATE TABLE extra (a);\nDROP TABLE no_such_table;"),
    )
    with pytest.raises(ArchiveError):
        Archive.open(path)
    monkeypatch.undo()
    with Archive.open(path) as archive:
        assert archive.run(key) is not None
        tables = {row[0] for row in archive.db.execute("SELECT name FROM sqlite_master")}
        assert "extra" not in tables


def filled(path: Path) -> None:
    """An archive of some size, with nothing left in its -wal."""
    with Archive.open(path) as archive:
        for number in range(20):
            key = archive.register(type(IDENTITY)("local", "o", "p", f"j{number}"), job())
            archive.append(key, whole_run())


def overwritten(path: Path) -> None:
    path.write_bytes(b"this is no database\n" * 1000)


def with_a_broken_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:2000] = b"\xff" * 1900
    path.write_bytes(bytes(content))


def cut_short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_within_a_page(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    "damage", [overwritten, with_a_broken_schema, cut_short, cut_within_a_page]
)
def test_a_damaged_file_is_set_aside(path: Path, damage: object) -> None:
    for number in (1, 2):
        filled(path)
        assert callable(damage)
        damage(path)
        content = path.read_bytes()
        with Archive.open(path) as archive:
            kept = path.with_name(f"history.db.broken-{number}")
            assert archive.notice is not None
            assert str(kept) in archive.notice
            assert kept.read_bytes() == content
            assert archive.count() == 0
            archive.register(IDENTITY, job())
        with Archive.open(path) as archive:
            assert archive.notice is None
            assert archive.count() == 1
        path.unlink()


def test_an_empty_file_becomes_an_archive(path: Path) -> None:
    path.touch()
    with Archive.open(path) as archive:
        assert archive.notice is None
        assert archive.count() == 0


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ArchiveError, match="cannot be used"):
        Archive.open(path)
    assert path.is_dir()


def test_a_missing_folder_is_made(path: Path) -> None:
    Archive.open(path.parent / "a" / "b" / "history.db").close()
    assert mode(path.parent / "a" / "b") == 0o700


LOOK = """
import sys
from pathlib import Path
from arkor_tui.archive.store import Archive
from arkor_tui.archive.async_archive import AsyncArchive
with Archive.open(Path(sys.argv[1])) as archive:
    print(archive.count())
"""


def looked_at(path: Path) -> int:
    """How many runs another process finds, which opens the archive and closes it again."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


async def test_who_looks_takes_no_log_away_from_those_who_write(path: Path) -> None:
    Archive.open(path).close()  # so that there is no log when it is opened twice
    archive = await AsyncArchive.open(path)
    try:
        for number in range(1, 4):
            one = type(IDENTITY)("local", "o", "p", f"j{number}")
            await archive.write(lambda a, one=one: a.register(one, job()))  # type: ignore[misc]
            assert looked_at(path) == number
            assert path.with_name("history.db-wal").exists()
    finally:
        await archive.aclose()
    assert looked_at(path) == 3
