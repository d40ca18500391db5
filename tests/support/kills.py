"""Killing one process of ours after the other, and judging what that leaves on disk."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.config.local_backend import read_local_backend
from arkor_tui.connect.connection import connect
from arkor_tui.run.loading import load_trainer
from tests.e2e.conftest import Backend
from tests.e2e.test_app import Screen
from tests.e2e.test_supervisor import command, start_detached, write_trainer
from tests.support.amounts import patience

DEADLINE = patience(120)  # seconds until something that does not come is a failure
ENDLESS = 100_000  # steps; a job ends by a kill or is cancelled
_POLL = 0.02
_ASK_AGAIN = 0.1  # of an app whose terminal is read meanwhile
_PARTS = ("serve", "supervise", "arkor_tui.backend.engine.train", "arkor_tui.backend.engine.infer")


def wait_for(
    what: str,
    condition: Callable[[], bool],
    pause: Callable[[float], object] = time.sleep,
    seconds: float = DEADLINE,
) -> None:
    """Look again and again until ``condition`` holds; ``pause`` is what happens in between."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"this did not come: {what}"
        pause(_POLL)


def processes(home: Path) -> dict[int, str]:
    """Processes with this home folder, other than this one: the part of arkor-tui by process id.

    The part is ``serve``, ``supervise``, ``train``, ``infer``, or the whole command line.
    """
    mark = f"HOME={home}".encode()
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError):  # gone, or somebody else's
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                part = next((word for word in _PARTS if word in words), " ".join(words))
                found[int(folder.name)] = part.rpartition(".")[2]
    return found


@dataclass
class Ledger:
    """What the archive and the backend's own store know of one job."""

    data: Path
    job_id: str
    kept: list[tuple[str, str]] = field(default_factory=list)
    """Id and content of every event that was seen in the archive so far, in its order."""

    def _ask(self, file: str, query: str, *values: Any) -> list[Any]:
        path = self.data / file
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=30)) as db:
            return db.execute(query, values).fetchall()

    def count(self) -> int:
        """Archived events."""
        query = (
            "SELECT count(*) FROM events JOIN runs ON runs.key = events.run WHERE runs.job_id = ?"
        )
        rows = self._ask("history.db", query, self.job_id)
        return int(rows[0][0]) if rows else 0

    def look(self) -> int:
        """Judge the archive as it is now; how many events it has.

        Nothing that was seen before is lost or changed, no id comes twice, the order has no holes,
        and SQLite finds no damage.
        """
        rows = self._ask(
            "history.db",
            "SELECT events.seq, events.id, events.data, runs.events, runs.last_event_id FROM events"
            " JOIN runs ON runs.key = events.run WHERE runs.job_id = ? ORDER BY events.seq",
            self.job_id,
        )
        now = [(event_id, data) for _, event_id, data, _, _ in rows]
        assert now[: len(self.kept)] == self.kept, "an archived event was lost or changed"
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        assert [event_id for event_id, _ in now] == [str(n) for n in range(1, len(rows) + 1)]
        if rows:
            assert rows[-1][3:] == (len(rows), str(len(rows))), "the summary does not fit"
        for file in ("history.db", "local/backend.db"):
            assert self._ask(file, "PRAGMA integrity_check") == [("ok",)]
            assert self._ask(file, "PRAGMA foreign_key_check") == []
        self.kept = now
        return len(now)

    def status(self) -> tuple[str, str]:
        """Status and error of the job in the archive; empty texts where it is not known there."""
        query = "SELECT status, ifnull(error, '') FROM runs WHERE job_id = ?"
        rows = self._ask("history.db", query, self.job_id)
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    def has_ended(self) -> bool:
        """Whether the archive knows that the job has ended, and with it its last event."""
        return self.status()[0] in ("completed", "failed", "cancelled") and self.count() == len(
            self.stored()
        )

    def has_checkpoint(self) -> bool:
        """Whether the archive knows of a checkpoint to go on from."""
        query = "SELECT 1 FROM runs WHERE job_id = ? AND checkpoints > 0"
        return bool(self._ask("history.db", query, self.job_id))

    def stored(self) -> list[tuple[str, str]]:
        """Id and content of every event that the backend has of the job."""
        query = "SELECT CAST(seq AS TEXT), data FROM events WHERE job_id = ? ORDER BY seq"
        return self._ask("local/backend.db", query, self.job_id)

    def check_complete(self) -> int:
        """Judge the archive of a job that has ended: each event of the backend exactly once."""
        count = self.look()
        assert self.kept == self.stored()
        assert count > 0
        assert json.loads(self.kept[-1][1])["type"] in ("training.completed", "training.failed")
        return count


