"""Recipes that go on in a process of their own: after leaving, after a kill, never twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from arkor_tui.archive.records import RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.config.local_backend import is_served, read_local_backend
from arkor_tui.session.recipe_host import AlreadyHostedError, lock_path_of
from arkor_tui.session.session import Session
from arkor_tui.session.supervision import host_of, start_supervisor, stop_supervisor
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from tests.support.amounts import patience

from .conftest import Backend

pytestmark = pytest.mark.engine

TRAINER = """
import os
from pathlib import Path
from arkor_tui import Callback, FileDataset, LoraConfig, create_trainer

class Diary(Callback):
    def write(self, line):
        with (Path(__file__).parent / "diary.txt").open("a") as file:
            file.write(f"{os.getpid()} {line}\\n")

    def on_replayed(self, ctx): self.write(f"replayed {ctx.event_id}")
    def on_started(self, ctx): self.write(f"event {ctx.event_id}")
    def on_log(self, ctx): self.write(f"event {ctx.event_id}")
    def on_checkpoint(self, ctx): self.write(f"event {ctx.event_id}")
    def on_completed(self, ctx): self.write(f"event {ctx.event_id} completed")
    def on_failed(self, ctx): self.write(f"event {ctx.event_id} failed")

trainer = create_trainer(
    name="watched", model="arkor-tui/tiny", dataset=FileDataset("rows.jsonl"),
    lora=LoraConfig(r=4, alpha=8), max_steps=STEPS, logging_steps=1, save_steps=10, batch_size=4,
    learning_rate=0.01, callbacks=[Diary()], backend="local",
)
"""


@pytest.fixture
def folder(project: Path, rows: Path) -> Path:
    lines = rows.read_text().splitlines()[:60]
    (project / "rows.jsonl").write_text("\n".join(lines) + "\n")
    return project


def write_trainer(folder: Path, steps: int) -> None:
    (folder / "trainer.py").write_text(TRAINER.replace("STEPS", str(steps)))


def command(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *arguments, "--backend", "local", "--json"],
        capture_output=True, text=True, cwd=folder, env=dict(os.environ), check=False,
        timeout=patience(60),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_detached(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads(
        command("start", "--detach", folder=folder).splitlines()[-1]
    )
    assert told["type"] == "detached"
    assert told["callbacks"] == 1
    return told


def command_of(*words: str) -> dict[str, object]:
    """What a command says that needs no option for its backend."""
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *words, "--json"],
        capture_output=True, text=True, env=dict(os.environ), check=True, timeout=patience(60),
    )  # fmt: skip
    said: dict[str, object] = json.loads(done.stdout)
    return said


def runs_show(job_id: object) -> dict[str, object]:
    return command_of("runs", "show", str(job_id))


def archived(job_id: object) -> RunRecord:
    with Archive.open() as archive:
        return archive.find(str(job_id))[0]


def diary(folder: Path) -> list[list[str]]:
    file = folder / "diary.txt"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def is_running(pid: int) -> bool:
    """Whether it runs, and is no zombie that nobody has waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + patience(60)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def until_gone(pid: int) -> None:
    await asyncio.to_thread(until, lambda: not is_running(pid))


async def until_free(record: RunRecord) -> None:
    """Until nobody holds the lock: threads of a killed process may live a moment longer."""
    await asyncio.to_thread(until, lambda: host_of(record) is None)


async def until_lines(folder: Path, count: int) -> None:
    await asyncio.to_thread(until, lambda: len(diary(folder)) >= count)


def numbers_of(lines: list[list[str]], kind: str) -> list[int]:
    return [int(line[2]) for line in lines if line[1] == kind]


async def test_a_detached_run_is_watched_to_its_end(backend: Backend, folder: Path) -> None:
    write_trainer(folder, 12)
    told = start_detached(folder)
    pid = int(str(told["pid"]))
    await until_gone(pid)
    lines = diary(folder)
    assert {line[0] for line in lines} == {str(pid)}
    events = numbers_of(lines, "event")
    assert events == sorted(set(events))
    assert lines[-1][-1] == "completed"
    record = archived(told["jobId"])
    assert (record.status, record.recipes) == ("completed", 1)
    with Archive.open() as archive:
        rows = archive.log(record.key, after=0, limit=1_000)
    assert [int(str(row.id)) for row in rows] == events
    assert host_of(record) is None


