"""The changes of a template that the guide shows: what each sends, and whether it is taken."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import arkor_tui
from arkor_tui import Trainer
from arkor_tui.cli import main
from tests.e2e.conftest import Backend
from tests.e2e.conftest import backend as backend

from .test_snippets import ROOT, of, run_python

PAGE = ROOT / "docs" / "starter-templates.md"
TOKEN = "a-token-of-the-environment"
BASE = {"model": "arkor-tui/tiny", "loraR": 16, "loraAlpha": 32, "maxSteps": 100}


@pytest.fixture
def shown(folder: Path, no_way_out: None, monkeypatch: pytest.MonkeyPatch) -> list[Trainer]:
    """Every trainer of the guide, in order."""
    trainers: list[Trainer] = []
    make = arkor_tui.create_trainer

    def remember(**settings: Any) -> Trainer:
        trainers.append(make(**settings))
        return trainers[-1]

    monkeypatch.setenv("DATA_TOKEN", TOKEN)
    monkeypatch.setattr(arkor_tui, "create_trainer", remember)
    run_python(PAGE)
    return trainers


def sent(trainer: Trainer) -> dict[str, Any]:
    config: dict[str, Any] = trainer.request().to_wire()["config"]
    return config


def test_each_change_is_sent_as_it_is_named(shown: list[Trainer], folder: Path) -> None:
    file = {"type": "file", "path": str(folder / "data.jsonl")}
    hub = {"type": "huggingface", "name": "arkorlab/triage-demo"}
    gemma = "unsloth/gemma-4-E4B-it"
    expected: list[dict[str, Any]] = [
        {"datasetSource": file},
        {"datasetSource": file},
        {"datasetSource": hub},
        {"datasetSource": {**hub, "split": "test", "subset": "en"}},
        {"datasetSource": {
            "type": "blob", "url": "https://example.com/rows.jsonl", "token": TOKEN
        }},
        {"datasetFormat": {"type": "alpaca"}},
        {"datasetFormat": {"type": "prompt_completion", "columnMapping": {"prompt": "question"}}},
        {"datasetSplit": {"enabled": True, "testSize": 0.1, "seed": 42},
         "evalSteps": {"steps": 25}},
        {"maxSteps": 300, "learningRate": 0.01, "batchSize": 16, "lrSchedulerType": "cosine",
         "weightDecay": 0.01, "warmupSteps": {"steps": 10}, "loggingSteps": {"steps": 5},
         "saveSteps": {"steps": 25}, "trainOnResponsesOnly": True, "seed": 42},
        {"numTrainEpochs": 3, "maxSteps": None, "warmupSteps": {"ratio": 0.1},
         "saveSteps": {"ratio": 0.25}},
        {"loraR": 32, "loraAlpha": 64, "maxLength": 256},
        {"model": gemma, "loraAlpha": 16, "loadIn4bit": True, "datasetSource": hub},
        {},  # callbacks are nothing that is sent
        {"model": gemma, "datasetSource": hub, "learningRate": 2e-4},
        {"model": str(folder / "models" / "my-model")},
        {"model": "someone/some-model"},
        {"dryRun": True},
        {"loraR": 8, "loraAlpha": 16, "dryRun": False, "maxLength": 256},
    ]  # fmt: skip
    assert len(shown) == len(expected), "the guide shows a change that is not looked at here"
    for number, (trainer, wanted) in enumerate(zip(shown, expected, strict=True)):
        config = sent(trainer)
        wanted = {**BASE, **wanted}
        assert {key: config.get(key) for key in wanted} == wanted, f"change {number}"


def test_callbacks_of_every_kind_are_there(shown: list[Trainer]) -> None:
    kinds = [[type(callback).__name__ for callback in t.callbacks] for t in shown if t.callbacks]
    assert kinds == [
        ["Diary", "PromptProbe", "EarlyStopping", "SlackNotifier", "FunctionCallback"],
        ["PromptProbe", "EarlyStopping", "SlackNotifier"],
    ]


def test_the_embedded_backend_takes_every_change_but_four_bits(shown: list[Trainer]) -> None:
    from arkor_tui.backend.jobconfig import InvalidConfigError, check_job
    from arkor_tui.backend.models import ModelRegistry

    # the cloud's model and the model of a hub have stand-ins; my-model is not on this disk
    tiny = "arkor-tui/tiny"
    models = ModelRegistry({"unsloth/gemma-4-E4B-it": tiny, "someone/some-model": tiny})
    refused: list[list[str]] = []
    for trainer in shown:
        try:
            check_job(trainer.request().to_wire(), models, {})
        except InvalidConfigError as error:
            refused.append(sorted(error.fields))
    assert refused == [["config.loadIn4bit"], ["config.model"]]


def test_a_token_of_the_environment_is_shown_nowhere(shown: list[Trainer]) -> None:
    [trainer] = [t for t in shown if sent(t)["datasetSource"]["type"] == "blob"]
    assert TOKEN not in repr(trainer.settings)
    assert TOKEN not in PAGE.read_text()


@pytest.mark.engine
def test_all_of_it_in_one_file_trains(
    backend: Backend,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The last trainer of the guide, as a file, with rows of a starter."""
    (project / "trainer.py").write_text(of(PAGE, "python")[-1].text)
    rows = files("arkor_tui.starters").joinpath("triage/data/train.jsonl").read_text()
    (project / "data.jsonl").write_text("\n".join(rows.splitlines()[:60]))
    monkeypatch.setenv("DRY_RUN", "1")
    assert main(["start", "--backend", "local", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[-1]["status"] == "completed"
    assert [e["step"] for e in said if e["type"] == "checkpoint.saved"] == [5, 10]
    assert any(e.get("evalLoss") is not None for e in said if e["type"] == "training.log")
