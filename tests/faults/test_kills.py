"""kill -9 at random moments: nothing that was archived is lost or doubled, and it goes on.

``ARKOR_TUI_TEST_KILLS`` says how often each part is killed, ``ARKOR_TUI_TEST_SEED`` when.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from arkor_tui.session.supervision import host_of
from tests.e2e.test_supervisor import archived, diary
from tests.support.kills import World, end, grown, wait_for

from .conftest import KILLS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120 + 30 * KILLS)]


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
        state = host_of(record)
        assert state is not None
        assert state.kind == "supervisor"
        ledger.look()
        os.kill(state.pid, signal.SIGKILL)
        wait_for("the free lock", lambda: host_of(record) is None)
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
    assert host_of(record) is None

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
        wait_for("a moment", world.a_moment(3.0))
        ledger.look()
        world.kill_backend()
        if number % 5 == 4:
            wait_for("the supervisor starts the backend again", lambda: world.backend_pid > 0)
        else:
            world.start_backend()
    wait_for("the job goes on", grown(ledger))
    assert ledger.status() == ("running", "")
    ledger.look()
    world.kill_backend()

    # a command starts it again as well, and the job that it finds there goes on
    other = world.start_detached()
    wait_for("the job goes on", grown(ledger))
    end(world, other)  # while it waits for its turn
    other.check_complete()
    end(world, ledger)
    ledger.check_complete()
    world.check_calm()


def test_the_training_child(world: World) -> None:
    for number in range(world.kills):
        ledger = world.start_detached()
        if number % 2 == 0:
            wait_for("new events", grown(ledger))
            wait_for("a moment", world.a_moment(1.0))
        else:
            wait_for("the training process", lambda: len(world.running("train")) == 1)
            wait_for("a moment", world.a_moment(3.0))
        ledger.look()
        (pid,) = world.running("train")
        os.kill(pid, signal.SIGKILL)
        wait_for("the job's end in the archive", ledger.has_ended)
        status, error = ledger.status()
        assert status == "failed"
        assert "The training process ended early (signal SIGKILL" in error
        ledger.check_complete()
        world.check_calm()
        assert host_of(archived(ledger.job_id)) is None
