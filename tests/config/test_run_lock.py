"""One watcher for each run: the lock, what it says of itself, and what is left after a kill."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.config import run_lock
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.run_lock import HostState, lock_path, read_host, take_run_lock

HOLDER = """
import sys
from pathlib import Path
from arkor_tui.config.run_lock import HostState, take_run_lock
import os, time
lock = take_run_lock(Path(sys.argv[1]))
if lock is None:
    print("busy", flush=True)
else:
    lock.tell(HostState(os.getpid(), "supervisor", 1.0, callbacks=2, gauges=({"name": "a"},)))
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", str(tmp_path / "data"))
    return lock_path("local", "org", "project", "job-1")


def hold(path: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_each_run_has_files_of_its_own(path: Path) -> None:
    assert lock_path("local", "org", "project", "job-1") == path
    assert lock_path("local", "org", "project", "job-2") != path
    # a text that contains a separator is no other run's
    assert lock_path("a", "b\0c") != lock_path("a\0b", "d")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_one_process_watches_and_others_see_it(path: Path) -> None:
    assert read_host(path) is None
    process, said = hold(path)
    try:
        assert said == "held"
        assert take_run_lock(path) is None
        state = read_host(path)
        assert state == HostState(process.pid, "supervisor", 1.0, 2, ({"name": "a"},))
        for suffix in (".lock", ".json"):
            assert stat.S_IMODE(path.with_suffix(suffix).stat().st_mode) == 0o600
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # a killed process leaves its files and no right
    assert path.exists()
    assert read_host(path) is None
    lock = take_run_lock(path)
    assert lock is not None
    # and nothing of what it said is taken for what the next one says
    between = read_host(path)
    assert between is not None
    assert (between.pid, between.gauges) == (0, ())
    lock.tell(HostState(os.getpid(), "app", 2.0))
    other, said = hold(path)
    assert said == "busy"
    other.wait()
    lock.release()
    assert not path.exists()
    assert read_host(path) is None


def test_releasing_twice_takes_nothing_from_the_next(path: Path) -> None:
    first = take_run_lock(path)
    assert first is not None
    first.release()
    second = take_run_lock(path)
    assert second is not None
    first.release()
    assert take_run_lock(path) is None
    second.release()


def test_a_state_that_cannot_be_read_still_counts_as_watched(path: Path) -> None:
    lock = take_run_lock(path)
    assert lock is not None
    state = read_host(path)
    assert state is not None
    assert state.pid == 0
    path.with_suffix(".json").write_text("[1")
    assert read_host(path) is not None
    lock.release()


def test_a_folder_without_locks_is_named_and_has_no_host(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r21: it was taken for a lock that another process holds."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    path.touch()
    monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    assert read_host(path) is None
    with pytest.raises(WriteFailedError, match="No locks available") as caught:
        take_run_lock(path)
    assert "ARKOR_TUI_DATA_DIR" in (caught.value.hint or "")
