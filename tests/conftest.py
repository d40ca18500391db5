"""What every test shares: a home, data folders and a project of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import textual._wait

# How Pilot waits until the app is idle: by the same share of the processor over a shorter time.
# With Textual's own 20 ms two thirds of the time of a test that presses keys are waiting.
textual._wait.SLEEP_GRANULARITY = 0.005
textual._wait.SLEEP_IDLE = 0.005 / 20


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


@pytest.fixture
def project(home: Path) -> Path:
    """The current project's folder."""
    return home / "demo-project"
