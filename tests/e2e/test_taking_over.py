"""Runs that lost the processes around them, and who takes them over."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from arkor_tui.config.local_backend import read_local_backend
from arkor_tui.session.supervision import host_of

from .conftest import Backend
from .test_supervisor import (
    TRAINER,
    archived,
    command,
    command_of,
    diary,
    folder,
    numbers_of,
    start_detached,
    until_free,
    until_gone,
    until_lines,
    write_trainer,
)

__all__ = ["folder"]

pytestmark = pytest.mark.engine


@pytest.fixture
def stopped() -> Iterator[None]:
    """Whatever backend is started in the test ends with it."""
    yield
    command_of("serve", "--stop")


async def test_after_a_reboot_a_take_over_starts_the_backend(
    backend: Backend, folder: Path, stopped: None
) -> None:
    """r4: supervisor, backend and training process are gone, and one command goes on."""
    write_trainer(folder, 60)
    told = start_detached(folder)
    pid = int(str(told["pid"]))
    await until_lines(folder, 12)  # behind the first checkpoint
    os.kill(pid, signal.SIGKILL)
    backend.kill()
    await until_free(archived(told["jobId"]))
    assert read_local_backend() is None

    done = await asyncio.to_thread(command, "attach", "latest", "--take-over", folder=folder)
    assert json.loads(done.splitlines()[-1])["status"] == "completed"
    assert archived(told["jobId"]).status == "completed"
    assert read_local_backend() is not None
    mine = [line for line in diary(folder) if line[0] != str(pid)]
    assert mine[-1][-1] == "completed"
    assert host_of(archived(told["jobId"])) is None


async def test_callbacks_hear_what_somebody_else_archived(backend: Backend, folder: Path) -> None:
    """r5: what was delivered to callbacks is kept apart from what is archived."""
    held = "; (ctx.event_id == '6' and self.hold())"
    text = TRAINER.replace("STEPS", "40").replace(
        "    def on_replayed",
        "    def hold(self):\n"
        "        import time\n"
        "        while not (Path(__file__).parent / 'go').exists(): time.sleep(0.02)\n\n"
        "    def on_replayed",
    )
    said = 'def on_log(self, ctx): self.write(f"event {ctx.event_id}")'
    assert said in text
    (folder / "trainer.py").write_text(text.replace(said, said + held))
    told = start_detached(folder)
    pid, job = int(str(told["pid"])), str(told["jobId"])
    await until_lines(folder, 6)  # and there it hangs
    done = await asyncio.to_thread(command, "attach", job, folder=folder)
    assert json.loads(done.splitlines()[-1])["status"] == "completed"
    with Archive.open() as archive:
        rows = archive.log(archived(job).key, after=0, limit=1_000)
    assert numbers_of(diary(folder), "event") == [1, 2, 3, 4, 5, 6]
    os.kill(pid, signal.SIGKILL)
    await until_free(archived(job))

    (folder / "go").touch()
    await asyncio.to_thread(command, "attach", job, "--take-over", folder=folder)
    mine = [line for line in diary(folder) if line[0] != str(pid)]
    assert numbers_of(mine, "replayed") == [1, 2, 3, 4, 5]
    # a kill in the middle of a callback repeats that one event, and nothing else
    assert numbers_of(mine, "event") == list(range(6, len(rows) + 1))
    assert mine[-1][-1] == "completed"


def test_two_starts_at_the_same_moment_in_a_new_home(folder: Path, stopped: None) -> None:
    """r12: one backend is started, folders and archive are made, and both runs train."""
    pytest.importorskip("torch")
    write_trainer(folder, 5)
    words = [sys.executable, "-m", "arkor_tui", "start", "--detach", "--backend", "local", "--json"]
    starts = [
        subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        for _ in range(2)
    ]
    told = []
    for start in starts:
        out, err = start.communicate(timeout=150)
        assert start.returncode == 0, err
        told.append(json.loads(out.splitlines()[-1]))
    assert len({one["jobId"] for one in told}) == 2
    asyncio.run(both_gone(told))
    assert [archived(one["jobId"]).status for one in told] == ["completed", "completed"]


async def both_gone(told: list[dict[str, object]]) -> None:
    for one in told:
        await until_gone(int(str(one["pid"])))
