"""A real disk that is really full, under a run that really trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.e2e.test_supervisor import write_trainer
from tests.support.amounts import patience
from tests.support.kills import ENDLESS, Ledger, processes, wait_for
from tests.support.mounts import SmallDisk

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
_COMMAND = (sys.executable, "-m", "arkor_tui")


@pytest.fixture
def disk(home: Path) -> Iterator[SmallDisk]:
    """Everything of arkor-tui's own lies on it."""
    pytest.importorskip("torch")
    (home / "data").mkdir()
    with SmallDisk(home / "data", "16m") as small:
        yield small
        for pid in processes(home):
            os.kill(pid, signal.SIGKILL)
        wait_for("the end of every process", lambda: not processes(home))


def kept(disk: SmallDisk, home: Path, job_id: str) -> Ledger:
    """What is on the disk now that nobody writes to it any more."""
    shutil.rmtree(home / "kept", ignore_errors=True)
    shutil.copytree(disk.inside, home / "kept", ignore=shutil.ignore_patterns("filler"))
    return Ledger(home / "kept", job_id)


def end_backend(disk: SmallDisk, home: Path) -> None:
    pid = json.loads((disk.inside / "local" / "backend.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)
    wait_for("the backend's end", lambda: not processes(home))


def test_a_run_waits_says_why_and_ends_with_the_reason(
    disk: SmallDisk, home: Path, project: Path
) -> None:
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    (project / "rows.jsonl").write_text(rows.read_text())
    write_trainer(project, ENDLESS)
    out, notes = home / "events.jsonl", home / "notes.txt"
    with out.open("wb") as stdout, notes.open("wb") as stderr:
        run = subprocess.Popen(
            disk.command(*_COMMAND, "start", "--backend", "local", "--json"),
            stdout=stdout,
            stderr=stderr,
        )

    def told(text: str, file: Path) -> Callable[[], bool]:
        def so() -> bool:
            assert run.poll() is None, notes.read_text()
            return text in file.read_text()

        return so

    wait_for("a checkpoint", told("checkpoint.saved", out))
    disk.fill()
    wait_for("why it waits", told("the run waits: its events cannot be stored", notes))
    assert "Check the free space of the backend's disk" in notes.read_text()
    # it trains up to its next checkpoint, for which there is no room
    wait_for("the end of training", lambda: "train" not in processes(home).values())
    assert run.poll() is None
    disk.free()
    assert run.wait(timeout=patience(60)) == 1
    assert "The disk is full. Free some space, then start the run again." in out.read_text()

    job_id = json.loads(out.read_text().splitlines()[0])["jobId"]
    end_backend(disk, home)
    ledger = kept(disk, home, job_id)
    ledger.check_complete()
    assert ledger.status()[0] == "failed"
    assert "disk is full" in ledger.status()[1]
    again = subprocess.run(
        disk.command(*_COMMAND, "start", "--backend", "local", "--dry-run"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
