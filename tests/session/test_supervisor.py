"""Supervisors as processes: what they say at the start, how they end, and what they leave alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from arkor_tui.api.reconnect import StreamState
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunIdentity, RunRecord
from arkor_tui.config.run_lock import HostState
from arkor_tui.connect import detached
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.trainer import Trainer
from arkor_tui.session import supervision
from arkor_tui.session import supervisor as module
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.session.recipe_host import AlreadyHostedError, lock_path_of, take_lock
from arkor_tui.session.session import Session
from arkor_tui.session.supervision import (
    Supervisor,
    SupervisorError,
    host_of,
    start_supervisor,
    stop_supervisor,
)
from arkor_tui.session.updates import Problem, Update
from tests.support.archive_material import job
from tests.support.frames import END, completed, log, started
from tests.support.scripted import AT_ONCE, JOB, JOB_ID, SCOPE, Answer, Server, stream
from tests.support.trainers import attached

TRAINER = """
from arkor_tui import Callback, HuggingFaceDataset, create_trainer
from arkor_tui.recipes import EarlyStopping
trainer = create_trainer(
    name="triage-run", model="arkor-tui/tiny", dataset=HuggingFaceDataset(name="a/b"),
    callbacks=[EarlyStopping(ceiling=5.0), Callback()],
)
"""


async def record_of(archive: AsyncArchive, key: int) -> RunRecord:
    found = await archive.read(lambda a: a.run(key))
    assert found is not None
    return found


async def gone(pid: int) -> None:
    """Wait for a process of ours, which nobody else waits for."""
    await asyncio.to_thread(os.waitpid, pid, 0)


@pytest.fixture
def trainer_file(project: Path) -> Path:
    path = project / "trainer.py"
    path.write_text(TRAINER)
    return path


def rewrite(file: Path, source: str | None) -> None:
    file.unlink()
    if source is not None:
        file.write_text(source)


@pytest_asyncio.fixture
async def run(
    archive: AsyncArchive, server: Server, trainer_file: Path, token: None
) -> AsyncIterator[RunRecord]:
    """An archived run of the server, which nobody watches."""
    identity = RunIdentity(server.url, SCOPE.org_slug, SCOPE.project_slug, JOB_ID)
    server.job = {**JOB, "status": "running"}
    file = str(trainer_file)
    key = await archive.write(lambda a: a.register(identity, job(), trainer_file=file))
    record = await record_of(archive, key)
    yield record
    await stop_supervisor(record)


async def test_a_supervisor_watches_to_the_end_and_goes(
    server: Server, archive: AsyncArchive, run: RunRecord
) -> None:
    go_on = asyncio.Event()
    server.script(stream(started(), log(1), go_on, completed(), END))
    begun = await start_supervisor(run, archive.path)
    assert begun == Supervisor(begun.pid, 2)
    state = host_of(run)
    assert state is not None
    assert (state.pid, state.kind, state.callbacks) == (begun.pid, "supervisor", 2)
    assert [gauge["name"] for gauge in state.gauges] == ["non-finite", "ceiling"]
    with pytest.raises(AlreadyHostedError) as refused:
        await start_supervisor(run, archive.path)
    assert refused.value.state.pid == begun.pid
    go_on.set()
    await gone(begun.pid)
    assert host_of(run) is None
    assert (await record_of(archive, run.key)).status == "completed"


async def test_what_a_trainer_file_prints_is_kept_and_disturbs_nothing(
    server: Server, archive: AsyncArchive, run: RunRecord, trainer_file: Path
) -> None:
    """r13: it prints, what it imports prints, and something writes to the descriptor itself."""
    (trainer_file.parent / "noisy.py").write_text("print('an import prints')")
    (trainer_file.parent / "trainer.py").write_text(
        "import os, noisy\nprint('a file prints')\nos.write(1, b'a library writes\\n')\n"
        'print(\'{"type": "supervising", "callbacks": 7}\', flush=True)\n' + TRAINER
    )
    go_on = asyncio.Event()
    server.script(stream(started(), go_on, completed(), END))
    begun = await start_supervisor(run, archive.path)
    assert begun == Supervisor(begun.pid, 2)
    log = lock_path_of(run).with_suffix(".log").read_text()
    for text in ("an import prints", "a file prints", "a library writes"):
        assert text in log
    go_on.set()
    await gone(begun.pid)


async def test_why_a_supervisor_did_not_start_is_not_lost_in_what_was_printed(
    archive: AsyncArchive, run: RunRecord, trainer_file: Path
) -> None:
    """r13: the reason comes by itself, whatever was printed before it."""
    rewrite(trainer_file, "print('noise ' * 10_000)\n1 / 0\n")
    with pytest.raises(SupervisorError) as raised:
        await start_supervisor(run, archive.path)
    assert "trainer.py, line 2: ZeroDivisionError" in raised.value.message
    assert "noise" not in raised.value.message
    (kept,) = await archive.read(lambda a: a.findings(run.key, "error"))  # r7: with the run
    assert (kept.name, kept.data["event"]) == ("supervisor", "hosting")
    assert "trainer.py, line 2: ZeroDivisionError" in kept.data["message"]


async def test_a_supervisor_that_is_told_to_leave_lets_the_run_go_on(
    server: Server, archive: AsyncArchive, run: RunRecord
) -> None:
    server.script(stream(started(), asyncio.Event()))
    begun = await start_supervisor(run, archive.path)
    await server.asked_for("/events/stream")
    assert await stop_supervisor(run)
    await gone(begun.pid)
    assert host_of(run) is None
    assert server.cancellations == []
    assert await stop_supervisor(run)  # there is none any more


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("1 / 0", "trainer.py, line 1: ZeroDivisionError"),
        (None, "no trainer file any more"),
    ],
)
async def test_why_a_supervisor_did_not_start(
    server: Server, archive: AsyncArchive, run: RunRecord, trainer_file: Path,
    source: str | None, told: str,
) -> None:  # fmt: skip
    rewrite(trainer_file, source)
    with pytest.raises(SupervisorError, match="did not start: ") as raised:
        await start_supervisor(run, archive.path)
    assert told in raised.value.message
    assert raised.value.hint == f"Its log is {lock_path_of(run).with_suffix('.log')}."
    assert host_of(run) is None
    assert server.requests == []


async def test_a_start_that_takes_too_long_is_told(
    archive: AsyncArchive, run: RunRecord, trainer_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(trainer_file, None)  # so that it ends by itself afterwards
    monkeypatch.setattr(detached.start_detached, "__kwdefaults__", {"seconds": 0.0})
    with pytest.raises(SupervisorError, match="does not get ready") as raised:
        await start_supervisor(run, archive.path)
    assert raised.value.hint == f"Its log is {lock_path_of(run).with_suffix('.log')}."


async def test_a_run_that_is_not_archived_cannot_be_watched(archive: AsyncArchive) -> None:
    with pytest.raises(SupervisorError, match="There is no run 77 in the archive"):
        await module.supervise(archive.path, 77, ready=lambda _: None)


async def test_who_watches_in_another_way_is_not_ended(
    run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_LEAVE_SECONDS", 0.0)
    lock = await take_lock(run)
    assert not await stop_supervisor(run)  # it has not said yet who it is
    lock.tell(HostState(os.getpid(), "command", 0.0))
    assert not await stop_supervisor(run)
    lock.tell(HostState(2**22 + 1, "supervisor", 0.0))  # no process has this id
    assert not await stop_supervisor(run)
    lock.release()


@pytest_asyncio.fixture
async def session(archive: AsyncArchive, server: Server) -> AsyncIterator[Session]:
    async with Session.open(Path.cwd(), server.url, archive_path=archive.path) as opened:
        yield opened


async def test_a_backend_that_is_away_at_the_start_is_tried_again(
    server: Server, session: Session, run: RunRecord, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.0)
    monkeypatch.setattr(module, "_WAKE_SECONDS", 0.0)
    answers: list[Connection | ArkorTuiError] = [ArkorTuiError("away"), server.connection()]

    async def connection_for(_record: RunRecord, *, after_stop: bool) -> Connection:
        assert not after_stop  # nobody asks it to
        answer = answers.pop(0)
        if isinstance(answer, ArkorTuiError):
            raise answer
        return answer

    monkeypatch.setattr(session, "connection_for", connection_for)
    server.script(Answer(410, {"error": "the stream is gone"}))
    trainer = Trainer.attach(JOB_ID, policy=AT_ONCE)
    monitor = RunMonitor(session.archive, trainer, record=run)
    await module._Supervisor(session, monitor, run).run()
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["away This process tries again.", "The backend is there again."]
    assert said[2].startswith("the stream is gone")
    assert len(said) == 3  # a problem is told once
    (kept,) = await session.archive.read(lambda a: a.findings(run.key, "error"))
    assert str(kept.data["message"]) in said[2]


async def test_a_problem_that_takes_the_place_of_another_is_told_too(
    server: Server, session: Session, run: RunRecord, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monitor = RunMonitor(session.archive, attached(server), record=run)

    async def follow() -> None:
        for text in ("disk full", "disk full", "read-only", "disk full"):
            monitor.problems[:] = [Problem(text)]
            monitor.tell(Update())

    monkeypatch.setattr(monitor, "follow", follow)
    await module._Supervisor(session, monitor, run).run()
    assert capsys.readouterr().err.splitlines() == ["disk full", "read-only", "disk full"]


async def test_an_embedded_backend_that_is_away_for_long_is_started_again(
    server: Server, session: Session, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAKE_SECONDS", 0.0)
    monitor = RunMonitor(session.archive, attached(server), record=run)
    connection = await monitor.trainer.connection()
    states = [
        StreamState("live"),
        StreamState("reconnecting", 1),
        StreamState("reconnecting", 2),
        StreamState("reconnecting", 3),
    ]
    woken: list[StreamState] = []
    connection.kind = "local"

    async def start(*, after_stop: bool) -> None:
        assert not after_stop
        woken.append(monitor.state)
        if len(woken) == 2:
            connection.kind = "url"
        raise ArkorTuiError("not now")

    turn = 0

    async def next_turn(_seconds: float) -> None:
        nonlocal turn
        monitor.state = states[min(turn, 3)]
        turn += 1

    monkeypatch.setattr(module, "ensure_embedded_backend", start)
    monkeypatch.setattr(module.asyncio, "sleep", next_turn)
    body = module._Supervisor(session, monitor, run)
    await body._keep_awake()
    assert body.problem() == "not now"
    assert woken == states[2:]
