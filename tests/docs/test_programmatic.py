"""Coroutines that the page on programmatic runs only defines, against the embedded backend."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import AbortError, Callback, StartedContext, Trainer
from tests.e2e.conftest import Backend
from tests.e2e.conftest import backend as backend

from .test_snippets import ROOT, run_python

pytestmark = pytest.mark.engine

PAGE = ROOT / "docs" / "programmatic-runs.md"


class Aborts(Callback):
    """Aborts as soon as the run is under way."""

    def __init__(self, controller: Any) -> None:
        self.controller = controller

    def on_started(self, ctx: StartedContext) -> None:
        self.controller.abort("enough")


@pytest.fixture
def page(folder: Path) -> dict[str, Any]:
    """What the page defines, with enough rows to train on."""
    rows = files("arkor_tui.starters").joinpath("triage/data/train.jsonl").read_text()
    (folder / "data.jsonl").write_text("\n".join(rows.splitlines()[:40]))
    return run_python(PAGE)


def long(trainer: Trainer, controller: Any) -> Trainer:
    """It aborts when it begins, and would be at it for long."""
    assert trainer.settings is not None
    trainer.settings = trainer.settings.changed(max_steps=5000)
    trainer.callbacks.append(Aborts(controller))
    return trainer


async def status(trainer: Trainer) -> str:
    """As the backend has it."""
    assert trainer.job is not None
    connection = await trainer.connection()
    job = (await connection.client.get_job(connection.scope, trainer.job.id)).job
    await trainer.aclose()
    return job.status


async def test_an_abort_is_followed_by_a_stop(backend: Backend, page: dict[str, Any]) -> None:
    controller = page["AbortController"]()
    trainer = page["make_trainer"]("abortable", abort_signal=controller.signal)
    page["trainer"] = long(trainer, controller)
    state = await page["wait_or_stop"]()
    assert state.message == "The backend says that the run is cancelled."
    assert await status(trainer) == "cancelled"


async def test_without_an_abort_it_runs_to_its_end(backend: Backend, page: dict[str, Any]) -> None:
    page["trainer"] = page["make_trainer"]("short", dry_run=True)
    assert (await page["wait_or_stop"]()).status == "completed"


async def test_one_abort_stops_both(backend: Backend, page: dict[str, Any]) -> None:
    # either may be the first in the queue
    trainers = [long(trainer, page["controller"]) for trainer in page["trainers"]]
    ends = await page["side_by_side"]()
    assert [type(end) for end in ends] == [AbortError, AbortError]
    assert [trainer.cancel_state.confirmed for trainer in trainers] == [True, True]
    assert [await status(trainer) for trainer in trainers] == ["cancelled", "cancelled"]