class App(Screen):
    """The app on a terminal, which is read all the while."""

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait, reading the terminal so that the app is never held up by it."""

        def read(_seconds: float) -> None:
            ask_again = time.monotonic() + _ASK_AGAIN
            while (left := ask_again - time.monotonic()) > 0:
                if not self._read(left) and self.process.poll() is not None:
                    raise AssertionError(f"the app ended before this came: {what}\n{self.text}")

        wait_for(what, condition, read)

    def open_live(self) -> None:
        """Show the newest run as it trains."""
        row = r"watched +● running"
        self.until(f"{row}|Train here: ")
        if "Train here: " in self.text:  # an archive without runs is greeted first
            self.press("\x1b")
            self.until(f"(?s)^(?!.*Train here: ).*{row}")
        self.press("\r")
        self.until(r"Checkpoints")

    def kill(self) -> None:
        """Kill the app alone, with no word to anything that it has started."""
        self.process.kill()
        self.process.wait()
        self.close()


@dataclass
class World:
    """A home with a project, a backend, and a source of random moments."""

    home: Path
    backend: Backend
    random: random.Random
    kills: int
    apps: list[App] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The project."""
        return self.home / "demo-project"

    @property
    def backend_pid(self) -> int:
        """The backend that says that it serves; 0 where none does."""
        info = read_local_backend()
        return info.pid if info is not None else 0

    def move_in(self, patch: pytest.MonkeyPatch) -> None:
        """What is started from now on lives here."""
        patch.setenv("HOME", str(self.home))
        patch.setenv("ARKOR_TUI_DATA_DIR", str(self.home / "data"))
        patch.setenv("ARKOR_TUI_CONFIG_DIR", str(self.home / "config"))
        patch.chdir(self.folder)

    def prepare(self, rows: Sequence[str]) -> None:
        """Write a project with a tiny model and callbacks, and start the backend."""
        (self.folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
        write_trainer(self.folder, ENDLESS)
        self.backend.start()

    async def submit(self) -> Ledger:
        """A job that no process of this machine watches yet."""
        trainer = load_trainer(self.folder / "trainer.py")
        trainer.callbacks.clear()
        connection = await connect("local", folder=self.folder, may_start=False)
        try:
            trainer.use(connection)
            await trainer.start()
        finally:
            await connection.aclose()
        assert trainer.job is not None
        return self.ledger(trainer.job.id)

    def start_detached(self) -> Ledger:
        """A job that a supervisor watches."""
        return self.ledger(str(start_detached(self.folder)["jobId"]))

    def ledger(self, job_id: str) -> Ledger:
        """What is known of a job."""
        return Ledger(self.home / "data", job_id)

    def open_app(self, **options: Any) -> App:
        """The app, started in the project's folder."""
        app = App(**options)
        self.apps.append(app)
        return app

    def a_moment(self, seconds: float) -> Callable[[], bool]:
        """A condition that holds from a random moment within ``seconds`` on."""
        end = time.monotonic() + self.random.uniform(0, seconds)
        return lambda: time.monotonic() >= end

    def running(self, part: str) -> list[int]:
        """Process ids of a part of ours."""
        return [pid for pid, name in processes(self.home).items() if name == part]

    def kill_backend(self) -> None:
        """Kill the backend, whoever started it; its children end by themselves."""
        children = [*self.running("train"), *self.running("infer")]
        pid = self.backend_pid
        os.kill(pid, signal.SIGKILL)
        self._reap(pid)
        wait_for(
            "the end of the killed backend's children",
            lambda: not set(children) & processes(self.home).keys(),
        )

    def start_backend(self) -> None:
        """Start it again, unless a supervisor has been faster."""
        try:
            self.backend.start()
        except AssertionError:
            wait_for("the backend of a supervisor", lambda: self.backend_pid > 0)

    def _reap(self, pid: int) -> None:
        if self.backend.process is not None and self.backend.process.pid == pid:
            self.backend.process.wait()

    def check_calm(self) -> None:
        """Nothing runs but the backend and its warm inference child, and nobody holds a lock."""
        wait_for(
            "calm",
            lambda: sorted(processes(self.home).values()) == ["infer", "serve"],
        )
        locks = [path.name for path in (self.home / "data" / "watchers").glob("*.lock")]
        assert locks == [], "a lock file is left although its holder has ended in order"

    def close(self) -> None:
        """End everything; anything that does not end when it is asked to is a failure.

        Raises:
            AssertionError: a process had to be killed.
        """
        for app in self.apps:
            app.close()
        for pid, part in processes(self.home).items():
            if part in ("serve", "supervise"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        if self.backend.process is not None:
            with suppress(subprocess.TimeoutExpired):
                self.backend.process.wait(timeout=patience(15))
        try:
            wait_for("every process to end", lambda: not processes(self.home), seconds=patience(15))
        finally:
            for pid in processes(self.home):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def grown(ledger: Ledger) -> Callable[[], bool]:
    """A condition that holds once the archive has more than when it was last judged."""
    before = len(ledger.kept)
    return lambda: ledger.count() > before


def end(world: World, ledger: Ledger, pause: Callable[..., None] = wait_for) -> None:
    """Cancel a job, and wait until the archive has all of it."""
    command("cancel", ledger.job_id, folder=world.folder)
    pause("the job's end in the archive", ledger.has_ended)
    assert ledger.status()[0] == "cancelled"
