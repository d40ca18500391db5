"""What every test shares: a home, data folders and a project of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import textual._wait

from arkor_tui._version import __version__
from arkor_tui.connect.embedded import EMBEDDED_HEADER
from tests.support.amounts import load_profile, patience
from tests.support.kept_engine import running_engine
from tests.support.scripted import LOCAL_TOKEN, Answer, Server, running_server

# How Pilot waits until the app is idle: by the same share of the processor over a shorter time.
# With Textual's own 20 ms two thirds of the time of a test that presses keys are waiting.
textual._wait.SLEEP_GRANULARITY = 0.005
textual._wait.SLEEP_IDLE = 0.005 / 20

load_profile()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give a test as long as this machine needs before it counts as hanging."""
    if config.getoption("timeout") is None:
        config.option.timeout = patience(float(config.getini("timeout")))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that train: they take longest, and one process would end with them."""
    first = {item.path for item in items if item.get_closest_marker("engine")}
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, with the test inside an empty project folder of it."""
    folder = tmp_path / "home"
    project = folder / "demo-project"
    project.mkdir(parents=True)
    for name in list(os.environ):
        if name.startswith(("ARKOR_", "XDG_")) or name in ("CI", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("ARKOR_TUI_CONFIG_DIR", str(folder / "config"))
    monkeypatch.chdir(project)
    return folder


@pytest.fixture(scope="session")
def kept_engine() -> Iterator[str | None]:
    """Where the engine's processes are forked, for tests that are about something else."""
    with running_engine() as address:
        yield address


@pytest.fixture
def project(home: Path) -> Path:
    """The current project's folder."""
    return home / "demo-project"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server on a free loopback port."""
    async with running_server() as running:
        yield running


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[Server]:
    """A server that is an embedded backend, and has its token."""
    async with running_server() as running:
        running.token = LOCAL_TOKEN
        running.answers["GET /v1/jobs"] = Answer(200, {"jobs": []}, {EMBEDDED_HEADER: __version__})
        yield running
