"""The commands of the README, as processes, against the embedded backend."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.starters import STARTERS
from tests.support.amounts import patience

from .conftest import Backend

pytestmark = pytest.mark.engine


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arkor_tui", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=dict(os.environ),
        check=False,
        timeout=patience(120),
    )


def records(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def shortened(folder: Path) -> None:
    """The starter as written, but 10 steps with a checkpoint every 5."""
    trainer = folder / "trainer.py"
    text = trainer.read_text()
    for name, value in (
        ("max_steps", 10),
        ("logging_steps", 5),
        ("eval_steps", 5),
        ("save_steps", 5),
    ):
        text, count = re.subn(rf"{name}=\d+", f"{name}={value}", text)
        assert count == 1
    trainer.write_text(text)


@pytest.mark.parametrize("template", sorted(STARTERS))
def test_a_starter_trains_and_shows_its_checkpoints(
    template: str, backend: Backend, project: Path
) -> None:
    assert command("init", "demo", "--template", template, folder=project).returncode == 0
    demo = project / "demo"
    shortened(demo)
    done = command("start", "--backend", "local", folder=demo)
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert "step=5 loss=" in out
    assert re.search(r"evalLoss=\d\.\d{4}", out)
    assert "step 0 (base model):" in out
    assert "step 5: " in out
    assert "step 10: " in out
    assert "completed job_" in out


def test_start_chat_attach_and_cancel_in_json(backend: Backend, project: Path) -> None:
    command("init", folder=project)
    shortened(project)
    done = command("start", "--backend", "local", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    told = records(done)
    assert told[0]["type"] == "job.created"
    job_id = str(told[0]["jobId"])
    assert told[-1] == {
        "type": "result",
        "status": "completed",
        "jobId": job_id,
        "name": "triage-run",
        "error": None,
        "artifacts": told[-1]["artifacts"],
        "reason": None,
        "ended": {"by": "backend", "sentence": "Training completed.", "step": 10},
    }
    logs = [record for record in told if record["type"] == "training.log"]
    assert [record["step"] for record in logs if record.get("loss") is not None] == [5, 10]
    assert any(record.get("evalLoss") is not None for record in logs)
    assert "step=5 loss=" in done.stderr, "what callbacks print does not disturb the JSON"

    replayed = command("attach", "latest", "--backend", "local", "--json", folder=project)
    assert replayed.returncode == 0
    assert records(replayed)[1:-1] == told[1:-1]

    prompt = "I was charged twice."
    for target in (["--base"], ["--step", "5"], ["--final"], []):
        chat = command(
            "chat", job_id, *target, prompt, "--temperature", "0", "--max-tokens", "8",
            "--backend", "local", "--json", folder=project,
        )  # fmt: skip
        assert chat.returncode == 0, chat.stderr
        reply = records(chat)[-1]
        assert reply["type"] == "reply"
        assert reply["text"]
        deltas = [record["text"] for record in records(chat) if record["type"] == "delta"]
        assert "".join(map(str, deltas)) == reply["text"]
    constrained = command(
        "chat", "latest", prompt, "--choice", "yes", "--choice", "no", "--backend", "local",
        folder=project,
    )  # fmt: skip
    assert constrained.stdout.strip() in ("yes", "no")

    cancelled = command("cancel", "latest", "--backend", "local", "--json", folder=project)
    assert cancelled.returncode == 0
    assert records(cancelled)[-1]["status"] == "completed"


def test_a_failing_run_exits_with_1_and_says_which_line(backend: Backend, project: Path) -> None:
    command("init", folder=project)
    data = project / "data" / "train.jsonl"
    data.write_text(data.read_text() + '{"messages": [broken\n')
    done = command("start", "--backend", "local", "--json", folder=project)
    assert done.returncode == 1
    result = records(done)[-1]
    assert result["status"] == "failed"
    lines = len(data.read_text().splitlines())
    assert f"line {lines}" in str(result["error"])


def test_a_model_that_does_not_exist_here_is_named_with_those_that_do(
    backend: Backend, project: Path
) -> None:
    command("init", folder=project)
    trainer = project / "trainer.py"
    trainer.write_text(
        trainer.read_text().replace('model="arkor-tui/tiny"', 'model="unsloth/gemma-4-E4B-it"')
    )
    done = command("start", "--backend", "local", folder=project)
    assert done.returncode == 1
    assert "arkor-tui/tiny" in done.stderr
    assert "--map-model" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_is_short(backend: Backend, project: Path) -> None:
    command("init", folder=project)
    done = command("start", "--backend", "local", "--dry-run", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    steps = [int(str(r["step"])) for r in records(done) if r["type"] == "training.log"]
    assert max(steps) == 10
