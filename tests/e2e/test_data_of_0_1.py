"""A run of 0.1 whose processes were killed goes on where it was, after an upgrade."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from tests.support.data_of_0_1 import place

from .conftest import Backend

pytestmark = pytest.mark.engine


def test_a_run_of_0_1_is_taken_over_and_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its backend and supervisor were killed at step 10 of 30, its installation is gone."""
    pytest.importorskip("torch")
    for name, value in place(tmp_path).items():
        monkeypatch.setenv(name, value)
    backend = Backend(tmp_path / "data")
    backend.start()
    try:
        code, lines, said = command(tmp_path, "attach", "lost", "--take-over", "--json")
        assert code == 0, said
        told = [json.loads(line) for line in lines]
        code, lines, said = command(
            tmp_path, "chat", "triage-run", "I cannot log in.", "--final", "--max-tokens", "8"
        )
        assert (code, bool("".join(lines).strip())) == (0, True), said
    finally:
        backend.stop()
    assert told[-1]["status"] == "completed"
    with Archive.open() as archive:
        run = archive.find("lost")[0]
        kinds = [row.kind for row in archive.log(run.key, limit=1_000)]
        steps = [int(step) for step in archive.load_series(run.key)["loss"].steps]
        probed = {sample.step for sample in archive.samples(run.key)}
    assert (run.status, run.last_step) == ("completed", 30)
    assert kinds.count("training.started") == kinds.count("training.resumed") == 1
    assert steps == [*range(2, 31, 2)]
    assert {10, 20, 30} <= probed


def command(folder: Path, *words: str) -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *words, "--backend", "local"],
        capture_output=True, text=True, cwd=folder / "home" / "triage-demo",
        env=dict(os.environ), check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout.splitlines(), done.stderr
