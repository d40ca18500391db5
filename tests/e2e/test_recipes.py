"""The recipes on a real run: a trainer file with all of them, then the commands that look back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from tests.support.amounts import patience

from .conftest import Backend

pytestmark = pytest.mark.engine

TRAINER = """
from arkor_tui import FileDataset, LoraConfig, create_trainer
from arkor_tui.recipes import EarlyStopping, Expect, Golden, PromptProbe, SlackNotifier

trainer = create_trainer(
    name="recipes", model="arkor-tui/tiny", dataset=FileDataset("rows.jsonl"),
    lora=LoraConfig(r=8, alpha=16), max_steps=400, logging_steps=1, save_steps=10, batch_size=8,
    learning_rate=0.01, backend="local",
    callbacks=[
        PromptProbe([Golden("I cannot log in", max_tokens=20, expect=Expect(contains="{"))]),
        EarlyStopping(ceiling=CEILING, action="checkpoint"),
        SlackNotifier.from_env("NOWHERE"),
    ],
)
"""
PROMPTS = """
[[prompt]]
text = "I cannot log in"
name = "login"
max_tokens = 20
[prompt.expect]
contains = "{"
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arkor_tui", *arguments],
        capture_output=True, text=True, cwd=folder, env=dict(os.environ), check=False,
        timeout=patience(120),
    )  # fmt: skip


@pytest.fixture
def folder(project: Path, rows: Path) -> Path:
    (project / "rows.jsonl").write_text("\n".join(rows.read_text().splitlines()[:80]) + "\n")
    (project / "prompts.toml").write_text(PROMPTS)
    return project


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_guard_stops_a_real_run_after_a_checkpoint_and_looking_back_works(
    backend: Backend, folder: Path
) -> None:
    # every loss is above this, so it fires at once, and waits for the work to be kept
    (folder / "trainer.py").write_text(TRAINER.replace("CEILING", "0.000001"))
    done = command(folder, "start", "--json")
    assert done.returncode == 1, done.stderr
    result = records(done)[-1]
    assert result["status"] == "cancelled"
    assert re.fullmatch(r"the loss \S+ is above 1e-06", str(result["reason"]))
    assert "the guard stops the run at the next checkpoint: the loss" in done.stderr
    assert "step 10  I cannot log in" in done.stderr
    job = str(result["jobId"])

    with Archive.open() as archive:
        run = archive.find(job)[0]
        assert (run.status, run.reason) == ("cancelled", result["reason"])
        assert [f.data["phase"] for f in archive.findings(run.key, "guard")] == [
            "armed", "stopping", "stopped"
        ]  # fmt: skip
        samples = archive.samples(run.key)
        checkpoints = [row.step for row in archive.checkpoints(run.key)]
    assert checkpoints == [10]
    assert run.last_step is not None
    assert run.last_step < 60
    assert [(s.target, s.step) for s in samples] == [("base", None), ("checkpoint", 10)]
    assert all(sample.reply for sample in samples)

    told = command(folder, "what-if", job, "--ceiling", "0.000001", "--json")
    assert records(told)[0]["step"] == 1

    report = folder / "report.xml"
    probed = command(
        folder, "probe", job, "--prompts", "prompts.toml", "--all", "--json", "--junit", str(report)
    )
    asked = [r for r in records(probed) if r["type"] == "sample"]
    assert [(r["target"], r["step"]) for r in asked] == [("base", None), ("checkpoint", 10)]
    # greedy and seeded: the probe of the run and this one had the same answers
    assert [r["reply"] for r in asked] == [s.reply for s in samples]
    failed = sum(r["passed"] is False for r in asked)
    assert probed.returncode == (1 if failed else 0)
    suites = ET.fromstring(report.read_text())
    assert [suite.get("tests") for suite in suites] == ["1", "1"]
    assert sum(int(suite.get("failures", "0")) for suite in suites) == failed

    missing = command(folder, "probe", job, "--prompts", "prompts.toml", "--step", "11")
    assert missing.returncode == 2
    assert "There are: 10." in missing.stderr

    search = command(
        folder, "bisect", job, "--prompt", "I cannot log in", "--max-tokens", "20",
        "--regex", ".", "--json",
    )  # fmt: skip
    assert records(search)[-1]["result"] == "always passes"
    assert search.returncode == 1
    nothing = command(folder, "bisect", job, "--prompt", "x")
    assert nothing.returncode == 2
    assert "Nothing is expected" in nothing.stderr
