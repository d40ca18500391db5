"""What a trainer sends: every input under its wire name, and nothing that was not said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from arkor_tui import (
    BlobDataset,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
    LoraConfig,
    create_trainer,
)
from arkor_tui.api.client import CloudApiClient
from arkor_tui.api.jobs import HuggingFaceSource, JobConfig, JobCreate, StepConfig
from arkor_tui.datasets.sources import UnsupportedModelError
from arkor_tui.errors import UsageError
from tests.support.scripted import SCOPE, Connection, Server
from tests.support.trainers import a_trainer

DATASET = HuggingFaceDataset("arkorlab/triage-demo")
SPLIT = {"enabled": True, "test_size": 0.2, "seed": 7}


def config(folder: Path | None = None, **settings: Any) -> dict[str, Any]:
    """The config on the wire, without model and dataset unless they are asked about."""
    given = {"name": "run", "model": "arkor-tui/tiny", "dataset": DATASET, **settings}
    wire = create_trainer(**given).request(folder).to_wire()
    assert wire["name"] == "run"
    found: dict[str, Any] = wire["config"]
    if "model" not in settings:
        assert found.pop("model") == "arkor-tui/tiny"
    if "dataset" not in settings:
        assert found.pop("datasetSource") == {
            "type": "huggingface",
            "name": "arkorlab/triage-demo",
        }
    return found


def test_what_is_unset_is_left_out() -> None:
    assert config() == {}


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ({"max_steps": 100}, {"maxSteps": 100}),
        ({"num_train_epochs": 1.5}, {"numTrainEpochs": 1.5}),
        ({"learning_rate": 2e-4}, {"learningRate": 2e-4}),
        ({"learning_rate": 0}, {"learningRate": 0}),
        ({"batch_size": 4}, {"batchSize": 4}),
        ({"weight_decay": 0.01}, {"weightDecay": 0.01}),
        ({"optim": "adamw_8bit"}, {"optim": "adamw_8bit"}),
        ({"lr_scheduler_type": "cosine"}, {"lrSchedulerType": "cosine"}),
        ({"dataset_format": "chatml"}, {"datasetFormat": "chatml"}),
        ({"dataset_format": {"type": "chatml"}}, {"datasetFormat": {"type": "chatml"}}),
        (
            {"dataset_format": {"type": "alpaca", "column_mapping": {"instruction": "q"}}},
            {"datasetFormat": {"type": "alpaca", "columnMapping": {"instruction": "q"}}},
        ),
        (
            {"dataset_split": SPLIT},
            {"datasetSplit": {"enabled": True, "testSize": 0.2, "seed": 7}},
        ),
        ({"dataset_split": {"enabled": False}}, {"datasetSplit": {"enabled": False}}),
        ({"train_on_responses_only": True}, {"trainOnResponsesOnly": True}),
        ({"train_on_responses_only": False}, {"trainOnResponsesOnly": False}),
        ({"gpu_types": ["h100", "a100"]}, {"gpuTypes": ["h100", "a100"]}),
        ({"dry_run": True}, {"dryRun": True}),
        ({"dry_run": False}, {"dryRun": False}),
        ({"seed": 0}, {"seed": 0}),
        ({"lora": LoraConfig(r=16, alpha=32)}, {"loraR": 16, "loraAlpha": 32}),
        (
            {"lora": LoraConfig(r=8, alpha=0.5, max_length=512, load_in_4bit=False)},
            {"loraR": 8, "loraAlpha": 0.5, "maxLength": 512, "loadIn4bit": False},
        ),
    ],
)
def test_each_input_has_its_wire_name(given: dict[str, Any], wire: dict[str, Any]) -> None:
    assert config(**given) == wire


STEP_FIELDS = {
    "warmup_steps": "warmupSteps",
    "logging_steps": "loggingSteps",
    "save_steps": "saveSteps",
    "eval_steps": "evalSteps",
}


@pytest.mark.parametrize("name", STEP_FIELDS)
@pytest.mark.parametrize(
    ("given", "wire"),
    [
        (25, {"steps": 25}),
        (25.0, {"steps": 25}),
        (0, {"steps": 0}),
        ({"steps": 25}, {"steps": 25}),
        ({"ratio": 0.1}, {"ratio": 0.1}),
        ({"ratio": 0}, {"ratio": 0}),
        (StepConfig(steps=3), {"steps": 3}),
    ],
)
def test_a_plain_number_of_steps_is_sent_as_a_step_config(
    name: str, given: Any, wire: dict[str, Any]
) -> None:
    assert config(**{name: given}) == {STEP_FIELDS[name]: wire}


@pytest.mark.parametrize("name", STEP_FIELDS)
@pytest.mark.parametrize(
    "wrong", [-1, 2.5, True, "10", {}, {"steps": 1, "ratio": 0.5}, {"ratio": 1}, math.nan]
)
def test_a_wrong_step_config_is_named(name: str, wrong: Any) -> None:
    with pytest.raises(UsageError, match=f"'run'.*{name}"):
        config(**{name: wrong})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"dataset_split": {"test_size": 0.1}}, "dataset_split.enabled"),
        ({"dataset_split": {"enabled": True, "tset_size": 0.1}}, "tset_size"),
        ({"gpu_types": "h100"}, "gpu_types"),
        ({"optim": 3}, "optim"),
    ],
)
def test_a_setting_that_cannot_be_sent_is_named_in_one_sentence(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(UsageError, match=field) as caught:
        config(**given)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_rank_and_alpha_come_together() -> None:
    with pytest.raises(TypeError):
        LoraConfig(r=16)  # type: ignore[call-arg]


# datasets


def test_a_hub_dataset_sends_split_and_subset_where_given() -> None:
    dataset = HuggingFaceDataset("a/b", split="test", subset="de")
    assert config(dataset=dataset)["datasetSource"] == {
        "type": "huggingface",
        "name": "a/b",
        "split": "test",
        "subset": "de",
    }


def test_a_blob_sends_its_token_and_never_shows_it() -> None:
    dataset = BlobDataset("https://example.com/x.jsonl", token="very-secret")
    assert config(dataset=dataset)["datasetSource"] == {
        "type": "blob",
        "url": "https://example.com/x.jsonl",
        "token": "very-secret",
    }
    request = create_trainer(name="run", model="arkor-tui/tiny", dataset=dataset).request()
    assert "very-secret" not in repr(dataset) + repr(request)
    assert config(dataset=BlobDataset("https://x/y"))["datasetSource"] == {
        "type": "blob",
        "url": "https://x/y",
    }


def test_a_file_is_sent_as_an_absolute_path(tmp_path: Path, home: Path) -> None:
    for given, found in (
        ("data/train.jsonl", tmp_path / "data" / "train.jsonl"),
        (Path("x.jsonl"), tmp_path / "x.jsonl"),
        ("/abs/x.jsonl", Path("/abs/x.jsonl")),
        ("~/x.jsonl", home / "x.jsonl"),
    ):
        source = config(tmp_path, dataset=FileDataset(given))["datasetSource"]
        assert source == {"type": "file", "path": str(found)}


async def test_the_cloud_is_not_asked_for_a_file_of_this_machine(server: Server) -> None:
    connection = Connection("cloud", server.url, SCOPE, "anonymous", "token")
    trainer = create_trainer(name="run", model="arkor-tui/tiny", dataset=FileDataset("x.jsonl"))
    trainer.use(connection)
    with pytest.raises(UsageError, match="FileDataset"):
        await trainer.start()
    assert server.requests == []


# models


def test_a_model_that_no_backend_has_is_refused_at_once() -> None:
    with pytest.raises(UnsupportedModelError, match="gpt-5") as caught:
        create_trainer(name="run", model="gpt-5", dataset=DATASET)
    assert "unsloth/gemma-4-E4B-it" in str(caught.value)
    assert "LocalModel('gpt-5')" in (caught.value.hint or "")


async def test_the_client_itself_takes_any_model(server: Server) -> None:
    job = JobCreate(
        name="run",
        config=JobConfig(model="gpt-5", dataset_source=HuggingFaceSource(name="a/b")),
    )
    async with CloudApiClient(server.url) as client:
        await client.create_job(SCOPE, job)
    assert server.creations[0].json["config"]["model"] == "gpt-5"


@pytest.mark.parametrize(
    ("location", "wire"),
    [
        ("HuggingFaceTB/SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        ("./models/mine", "{folder}/models/mine"),
        ("../mine", "{folder}/../mine"),
        (Path("models/mine"), "{folder}/models/mine"),
        ("mine.gguf", "{folder}/mine.gguf"),
        ("/models/mine", "/models/mine"),
        ("~/mine", "{home}/mine"),
    ],
)
def test_a_local_model_is_a_hub_id_or_an_absolute_path(
    location: str | Path, wire: str, tmp_path: Path, home: Path
) -> None:
    found = config(tmp_path, model=LocalModel(location))["model"]
    assert found == wire.format(folder=tmp_path, home=home)


def test_a_request_is_what_start_sends_and_sends_nothing(server: Server) -> None:
    trainer = a_trainer(server, dry_run=True)
    assert trainer.request().to_wire()["config"]["dryRun"] is True
    assert server.requests == []


def test_settings_can_be_changed_in_a_copy() -> None:
    trainer = create_trainer(name="run", model="arkor-tui/tiny", dataset=DATASET, max_steps=10)
    assert trainer.settings is not None
    changed = trainer.settings.changed(max_steps=20, name="again")
    assert (changed.max_steps, changed.name) == (20, "again")
    assert trainer.settings.max_steps == 10
