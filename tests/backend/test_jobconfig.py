"""Every setting does what it says or is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arkor_tui.backend.jobconfig import InvalidConfigError, check_job
from arkor_tui.backend.models import ModelRegistry, tiny_folder
from arkor_tui.backend.spec import Every, TrainingSpec
from arkor_tui.params import PARAMETERS


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    return path


def check(rows: Path, registry: ModelRegistry | None = None, **config: Any) -> TrainingSpec:
    source = {"type": "file", "path": str(rows)}
    body = {"name": "x", "config": {"model": "arkor-tui/tiny", "datasetSource": source, **config}}
    return check_job(body, registry or ModelRegistry(), {})[2]


def refused(rows: Path, **config: Any) -> dict[str, str]:
    with pytest.raises(InvalidConfigError) as error:
        check(rows, **config)
    return error.value.fields


def test_defaults_that_suit_the_small_model(rows: Path) -> None:
    spec = check(rows)
    assert spec.model_source == str(tiny_folder())
    assert spec.learning_rate == 1e-2
    assert spec.max_steps is None
    assert spec.epochs == 1
    assert spec.seed == 42


@pytest.mark.parametrize(
    ("wire", "value", "name", "expected"),
    [
        ("loraR", 8, "lora_r", 8),
        ("loraAlpha", 32, "lora_alpha", 32.0),
        ("maxLength", 64, "max_length", 64),
        ("loadIn4bit", False, "max_length", 512),
        ("maxSteps", 7, "max_steps", 7),
        ("maxSteps", 7.0, "max_steps", 7),
        ("numTrainEpochs", 1.5, "epochs", 1.5),
        ("learningRate", 3e-4, "learning_rate", 3e-4),
        ("batchSize", 3, "batch_size", 3),
        ("weightDecay", 0.1, "weight_decay", 0.1),
        ("optim", "adamw", "optimizer", "adamw_torch"),
        ("optim", "sgd", "optimizer", "sgd"),
        ("optim", "adafactor", "optimizer", "adafactor"),
        ("lrSchedulerType", "cosine", "scheduler", "cosine"),
        ("warmupSteps", 5, "warmup", Every(steps=5)),
        ("warmupSteps", {"ratio": 0}, "warmup", Every(ratio=0.0)),
        ("loggingSteps", {"steps": 4}, "log_every", Every(steps=4)),
        ("saveSteps", {"ratio": 0.25}, "save_every", Every(ratio=0.25)),
        ("evalSteps", 25, "eval_every", Every(steps=25)),
        ("trainOnResponsesOnly", True, "responses_only", True),
        ("trainOnResponsesOnly", {"enabled": True}, "responses_only", True),
        ("dryRun", True, "dry_run", True),
        ("seed", 0, "seed", 0),
        ("seed", 7, "seed", 7),
    ],
)
def test_a_setting_arrives(
    rows: Path, wire: str, value: object, name: str, expected: object
) -> None:
    assert getattr(check(rows, **{wire: value}), name) == expected


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("model", ""),
        ("model", 5),
        ("loraR", 0),
        ("loraR", 1.5),
        ("loraR", "16"),
        ("loraR", True),
        ("loraAlpha", 0),
        ("maxLength", 4),
        ("maxLength", 1_000_001),
        ("loadIn4bit", True),
        ("loadIn4bit", "no"),
        ("maxSteps", 0),
        ("maxSteps", -1),
        ("numTrainEpochs", 0),
        ("learningRate", -1),
        ("batchSize", 0),
        ("weightDecay", -0.1),
        ("optim", "adamw_8bit"),
        ("optim", "magic"),
        ("lrSchedulerType", "magic"),
        ("warmupSteps", -1),
        ("warmupSteps", {"ratio": 1}),
        ("loggingSteps", {}),
        ("loggingSteps", {"ratio": 0}),
        ("saveSteps", {"steps": 1, "ratio": 0.5}),
        ("evalSteps", "25"),
        ("datasetSplit", True),
        ("datasetSplit", {"enabled": True, "testSize": 0}),
        ("datasetSplit", {"enabled": True, "share": 0.1}),
        ("datasetFormat", "xml"),
        ("datasetFormat", {"type": "alpaca", "columnMapping": {"prompt": "x"}}),
        ("datasetFormat", {"type": "text", "columns": {}}),
        ("datasetFormat", {}),
        ("datasetFormat", {"columnMapping": {"text": "x"}}),
        ("datasetFormat", 5),
        ("trainOnResponsesOnly", "yes"),
        ("gpuTypes", ["h200"]),
        ("dryRun", 1),
        ("seed", -1),
        ("unheardOf", 1),
    ],
)
def test_a_setting_is_refused_by_name(rows: Path, wire: str, value: object) -> None:
    [(path, said)] = refused(rows, **{wire: value}).items()
    assert path == f"config.{wire}" or path.startswith(f"config.{wire}.")
    assert said


def test_all_wrong_fields_are_told_at_once(rows: Path) -> None:
    assert set(refused(rows, loraR=0, optim="x", nonsense=1)) == {
        "config.loraR",
        "config.optim",
        "config.nonsense",
    }


@pytest.mark.parametrize("body", [None, [], {}, {"name": "x"}, {"name": "", "config": {}}])
def test_a_broken_envelope_is_refused(body: object) -> None:
    with pytest.raises(InvalidConfigError):
        check_job(body, ModelRegistry(), {})


def test_the_split_and_the_format(rows: Path) -> None:
    spec = check(
        rows,
        datasetSplit={"enabled": True, "testSize": 0.2, "seed": 1},
        datasetFormat={"type": "alpaca", "columnMapping": {"input": "question"}},
    )
    assert (spec.dataset.held_out, spec.dataset.split_seed) == (0.2, 1)
    assert spec.dataset.format == "alpaca"
    assert spec.dataset.column_mapping == {"input": "question"}
    off = check(rows, datasetSplit={"enabled": False, "testSize": 0.2}, datasetFormat="text")
    assert off.dataset.held_out == 0
    assert off.dataset.format == "text"


def test_the_splits_seed_is_refused_by_its_own_name(rows: Path) -> None:
    split = {"enabled": True, "testSize": 0.1, "seed": -5}
    said = "must be a whole number from 0 to 4294967295"
    assert refused(rows, datasetSplit=split) == {"config.datasetSplit.seed": said}
    parts = {"enabled": "yes", "testSize": 0, "share": 1}
    assert refused(rows, datasetSplit=parts) == {
        "config.datasetSplit.enabled": "must be true or false",
        "config.datasetSplit.testSize": "must be a share below 1 or a whole number of rows",
        "config.datasetSplit.share": "is not a field of this backend",
    }


def test_null_is_as_if_left_out(rows: Path) -> None:
    nothing = {found.wire.split(".")[0]: None for found in PARAMETERS.values()}
    assert check(rows, **nothing) == check(rows)
    half = {"enabled": True, "testSize": None, "seed": None}
    spec = check(rows, datasetSplit=half, datasetFormat={"type": "text", "columnMapping": None})
    assert (spec.dataset.held_out, spec.dataset.split_seed) == (0.1, 42)
    assert refused(rows, unheardOf=None) == {"config.unheardOf": "is not a field of this backend"}


def test_the_values_of_the_cookbook_are_taken(rows: Path) -> None:
    """t7: more tokens than the model has positions is no mistake; it trains with what it has."""
    spec = check(
        rows, loraR=32, loraAlpha=64, maxLength=2048, loadIn4bit=False, maxSteps=500,
        learningRate=2e-4, batchSize=8, weightDecay=0.01, lrSchedulerType="cosine",
        datasetSplit={"enabled": True, "testSize": 0.1},
    )  # fmt: skip
    assert (spec.lora_r, spec.max_length, spec.scheduler) == (32, 512, "cosine")
    assert spec.dataset.held_out == 0.1


def test_a_spec_that_version_0_1_stored_is_read() -> None:
    stored = (
        '{"name":"x","model":"m","model_source":"/m","dataset":{"kind":"file","location":"/r"},'
        '"lora_r":8,"optimizer":"sgd","warmup":{"steps":null,"ratio":0.1},"epochs":2.0}'
    )
    spec = TrainingSpec.from_json(stored)
    assert (spec.lora_r, spec.optimizer, spec.warmup) == (8, "sgd", Every(ratio=0.1))
    assert (spec.epochs, spec.learning_rate, spec.log_every) == (2.0, 2e-4, Every(steps=1))


@pytest.mark.parametrize(
    "source",
    [
        None,
        {},
        {"type": "s3"},
        {"type": "file", "path": "relative.jsonl"},
        {"type": "file", "path": "/nowhere/at/all"},
        {"type": "file", "path": "/"},
        {"type": "blob", "url": "http://example.com/x.jsonl"},
        {"type": "blob", "url": "http://example.com/x.jsonl", "token": "t"},
        {"type": "blob", "url": "ftp://example.com/x"},
        {"type": "blob", "url": "nonsense"},
        {"type": "huggingface"},
        {"type": "huggingface", "name": "x", "revision": "y"},
    ],
)
def test_a_dataset_that_cannot_be_is_refused(rows: Path, source: object) -> None:
    assert list(refused(rows, datasetSource=source)) == ["config.datasetSource"]


@pytest.mark.parametrize(
    "url", ["https://example.com/x.jsonl", "http://127.0.0.1:1/x", "http://localhost:1/x"]
)
def test_a_blob_may_be_https_or_here(rows: Path, url: str) -> None:
    spec = check(rows, datasetSource={"type": "blob", "url": url, "token": "t"})
    assert (spec.dataset.location, spec.dataset.token) == (url, "t")
    assert "'t'" not in repr(spec)


def test_a_hub_dataset_is_read_from_a_file_only_when_it_was_mapped(rows: Path) -> None:
    source = {"type": "huggingface", "name": "arkorlab/triage-demo"}
    body = {"name": "x", "config": {"model": "arkor-tui/tiny", "datasetSource": source}}
    plain = check_job(body, ModelRegistry(), {})[2].dataset
    assert (plain.kind, plain.location) == ("huggingface", "arkorlab/triage-demo")
    mapped = check_job(body, ModelRegistry(), {"arkorlab/triage-demo": rows})[2].dataset
    assert (mapped.kind, mapped.location) == ("file", str(rows))


def test_a_cloud_model_is_never_mapped_silently(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_tui.backend.models._why_not_on_hub", lambda name: "no network")
    name = "unsloth/gemma-4-E4B-it"
    said = refused(rows, model=name)["config.model"]
    assert "arkor-tui/tiny" in said
    assert "--map-model" in said
    spec = check(rows, ModelRegistry({name: "arkor-tui/tiny"}), model=name)
    assert (spec.model, spec.model_source) == (name, str(tiny_folder()))


def test_model_folders_must_hold_safetensors(rows: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    assert "no model folder" in refused(rows, model=str(folder))["config.model"]
    folder.mkdir()
    assert "config.json" in refused(rows, model=str(folder))["config.model"]
    (folder / "config.json").write_text('{"max_position_embeddings": 64}')
    (folder / "pytorch_model.bin").touch()
    assert "safetensors" in refused(rows, model=str(folder))["config.model"]
    (folder / "model.safetensors").touch()
    assert check(rows, model=str(folder)).model_source == str(folder)
    assert check(rows, model=str(folder), maxLength=65).max_length == 64
    assert "no file" in refused(rows, model=str(tmp_path / "x.gguf"))["config.model"]


def test_a_spec_survives_its_json(rows: Path) -> None:
    spec = check(rows, saveSteps={"ratio": 0.5}, datasetFormat="text")
    assert TrainingSpec.from_json(spec.to_json()) == spec
