"""Several openings of one archive, in one process and in several."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.store import Archive
from tests.support.amounts import patience
from tests.support.archive_material import IDENTITY, job, log

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, job, log
print("ready", flush=True)
sys.stdin.readline()
with Archive.open(Path({path!r})) as archive:
    key = archive.register(IDENTITY, job(status="running"))
    for start in range(1, 301, 10):
        archive.append(key, [log(step, step, float(step)) for step in range(start, start + 10)])
        archive.append(key, [log({name!r} + str(start), start, evalLoss=1.0)])
    print(archive.notice)
"""


def test_processes_that_write_the_same_run_at_once(path: Path) -> None:
    """They make the file at the same moment, and each sees the events that the others see."""
    root = str(Path(__file__).parents[2])
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER.format(root=root, path=str(path), name=name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    outputs = []
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        outputs.append(writer.communicate(timeout=patience(120))[0])
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert outputs == ["None\n"] * 3
    with Archive.open(path) as archive:
        (run,) = archive.runs()
        rows = archive.log(run.key, limit=10_000)
        assert [row.seq for row in rows] == list(range(1, 391))
        assert len({row.id for row in rows}) == 390
        assert run.events == 390
        series = archive.load_series(run.key)
        assert list(series["loss"].values) == [float(step) for step in range(1, 301)]
        assert len(series["evalLoss"]) == 30


def test_threads_that_write_the_same_run_at_once(path: Path) -> None:
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())

    def write(offset: int) -> None:
        with Archive.open(path) as own:
            for start in range(1, 101):
                own.append(key, [log(start, start, 1.0), log(f"{offset}-{start}", start, 1.0)])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Archive.open(path) as archive:
        assert [row.seq for row in archive.log(key, limit=1000)] == list(range(1, 401))


def test_one_sees_what_the_other_wrote(path: Path, archive: Archive, key: int) -> None:
    with Archive.open(path) as other:
        archive.append(key, [log(1, 1, 2.0)])
        assert other.count_events(key) == 1
        assert other.append(key, [log(1, 1, 2.0)]).repeats == 1


async def test_reading_goes_on_while_something_is_written(path: Path) -> None:
    archive = await AsyncArchive.open(path)
    key = await archive.write(lambda a: a.register(IDENTITY, job()))
    begun, go_on = threading.Event(), threading.Event()

    def slow(a: Archive) -> str:
        begun.set()
        assert go_on.wait(30)
        a.append(key, [log(1, 1, 2.0)])
        return "written"

    writing = asyncio.create_task(archive.write(slow))
    try:
        await asyncio.to_thread(begun.wait, 30)
        assert await archive.read(lambda a: a.count_events(key)) == 0
    finally:
        go_on.set()
    assert await writing == "written"
    assert await archive.read(lambda a: a.count_events(key)) == 1
    await archive.aclose()


async def test_writing_goes_on_while_something_is_read(path: Path) -> None:
    archive = await AsyncArchive.open(path)
    key = await archive.write(lambda a: a.register(IDENTITY, job()))
    begun, go_on = threading.Event(), threading.Event()

    def slow(a: Archive) -> int:
        begun.set()
        assert go_on.wait(30)
        return a.count_events(key)

    reading = asyncio.create_task(archive.read(slow))
    try:
        await asyncio.to_thread(begun.wait, 30)
        await archive.write(lambda a: a.append(key, [log(1, 1, 2.0)]))
    finally:
        go_on.set()
    assert await reading == 1
    await archive.aclose()


async def test_what_was_begun_is_finished_before_closing(path: Path) -> None:
    archive = await AsyncArchive.open(path)
    key = await archive.write(lambda a: a.register(IDENTITY, job()))
    begun, go_on = threading.Event(), threading.Event()

    def slow(a: Archive) -> None:
        begun.set()
        assert go_on.wait(30)
        a.append(key, [log(1, 1, 2.0)])

    writing = asyncio.create_task(archive.write(slow))
    await asyncio.to_thread(begun.wait, 30)
    writing.cancel()
    closing = asyncio.create_task(archive.aclose())
    go_on.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await writing
    with Archive.open(path) as again:
        assert again.count_events(key) == 1


async def test_an_error_reaches_whoever_asked(path: Path) -> None:
    archive = await AsyncArchive.open(path)
    with pytest.raises(ZeroDivisionError):
        await archive.write(lambda a: 1 / 0)
    assert await archive.read(lambda a: a.count()) == 0
    await archive.aclose()
    with pytest.raises(ArchiveError):
        await AsyncArchive.open(path.parent)  # a folder is no archive


def test_several_that_open_a_broken_file_at_once_set_it_aside_once(path: Path) -> None:
    path.write_bytes(b"no database\n" * 500)
    with ThreadPoolExecutor(4) as threads:
        archives = list(threads.map(Archive.open, [path] * 4))
    for archive in archives:
        archive.close()
    assert [file.name for file in path.parent.glob("*.broken-*")] == ["history.db.broken-1"]
    assert sum(archive.notice is not None for archive in archives) == 1


LAST = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from arkor_tui.archive.store import Archive
Archive.open(Path({path!r})).close()
"""


async def test_another_process_that_closes_leaves_the_log_in_use_alone(path: Path) -> None:
    """Whoever thinks that it is the last one deletes the -wal, and what is written there later."""
    root = str(Path(__file__).parents[2])
    Archive.open(path).close()
    archive = await AsyncArchive.open(path)
    try:
        key = await archive.write(lambda a: a.register(IDENTITY, job()))
        log_file = path.with_name("history.db-wal")
        before = log_file.stat().st_ino
        program = LAST.format(root=root, path=str(path))
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True)
        assert log_file.stat().st_ino == before
        await archive.write(lambda a: a.append(key, [log(1, 1, 2.0)]))
    finally:
        await archive.aclose()
    with Archive.open(path) as again:
        assert again.notice is None
        assert again.count_events(key) == 1
