"""What terminals do to the app: hang up, stop it, give it another size. The run goes on."""

from __future__ import annotations

import fcntl
import random
import re
import signal
import struct
import termios
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pyte
import pytest

from arkor_tui.archive.records import RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.session.supervision import host_of
from tests.e2e.conftest import Backend
from tests.e2e.test_app import Screen
from tests.e2e.test_supervisor import archived, write_trainer
from tests.support.amounts import patience
from tests.support.kills import ENDLESS, App, Ledger, World, end, grown, processes, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
_ENTER_ALTERNATE = b"\x1b[?1049h"
_LEAVE_ALTERNATE = b"\x1b[?1049l"
_NEXT_SIZE_IN_BETWEEN = """
import fcntl, struct, termios
from textual.drivers.linux_driver import LinuxDriver
from arkor_tui.cli import main

read = LinuxDriver._get_terminal_size

def read_and_change(driver):
    size = read(driver)
    if size == (90, 25):
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return size

LinuxDriver._get_terminal_size = read_and_change
raise SystemExit(main())
"""


@pytest.fixture(scope="module")
def trained(shared_world: World) -> Iterator[Ledger]:
    """A run with a supervisor; nothing of it is lost by whatever the tests here did."""
    ledger = shared_world.start_detached()
    wait_for("events", grown(ledger))
    yield ledger
    end(shared_world, ledger)
    ledger.check_complete()
    shared_world.check_calm()


@pytest.fixture
def untouched(home: Path, project: Path) -> Iterator[World]:
    """A project of its own, where nothing runs and nothing has run yet."""
    pytest.importorskip("torch")
    world = World(home, Backend(home / "data"), random.Random(0), kills=0)
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    (project / "rows.jsonl").write_text(rows.read_text())
    write_trainer(project, ENDLESS)
    try:
        yield world
    finally:
        world.close()


def is_raw(app: Screen) -> bool:
    """Whether keys reach the program one by one, unechoed; the master end sees the settings."""
    return not termios.tcgetattr(app.fd)[3] & (termios.ICANON | termios.ECHO)


