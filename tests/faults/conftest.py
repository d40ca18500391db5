"""A world with a backend that trains, shared by the tests of one module."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.e2e.conftest import Backend
from tests.support.amounts import amount
from tests.support.kills import World

KILLS = amount("KILLS", 2, 10)
SEED = amount("SEED", 1, 1)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A backend and its model take seconds to start; tests use :func:`world`."""
    pytest.importorskip("torch")
    home = tmp_path_factory.mktemp("world") / "home"
    (home / "demo-project").mkdir(parents=True)
    world = World(home, Backend(home / "data"), random.Random(SEED), KILLS)
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("ARKOR_", "XDG_"))]:
            patch.delenv(name)
        world.move_in(patch)
        try:
            world.prepare(rows.read_text().splitlines()[:60])
            yield world
        finally:
            world.close()
            shutil.rmtree(home / "data" / "local" / "jobs", ignore_errors=True)


@pytest.fixture
def world(
    shared_world: World, home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[World]:
    """With its own home, and moments that do not depend on the order of tests."""
    del home  # every other test has one; this one lives elsewhere
    shared_world.move_in(monkeypatch)
    shared_world.random.seed(f"{SEED} {request.node.name}")
    (shared_world.folder / "diary.txt").unlink(missing_ok=True)
    yield shared_world
    for app in shared_world.apps:  # where the test has failed; others would find it running
        app.close()
    shared_world.apps.clear()
