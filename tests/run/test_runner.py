"""Running a trainer from a plain script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from arkor_tui import (
    HuggingFaceDataset,
    RunFailedError,
    Trainer,
    TrainingResult,
    create_trainer,
    run_trainer,
    run_trainer_async,
)
from arkor_tui.errors import UsageError
from tests.support.frames import END, completed, failed, log, started
from tests.support.scripted import AT_ONCE, Server, running_server, stream
from tests.support.trainers import a_trainer


def run_against(steps: tuple[bytes, ...], run: Callable[[Trainer], TrainingResult]) -> Server:
    """Call ``run`` with a trainer, as a script does: outside of any event loop."""

    async def serve() -> Server:
        async with running_server() as server:
            server.script(stream(*steps))
            server.job["status"] = "failed" if b"training.failed" in steps[-2] else "queued"
            trainer = create_trainer(
                name="triage-run",
                model="arkor-tui/tiny",
                dataset=HuggingFaceDataset("a/b"),
                policy=AT_ONCE,
            )
            trainer.use(server.connection())
            await asyncio.to_thread(run, trainer)
            return server

    return asyncio.run(serve())


def test_a_completed_run_is_reported_and_returned() -> None:
    said: list[str] = []

    def run(trainer: Trainer) -> TrainingResult:
        result = run_trainer(trainer, report=said.append)
        assert result.status == "completed"
        return result

    run_against((started(), log(1), completed(), END), run)
    assert said == ["job job-1", "triage-run: completed"]


def test_it_prints_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    run_against((completed(), END), run_trainer)
    assert capsys.readouterr().out == "job job-1\ntriage-run: completed\n"


def test_a_failed_run_returns_like_any_other() -> None:
    said: list[str] = []

    def run(trainer: Trainer) -> TrainingResult:
        result = run_trainer(trainer, report=said.append)
        assert (result.status, result.job.error) == ("failed", "out of memory")
        return result

    run_against((started(), failed("out of memory"), END), run)
    assert said[-1] == "triage-run: failed"


def test_a_failed_run_raises_where_that_was_asked_for() -> None:
    def run(trainer: Trainer) -> TrainingResult:
        with pytest.raises(RunFailedError, match="out of memory") as caught:
            run_trainer(trainer, raise_on_failure=True, report=lambda _: None)
        assert caught.value.exit_code == 1
        assert "red" in str(caught.value)
        assert "\x1b" not in str(caught.value)
        return caught.value.result

    run_against((started(), failed("out of memory \x1b[31mred"), END), run)


def test_a_completed_run_does_not_raise() -> None:
    def run(trainer: Trainer) -> TrainingResult:
        return run_trainer(trainer, raise_on_failure=True, report=lambda _: None)

    run_against((completed(), END), run)


async def test_inside_an_event_loop_it_points_to_the_other_one(server: Server) -> None:
    with pytest.raises(UsageError, match="event loop") as caught:
        run_trainer(a_trainer(server))
    assert "run_trainer_async" in (caught.value.hint or "")
    assert server.requests == []


async def test_inside_an_event_loop_there_is_the_other_one(server: Server) -> None:
    server.script(stream(completed(), END))
    said: list[str] = []
    result = await run_trainer_async(a_trainer(server), report=said.append)
    assert (result.status, said) == ("completed", ["job job-1", "triage-run: completed"])


@pytest.mark.parametrize("path", [None, "trainer.py", "."])
async def test_the_trainer_may_be_a_file(project: Path, path: str | None) -> None:
    text = """
class Own:
    async def start(self): return "job-7"
    async def wait(self):
        from types import SimpleNamespace as N
        return N(status="completed", job=N(name="own", error=None))
    async def cancel(self): pass

trainer = Own()
"""
    (project / "trainer.py").write_text(text)
    said: list[str] = []
    arguments = [] if path is None else [path]
    await run_trainer_async(*arguments, report=said.append)
    assert said == ["job job-7", "own: completed"]


async def test_anything_with_start_wait_and_cancel_runs() -> None:
    result = SimpleNamespace(status="completed", job=SimpleNamespace(name="own", error=None))

    async def start() -> str:
        return "job-9"

    async def wait() -> Any:
        return result

    own: Any = SimpleNamespace(start=start, wait=wait, cancel=start)
    assert await run_trainer_async(own, report=lambda _: None) is result
