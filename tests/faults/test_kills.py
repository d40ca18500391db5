"""kill -9 at random moments: nothing that was archived is lost or doubled, and it goes on.

``ARKOR_TUI_TEST_KILLS`` says how often each part is killed, ``ARKOR_TUI_TEST_SEED`` when.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from arkor_tui.monitor.supervisor import watch_of
from tests.e2e.conftest import Backend
from tests.e2e.test_supervisor import archived, command, diary

from .kills import Ledger, World, wait_for

KILLS = int(os.environ.get("ARKOR_TUI_TEST_KILLS", "2"))
SEED = int(os.environ.get("ARKOR_TUI_TEST_SEED", "1"))

Wait = Callable[[str, Callable[[], bool]], None]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(120 + 30 * KILLS)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests here: a backend and its model take seconds to start."""
    folder = tmp_path_factory.mktemp("kills") / "home"
    (folder / "demo-project").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("ARKOR_", "XDG_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))
        patch.setenv("ARKOR_TUI_DATA_DIR", str(folder / "data"))
        patch.setenv("ARKOR_TUI_CONFIG_DIR", str(folder / "config"))
        patch.chdir(folder / "demo-project")
        yield folder


@pytest.fixture(scope="module")
def shared(home: Path) -> Iterator[World]:
    """The backend, and a project to train."""
    pytest.importorskip("torch")
    world = World(home, Backend(home / "data"), random.Random(SEED), KILLS)
    data = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    try:
        world.prepare(data.read_text().splitlines()[:60])
        yield world
    finally:
        world.close()
        shutil.rmtree(home / "data" / "local" / "jobs", ignore_errors=True)


@pytest.fixture
def world(shared: World, request: pytest.FixtureRequest) -> World:
    """With moments that do not depend on the order of tests."""
    shared.random.seed(f"{SEED} {request.node.name}")
    (shared.folder / "diary.txt").unlink(missing_ok=True)
    return shared


def grown(ledger: Ledger) -> Callable[[], bool]:
    """A condition that holds once the archive has more than when it was last judged."""
    before = len(ledger.kept)
    return lambda: ledger.count() > before


def end(world: World, ledger: Ledger, pause: Wait = wait_for) -> None:
    """Cancel a job, and wait until the archive has all of it."""
    command("cancel", ledger.job_id, folder=world.folder)
    pause("the job's end in the archive", ledger.has_ended)
    assert ledger.status()[0] == "cancelled"


def test_the_app(world: World) -> None:
    ledger = asyncio.run(world.submit())
    for number in range(world.kills):
        app = world.open_app()
        if number % 3 == 2:  # while it comes up
            app.wait_for("a moment", world.a_moment(1.5))
        else:
            app.open_live()
            app.wait_for("new events", grown(ledger))
            app.wait_for("a moment", world.a_moment(1.0))
        ledger.look()
        app.kill()
    app = world.open_app()
    app.open_live()
    app.wait_for("new events", grown(ledger))
    ledger.look()
    end(world, ledger, app.wait_for)
    app.until(r"cancelled")
    app.press("q")
    assert app.end() == 0
    ledger.check_complete()
    world.check_calm()


def test_the_supervisor(world: World) -> None:
    ledger = world.start_detached()
    record = archived(ledger.job_id)
    for number in range(world.kills):
        if number % 3 != 2:  # else it may be reading what was before
            wait_for("new events", grown(ledger))
        wait_for("a moment", world.a_moment(1.0))
        state = watch_of(record)
        assert state is not None
        assert state.kind == "supervisor"
        ledger.look()
        os.kill(state.pid, signal.SIGKILL)
        wait_for("the free lock", lambda: watch_of(record) is None)
        app = world.open_app()
        app.until(r"had lost the process")
        app.kill()
        (pid,) = world.running("supervise")
        assert pid != state.pid
    wait_for("new events", grown(ledger))
    ledger.look()
    end(world, ledger)
    count = ledger.check_complete()
    world.check_calm()
    assert watch_of(record) is None

    # every process told the callbacks everything from the first event on, in order and once
    lines = diary(world.folder)
    told = {line[0]: [int(one[2]) for one in lines if one[0] == line[0]] for line in lines}
    for numbers in told.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert max(len(numbers) for numbers in told.values()) == count


def test_the_backend(world: World) -> None:
    ledger = world.start_detached()
    wait_for("a checkpoint", ledger.has_checkpoint)
    for number in range(world.kills):
        if number % 3 == 0:  # else the training may still be coming up again
            wait_for("new events", grown(ledger))
        wait_for("a moment", world.a_moment(5.0))
        ledger.look()
        world.kill_backend()
        if number % 5 == 4:
            wait_for("the supervisor starts the backend again", lambda: world.backend_pid > 0)
        else:
            world.backend.start()
    wait_for("the job goes on", grown(ledger))
    assert ledger.status() == ("running", "")
    ledger.look()
    world.kill_backend()

    # a command starts it again as well, and the job that it finds there goes on
    other = world.start_detached()
    wait_for("the job goes on", grown(ledger))
    end(world, ledger)
    ledger.check_complete()
    wait_for("the next job", grown(other))
    end(world, other)
    other.check_complete()
    world.check_calm()


def test_the_training_child(world: World) -> None:
    for number in range(world.kills):
        ledger = world.start_detached()
        if number % 2 == 0:
            wait_for("new events", grown(ledger))
            wait_for("a moment", world.a_moment(1.0))
        else:
            wait_for("the training process", lambda: len(world.running("train")) == 1)
            wait_for("a moment", world.a_moment(6.0))
        ledger.look()
        (pid,) = world.running("train")
        os.kill(pid, signal.SIGKILL)
        wait_for("the job's end in the archive", ledger.has_ended)
        status, error = ledger.status()
        assert status == "failed"
        assert "The training process ended early (signal SIGKILL" in error
        ledger.check_complete()
        world.check_calm()
        assert watch_of(archived(ledger.job_id)) is None