async def test_after_a_kill_another_goes_on_with_the_next_event(
    backend: Backend, folder: Path
) -> None:
    write_trainer(folder, 400)
    told = start_detached(folder)
    pid = int(str(told["pid"]))
    await until_lines(folder, 5)
    record = archived(told["jobId"])
    state = host_of(record)
    assert state is not None
    assert (state.pid, state.kind, state.callbacks) == (pid, "supervisor", 1)
    with pytest.raises(AlreadyHostedError, match=str(pid)):
        await start_supervisor(record, Archive.open().path)

    os.kill(pid, signal.SIGKILL)
    await until_free(record)
    shown = await asyncio.to_thread(runs_show, told["jobId"])
    assert (shown["watcher"], shown["unwatched"], shown["status"]) == (None, True, "running")
    before = diary(folder)
    next_pid = (await start_supervisor(record, Archive.open().path)).pid
    assert next_pid != pid
    await until_lines(folder, 2 * len(before) + 5)
    # leaving stops the watching and nothing else
    assert await stop_supervisor(record)
    await until_gone(next_pid)
    assert archived(told["jobId"]).status == "running"

    lines = diary(folder)
    first = [line for line in lines if line[0] == str(pid)]
    second = [line for line in lines if line[0] == str(next_pid)]
    replayed, events = numbers_of(second, "replayed"), numbers_of(second, "event")
    assert replayed == list(range(1, len(replayed) + 1))
    assert events[0] == replayed[-1] + 1
    assert events == list(range(events[0], events[0] + len(events)))
    # what was on disk before the kill comes as the past; at most the batch that was on its way
    # was seen by callbacks and not yet by the disk
    assert len(numbers_of(first, "event")) >= len(replayed) > 0
    await asyncio.to_thread(command, "cancel", str(told["jobId"]), folder=folder)


async def test_a_command_takes_the_callbacks_over(backend: Backend, folder: Path) -> None:
    write_trainer(folder, 150)
    told = start_detached(folder)
    pid = int(str(told["pid"]))
    await until_lines(folder, 5)
    done = await asyncio.to_thread(
        command, "attach", str(told["jobId"]), "--take-over", folder=folder
    )
    assert json.loads(done.splitlines()[-1])["status"] == "completed"
    await until_gone(pid)
    lines = diary(folder)
    assert {line[0] for line in lines} != {str(pid)}
    mine = [line for line in lines if line[0] != str(pid)]
    past, events = numbers_of(mine, "replayed"), numbers_of(mine, "event")
    assert past == list(range(1, len(past) + 1))
    assert events == list(range(past[-1] + 1, past[-1] + 1 + len(events)))
    assert mine[-1][-1] == "completed"
    assert host_of(archived(told["jobId"])) is None


async def test_a_backend_that_was_stopped_stays_stopped(backend: Backend, folder: Path) -> None:
    """r15: the supervisor says so and waits, and goes on once somebody starts the backend again."""
    write_trainer(folder, 120)
    told = start_detached(folder)
    await until_lines(folder, 12)  # behind the first checkpoint
    record = archived(told["jobId"])
    await asyncio.to_thread(command_of, "serve", "--stop")
    assert backend.process is not None
    backend.process.wait(timeout=30)

    def problem() -> str:
        state = host_of(record)
        return state.problem if state is not None else "no host"

    await asyncio.to_thread(until, lambda: "was stopped" in problem())
    assert read_local_backend() is None
    assert not is_served()
    log = lock_path_of(record).with_suffix(".log").read_text()
    assert "This process waits until somebody starts it again." in log

    backend.start()
    await until_gone(int(str(told["pid"])))
    assert archived(told["jobId"]).status == "completed"
    assert diary(folder)[-1][-1] == "completed"


async def test_the_app_takes_up_what_lost_its_process(backend: Backend, folder: Path) -> None:
    write_trainer(folder, 400)
    told = start_detached(folder)
    pid = int(str(told["pid"]))
    await until_lines(folder, 5)
    record = archived(told["jobId"])
    os.kill(pid, signal.SIGKILL)
    await until_free(record)

    async with Session.open(folder, "local") as session:
        app = ArkorApp(session, capabilities=Capabilities())
        said: list[str] = []
        app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign, assignment]
        async with app.run_test(size=(100, 30)):
            # it looks for lost runs as it comes up, and nobody has to ask
            await asyncio.to_thread(
                until, lambda: any("had lost the process with its guards" in text for text in said)
            )
            state = host_of(record)
            assert state is not None
            assert state.pid not in (0, pid)
            # asking again starts no second one
            await app.refresh_runs()
            again = host_of(record)
            assert again is not None
            assert again.pid == state.pid
    # the app is gone, and the watching goes on
    assert is_running(state.pid)
    await asyncio.to_thread(command, "cancel", str(told["jobId"]), folder=folder)
    await until_gone(state.pid)
    lines = diary(folder)
    assert lines[-1][0] == str(state.pid)
    assert lines[-1][-1] == "failed"


def test_a_signal_may_cancel(backend: Backend, folder: Path) -> None:
    write_trainer(folder, 5_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "arkor_tui", "start", "--json", "--on-signal", "cancel"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    until(lambda: len(diary(folder)) > 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=patience(60))
    result = json.loads(out.splitlines()[-1])
    assert process.returncode == 1, err
    assert (result["status"], result["reason"]) == ("cancelled", "cancelled by a signal")
    assert archived(result["jobId"]).reason == "cancelled by a signal"
