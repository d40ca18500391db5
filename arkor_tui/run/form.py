"""The form of a run: its fields, what each may hold, and settings that go together."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from arkor_tui.datasets.formats import FORMATS
from arkor_tui.datasets.sources import EMBEDDED_MODELS, SUPPORTED_MODELS

FieldKind = Literal["text", "number", "bool", "choice", "lines"]
SERVICES = ("slack", "discord", "webhook", "apprise", "bell")
"""What can be told about a run; the addresses are in the settings, not here."""
YES_NO = ("yes", "no")
EXPECTS = " => "
"""Stands between a golden prompt and what its answer has to contain."""


@dataclass(frozen=True, slots=True)
class FormField:
    """How a field of the draft appears in a form."""

    name: str
    label: str
    hint: str
    kind: FieldKind = "text"
    choices: tuple[str, ...] = ()


FORM: tuple[tuple[str, tuple[FormField, ...]], ...] = (
    (
        "Run",
        (
            FormField("name", "name", "what the run is called"),
            FormField(
                "model",
                "base model",
                "a known name, a model folder, a .gguf file, or a hub id",
                choices=EMBEDDED_MODELS + SUPPORTED_MODELS,
            ),
        ),
    ),
    (
        "Dataset",
        (
            FormField("dataset", "dataset", "a .jsonl file here, a hub name, or https://…"),
            FormField("split", "split", "of a hub dataset; train if empty"),
            FormField("subset", "subset", "of a hub dataset"),
            FormField(
                "dataset_format",
                "format",
                "how rows are read",
                "choice",
                FORMATS,
            ),
            FormField("test_size", "held out", "share kept for the eval loss, 0.1", "number"),
            FormField("train_on_responses_only", "answers only",
                      "yes: learn the answers; no: all of the text", "bool", YES_NO),
        ),
    ),
    (
        "LoRA",
        (
            FormField("lora_r", "rank r", "size of the adapter, 8 to 64", "number"),
            FormField("lora_alpha", "alpha", "scaling, often r or 2r", "number"),
            FormField("max_length", "max length", "tokens of an example", "number"),
        ),
    ),
    (
        "Training",
        (
            FormField("max_steps", "max steps", "optimiser steps", "number"),
            FormField("num_train_epochs", "epochs", "instead of steps", "number"),
            FormField("learning_rate", "learning rate", "tiny model 1e-2, large 2e-4", "number"),
            FormField("batch_size", "batch size", "examples a step", "number"),
            FormField("warmup_steps", "warm-up", "steps of rising rate", "number"),
            FormField(
                "lr_scheduler_type",
                "schedule",
                "of the learning rate",
                "choice",
                ("linear", "cosine", "constant"),
            ),
            FormField("weight_decay", "weight decay", "0 is common for LoRA", "number"),
            FormField("logging_steps", "log every", "steps", "number"),
            FormField("eval_steps", "eval every", "steps", "number"),
            FormField("save_steps", "save every", "steps: a checkpoint to talk to", "number"),
            FormField("seed", "seed", "the same seed, the same run", "number"),
        ),
    ),
    (
        "Guards",
        (
            FormField("guard_ceiling", "ceiling", "stop above this loss, such as 5", "number"),
            FormField("guard_window", "window", "judge the ceiling by the mean of 10", "number"),
            FormField("guard_patience", "patience", "stop after 30 logs without a better loss",
                      "number"),
            FormField("guard_metric", "metric", "what ceiling and patience look at", "choice",
                      ("loss", "eval_loss")),
            FormField("guard_non_finite", "non-finite", "yes: stop when the loss is no number",
                      "bool", YES_NO),
            FormField("guard_action", "stop", "now, or after the next checkpoint", "choice",
                      ("now", "checkpoint")),
        ),
    ),
    (
        "Golden prompts",
        (
            FormField("prompts", "prompts",
                      "one a line, asked at every checkpoint with the system prompt of the rows; "
                      "“prompt => text” wants that text",
                      "lines"),
        ),
    ),
    (
        "Notifications",
        (
            FormField("notify", "tell", "slack, discord, webhook, apprise, bell",
                      choices=SERVICES),
        ),
    ),
)  # fmt: skip
FIELDS: dict[str, FormField] = {item.name: item for _, items in FORM for item in items}
PRESETS: dict[str, dict[str, str]] = {
    "tiny model, a quick look": {
        "model": "arkor-tui/tiny", "learning_rate": "0.01", "lora_r": "16", "lora_alpha": "32",
        "max_steps": "50", "batch_size": "16", "save_steps": "25", "eval_steps": "25",
        "lr_scheduler_type": "linear", "weight_decay": "0",
    },
    "tiny model, thorough": {
        "model": "arkor-tui/tiny", "learning_rate": "0.01", "lora_r": "16", "lora_alpha": "32",
        "max_steps": "200", "batch_size": "16", "save_steps": "25", "eval_steps": "25",
        "lr_scheduler_type": "linear", "weight_decay": "0",
    },
    "Arkor's cloud, gemma": {
        "model": "unsloth/gemma-4-E4B-it", "dataset": "arkorlab/triage-demo",
        "learning_rate": "0.0002", "lora_r": "16", "lora_alpha": "16", "max_steps": "100",
        "batch_size": "4", "save_steps": "25", "eval_steps": "25", "max_length": "2048",
    },
}  # fmt: skip
"""Settings that go together; whatever they do not name stays as it is in the form."""
BLANK: dict[str, str] = {"name": "my-run", "model": "", "dataset": ""}

_OTHER_NAMES = {
    "datasetSource": "dataset",
    "datasetSplit": "test_size",
    "datasetSplit.seed": "seed",
}


def field_of(path: str) -> str | None:
    """The field of the form that a backend means by ``config.maxSteps``; None if there is none."""
    path = path.removeprefix("config.")
    name = path.split(".")[0]
    known = (
        _OTHER_NAMES.get(path)
        or _OTHER_NAMES.get(name)
        or re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    )
    return known if known in FIELDS else None


def on_backend(field: FormField, backend: str) -> FormField:
    """The field with the choices that exist on ``backend``: ``local``, ``cloud``, or an address,
    of which nobody knows what it has."""
    if field.name != "model":
        return field
    if backend == "local":
        return replace(field, choices=EMBEDDED_MODELS)
    if backend == "cloud":
        return replace(field, hint="a base model of Arkor's cloud", choices=SUPPORTED_MODELS)
    return field