def resize(app: Screen, columns: int, rows: int) -> None:
    fcntl.ioctl(app.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def blank(app: Screen, columns: int = 120, rows: int = 36) -> None:
    """Somebody else has used the terminal; what it shows from now on comes from the app."""
    while app._read(0):
        pass
    app._screen = pyte.Screen(columns, rows)
    app._stream = pyte.ByteStream(app._screen)
    app.raw = app._unseen = b""


def key_bars(app: Screen) -> list[int]:
    """The rows, from 0, with a key bar: one, the last, where all of it is of the last size."""
    return [row for row, line in enumerate(app.text.splitlines()) if "q quit" in line]


def until_stopped(app: App) -> None:
    """Until the process does nothing any more, with its terminal as it was before."""

    def stopped() -> bool:
        state = Path(f"/proc/{app.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    app.wait_for("the stop", stopped)


def continue_running(app: App) -> None:
    """SIGCONT, until the app has taken its terminal anew; keys typed before that are lost."""
    before = app.raw.count(_ENTER_ALTERNATE)
    app.process.send_signal(signal.SIGCONT)
    app.wait_for(
        "another beginning",
        lambda: app.raw.count(_ENTER_ALTERNATE) > before and is_raw(app),
    )


def check_went_on(world: World, trained: Ledger) -> None:
    """The run trains, with its guards in the same hands, and nothing else is left."""
    trained.look()
    wait_for("new events", grown(trained))
    state = host_of(archived(trained.job_id))
    assert state is not None
    assert state.kind == "supervisor"
    assert state.problem == ""
    wait_for(
        "the end of everything else",
        lambda: sorted(processes(world.home).values()) == ["infer", "serve", "supervise", "train"],
    )


def check_reopened(world: World, trained: Ledger) -> None:
    """Everything is there again, up to what is new."""
    trained.look()
    app = world.open_app()
    app.wait_for("its events", lambda: shown_events(app) >= len(trained.kept))
    app.open_live()
    _check_alive_and_leave(app)


def only_run() -> RunRecord:
    """The one run of the archive."""
    with Archive.open() as archive:
        (record,) = archive.runs()
    return record


def is_supervised() -> bool:
    """Whether its guards are in the hands of a supervisor."""
    state = host_of(only_run())
    return state is not None and state.kind == "supervisor"


def lasting(world: World) -> dict[int, str]:
    """The processes that outlive the app, without the child that answers chats."""
    parts = ("serve", "supervise", "train")
    return {pid: part for pid, part in processes(world.home).items() if part in parts}


def shown_events(app: App) -> int:
    """How many events the list says that the run has."""
    found = re.search(r"\d+ checkpoints +(\d+) events", app.text)
    return int(found[1]) if found else 0


def test_a_dropped_line(world: World, trained: Ledger) -> None:
    for controlling in (True, False):  # where it is not, no signal tells that it is gone
        app = world.open_app(controlling=controlling)
        app.open_live()
        app.wait_for("new events", grown(trained))
        app.wait_for("a moment", world.a_moment(0.3))  # it draws all the while
        app.hang_up()
        assert app.process.wait(timeout=patience(30)) == 128 + signal.SIGHUP
        check_went_on(world, trained)
    check_reopened(world, trained)


def test_a_dropped_line_where_the_app_has_started_everything(untouched: World) -> None:
    """Backend and supervisor are the app's own children here; the hang-up is not for them."""
    app = untouched.open_app()
    app.until(r"trainer\.py here")
    app.press("\r")
    app.until("ctrl.s starts it")
    app.press("\x13")  # ctrl+s
    app.until("Start this run")
    app.press("\r")
    app.until("Checkpoints")
    app.wait_for("the supervisor's word", is_supervised)
    ledger = untouched.ledger(only_run().identity.job_id)
    app.wait_for("events", grown(ledger))
    before = lasting(untouched)
    assert sorted(before.values()) == ["serve", "supervise", "train"]
    app.hang_up()
    assert app.process.wait(timeout=patience(30)) == 128 + signal.SIGHUP
    ledger.look()
    wait_for("new events", grown(ledger))
    assert lasting(untouched) == before, "none has ended, and none was started anew"
    assert is_supervised()
    end(untouched, ledger)
    ledger.check_complete()


def test_a_polite_kill_gives_the_terminal_back(world: World, trained: Ledger) -> None:
    app = world.open_app()
    app.open_live()
    assert is_raw(app)
    app.process.terminate()
    assert app.end() == 128 + signal.SIGTERM
    assert not is_raw(app)
    assert _LEAVE_ALTERNATE in app.raw
    assert b"Traceback" not in app.raw
    check_went_on(world, trained)


def test_ctrl_z_and_back(world: World, trained: Ledger) -> None:
    app = world.open_app()
    app.open_live()
    app.press("\x1a")
    until_stopped(app)
    app.wait_for("what it said last", lambda: _LEAVE_ALTERNATE in app.raw)
    assert not is_raw(app)
    trained.look()
    wait_for("new events", grown(trained))  # the supervisor's
    blank(app)
    resize(app, 120, 36)
    app.process.send_signal(signal.SIGCONT)
    app.until(r"(?s)Checkpoints.*q quit")
    assert is_raw(app)
    _check_alive_and_leave(app)


def test_stopped_and_continued_without_a_word(world: World, trained: Ledger) -> None:
    app = world.open_app()
    app.open_live()
    before = termios.tcgetattr(app.fd)
    for _ in range(3):
        app.process.send_signal(signal.SIGSTOP)
        until_stopped(app)
        blank(app)
        continue_running(app)
        app.until(r"(?s)Checkpoints.*q quit")
    continue_running(app)  # and once where it was not stopped at all
    assert termios.tcgetattr(app.fd) == before
    tasks = Path(f"/proc/{app.process.pid}/task").iterdir()
    names = [(task / "comm").read_text().strip() for task in tasks]
    assert sum(name.startswith("textual-input") for name in names) <= 1
    _check_alive_and_leave(app)
    assert not is_raw(app)


def _check_alive_and_leave(app: App) -> None:
    app.press("q")
    app.until("Leave running")
    app.press("l")
    assert app.end() == 0
    assert b"Traceback" not in app.raw


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("size", [(101, 31), (120, 36)], ids=["another", "the one it had"])
def test_two_sizes_at_once(world: World, size: tuple[int, int]) -> None:
    """The second signal comes while the first one's size has been read, and not been told."""
    columns, rows = size
    program = _NEXT_SIZE_IN_BETWEEN.replace("COLUMNS", str(columns)).replace("ROWS", str(rows))
    app = world.open_app(command=lambda python, *words: (python, "-c", program, *words[2:]))
    app.open_live()
    blank(app, columns, rows)
    resize(app, 90, 25)
    app.wait_for("the second size", lambda: key_bars(app) == [rows - 1])
    _check_alive_and_leave(app)


def test_a_storm_of_sizes(world: World, trained: Ledger) -> None:
    app = world.open_app()
    app.open_live()
    for number in range(200):
        resize(app, world.random.randint(20, 200), world.random.randint(5, 60))
        if number % 10 == 0:
            app.wait_for("new events", grown(trained))
            trained.look()
    blank(app, 101, 31)
    resize(app, 101, 31)
    app.until(r"(?s)Checkpoints.*q quit")
    app.wait_for("the last size", lambda: 30 in key_bars(app))
    blank(app, 101, 31)  # parts of other sizes may have been on their way
    continue_running(app)
    app.until(r"(?s)Checkpoints.*q quit")
    assert key_bars(app) == [30]
    assert all(len(line) <= 101 for line in app.text.splitlines())
    _check_alive_and_leave(app)
