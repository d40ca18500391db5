"""The form of a run: its fields, what each may hold, and settings that go together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from arkor_tui import params
from arkor_tui.datasets.sources import EMBEDDED_MODELS, SUPPORTED_MODELS
from arkor_tui.params import PARAMETERS

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


_KINDS: dict[type, FieldKind] = {
    params.Whole: "number",
    params.Real: "number",
    params.Share: "number",
    params.Steps: "number",
    params.Flag: "bool",
    params.Choice: "choice",
}


def _parameters(group: str) -> tuple[FormField, ...]:
    """The fields of the parameters in this part of the form."""
    return tuple(
        FormField(
            found.name, found.label, found.hint, _KINDS.get(type(found.kind), "text"), found.choices
        )
        for found in PARAMETERS.values()
        if found.group == group and found.in_form
    )


_DATASET = (
    FormField("dataset", "dataset", "a .jsonl file here, a hub name, or https://…"),
    FormField("split", "split", "of a hub dataset; train if empty"),
    FormField("subset", "subset", "of a hub dataset"),
)
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
    *(
        (group, (*(_DATASET if group == "Dataset" else ()), *_parameters(group)))
        for group in dict.fromkeys(found.group for found in PARAMETERS.values())
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


def field_of(path: str) -> str | None:
    """The field of the form that a backend means by ``config.maxSteps``; None if there is none."""
    path = path.removeprefix("config.")
    if path in ("name", "model") or path.startswith("datasetSource"):
        return "dataset" if path.startswith("dataset") else path
    if path == "datasetSplit" or path.startswith("datasetSplit.enabled"):
        return "test_size"
    for found in PARAMETERS.values():
        if found.in_form and (found.wire == path or found.wire.startswith(f"{path}.")):
            return found.name
    return None


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
