"""A run as it is typed into a form: checked field by field, and turned into a trainer or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from .config import LoraConfig, TrainerInput
from .create import create_trainer
from .datasets import (
    EMBEDDED_MODELS,
    SUPPORTED_MODELS,
    BlobDataset,
    Dataset,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
)
from .trainer import Trainer


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _yes(value: object) -> object:
    if isinstance(value, str):
        return value.strip().lower() in ("yes", "y", "true", "1", "on")
    return value


def _or(default: str) -> BeforeValidator:
    """An empty field of the form means the usual choice."""

    def fill(value: object) -> object:
        return default if _blank_is_none(value) is None else value

    return BeforeValidator(fill)


_Blank = BeforeValidator(_blank_is_none)
_Whole = Annotated[int | None, _Blank]
_Count = Annotated[Annotated[int, Field(ge=1)] | None, _Blank]
_Share = Annotated[Annotated[float, Field(ge=0, lt=1)] | None, _Blank]
_Positive = Annotated[Annotated[float, Field(gt=0)] | None, _Blank]
_Rate = Annotated[Annotated[float, Field(gt=0, le=10)] | None, _Blank]
_Decay = Annotated[Annotated[float, Field(ge=0)] | None, _Blank]
_Wait = Annotated[Annotated[int, Field(ge=0)] | None, _Blank]
_Text = Annotated[str | None, BeforeValidator(_blank_is_none)]
_Loss = Annotated[Annotated[float, Field(gt=0)] | None, _Blank]
_Yes = Annotated[bool, BeforeValidator(_yes)]
RECIPE_FIELDS = (
    "guard_ceiling", "guard_window", "guard_patience", "guard_metric", "guard_non_finite",
    "guard_action", "prompts", "notify",
)  # fmt: skip
"""What watches over a run, and is no part of its job."""
SERVICES = ("slack", "discord", "webhook", "apprise", "bell")
"""What can be told about a run; the addresses are in the settings, not here."""


class RunDraft(BaseModel):
    """Everything that the form asks for. Counts are steps or examples, lengths are tokens."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    split: _Text = None
    subset: _Text = None
    dataset_format: _Text = "chatml"
    test_size: _Share = 0.1
    train_on_responses_only: Annotated[bool, BeforeValidator(_yes)] = True
    lora_r: Annotated[int, Field(ge=1, le=1024)] = 16
    lora_alpha: Annotated[float, Field(gt=0)] = 32
    max_length: _Count = None
    max_steps: _Count = 100
    num_train_epochs: _Positive = None
    learning_rate: _Rate = 2e-4
    batch_size: _Count = 16
    weight_decay: _Decay = None
    lr_scheduler_type: _Text = None
    warmup_steps: _Wait = 10
    logging_steps: _Count = 5
    eval_steps: _Count = 25
    save_steps: _Count = 25
    seed: _Whole = 42
    guard_ceiling: _Loss = None
    guard_window: _Count = None
    guard_patience: _Count = None
    guard_metric: Annotated[Literal["loss", "eval_loss"], _or("loss")] = "loss"
    guard_non_finite: _Yes = False
    guard_action: Annotated[Literal["now", "checkpoint"], _or("now")] = "now"
    prompts: str = ""
    notify: str = ""

    @field_validator("notify")
    @classmethod
    def _services_exist(cls, value: str) -> str:
        names = value.replace(",", " ").lower().split()
        unknown = sorted(set(names).difference(SERVICES))
        if unknown:
            raise ValueError(f"no service {unknown[0]}: {', '.join(SERVICES)}")
        return ", ".join(dict.fromkeys(names))

    @field_validator("prompts")
    @classmethod
    def _prompts_are_complete(cls, value: str) -> str:
        for number, line in enumerate(value.splitlines(), 1):
            text, arrow, _ = line.partition(EXPECTS)
            if arrow and not text.strip():
                raise ValueError(f"line {number} expects something of no prompt")
        return value

    @property
    def golden_prompts(self) -> list[tuple[str, str]]:
        """Each prompt, and what its answer has to contain (empty: anything)."""
        found = []
        for line in self.prompts.splitlines():
            text, _, expected = line.partition(EXPECTS)
            if text.strip():
                found.append((text.strip(), expected.strip()))
        return found

    @property
    def has_guard(self) -> bool:
        """Whether a rule may stop the run."""
        limits = (self.guard_ceiling, self.guard_patience)
        return self.guard_non_finite or any(limit is not None for limit in limits)

    @property
    def has_recipes(self) -> bool:
        """Whether guards, golden prompts or notifications were set up."""
        return self.has_guard or bool(self.golden_prompts) or bool(self.notify)

    @field_validator("dataset")
    @classmethod
    def _an_address_is_https(cls, value: str) -> str:
        if value.startswith("http://"):
            raise ValueError("must begin with https://")
        return value


FieldKind = Literal["text", "number", "bool", "choice", "lines"]
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
                ("chatml", "sharegpt", "alpaca", "prompt_completion", "text"),
            ),
            FormField("test_size", "held out", "share kept for the eval loss, 0.1", "number"),
            FormField("train_on_responses_only", "answers only", "yes: learn the answers", "bool"),
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
                      "bool"),
            FormField("guard_action", "stop", "now, or after the next checkpoint", "choice",
                      ("now", "checkpoint")),
        ),
    ),
    (
        "Golden prompts",
        (
            FormField("prompts", "prompts",
                      "one a line, asked at every checkpoint; “prompt => text” wants that text",
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


def text_of(value: object) -> str:
    """A value as it stands in the form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def defaults() -> dict[str, str]:
    """The form as it is when nothing is known."""
    texts = {name: text_of(info.default) for name, info in RunDraft.model_fields.items()}
    return {**texts, **BLANK}


def check(texts: Mapping[str, str]) -> tuple[RunDraft | None, dict[str, str]]:
    """The draft, or what is wrong with which field."""
    try:
        draft = RunDraft.model_validate(dict(texts))
    except ValidationError as error:
        wrong = {
            str(item["loc"][0]): _plainly(item)
            for item in error.errors(include_url=False)
            if item["loc"]
        }
        return None, wrong
    if draft.max_steps is None and draft.num_train_epochs is None:
        return None, {"max_steps": "give steps or epochs"}
    if draft.guard_window is not None and draft.guard_ceiling is None:
        return None, {"guard_ceiling": "a window needs a ceiling"}
    return draft, {}


def _plainly(item: Mapping[str, Any]) -> str:
    kind, ctx = item["type"], item.get("ctx", {})
    simple = {
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "string_too_short": "must not be empty",
        "missing": "must not be empty",
    }
    if kind in simple:
        return simple[kind]
    if kind == "literal_error":
        return f"one of: {ctx.get('expected', '')}".replace("'", "")
    for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if name in ctx:
            return f"{words} {ctx[name]:g}"
    return str(item["msg"]).removeprefix("Value error, ")


def from_settings(settings: TrainerInput) -> dict[str, str]:
    """The form for a trainer's settings."""
    lora = settings.lora
    split = settings.dataset_split or {}
    form = settings.dataset_format
    model = settings.model
    values: dict[str, object] = {
        "name": settings.name,
        "model": str(model.location) if isinstance(model, LocalModel) else model,
        **_dataset_texts(settings.dataset),
        "dataset_format": form.get("type") if isinstance(form, Mapping) else form,
        "test_size": split.get("test_size", split.get("testSize")) if split else None,
        "train_on_responses_only": settings.train_on_responses_only or False,
        "lora_r": lora.r if lora else 16,
        "lora_alpha": lora.alpha if lora else 16,
        "max_length": lora.max_length if lora else None,
        **{name: getattr(settings, name) for name in _SAME},
        **{name: _steps(getattr(settings, name)) for name in _STEPS},
    }
    return _whole_form(values)


_SAME = (
    "max_steps", "num_train_epochs", "learning_rate", "batch_size", "weight_decay",
    "lr_scheduler_type", "seed",
)  # fmt: skip
_STEPS = ("warmup_steps", "logging_steps", "eval_steps", "save_steps")


def _steps(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get("steps")
    return getattr(value, "steps", value)


def _dataset_texts(dataset: Dataset) -> dict[str, object]:
    if isinstance(dataset, HuggingFaceDataset):
        return {"dataset": dataset.name, "split": dataset.split, "subset": dataset.subset}
    return {"dataset": dataset.url if isinstance(dataset, BlobDataset) else str(dataset.path)}


def from_config(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The form for an archived job's configuration as it was sent."""
    source = config.get("datasetSource")
    source = source if isinstance(source, Mapping) else {}
    split = config.get("datasetSplit")
    split = split if isinstance(split, Mapping) else {}
    form = config.get("datasetFormat")
    responses = config.get("trainOnResponsesOnly")
    if isinstance(responses, Mapping):
        responses = responses.get("enabled", True)
    values: dict[str, object] = {
        "name": name,
        "model": config.get("model"),
        "dataset": source.get("path") or source.get("name") or source.get("url"),
        "split": source.get("split"),
        "subset": source.get("subset"),
        "dataset_format": form.get("type") if isinstance(form, Mapping) else form,
        "test_size": split.get("testSize"),
        "train_on_responses_only": bool(responses),
        "lora_r": config.get("loraR", 16),
        "lora_alpha": config.get("loraAlpha", 16),
        "max_length": config.get("maxLength"),
    }
    for field in (*_SAME, *_STEPS):
        head, *rest = field.split("_")
        wire = head + "".join(part.title() for part in rest)
        values[field] = _steps(config.get(wire))
    return _whole_form(values)


def _whole_form(values: Mapping[str, object]) -> dict[str, str]:
    """Empty where nothing is known, but for what a job's configuration does not hold."""
    usual = defaults()
    empty = {name: usual[name] if name in RECIPE_FIELDS else "" for name in FIELDS}
    return {**empty, **{name: text_of(value) for name, value in values.items()}}


def dataset_of(draft: RunDraft) -> Dataset:
    """What the dataset field means: an address, a file, or a name on the hub."""
    text = draft.dataset
    if text.startswith("https://"):
        return BlobDataset(text)
    if text.endswith((".jsonl", ".json")) or text.startswith(("/", "./", "../", "~")):
        return FileDataset(text)
    return HuggingFaceDataset(text, draft.split, draft.subset)


def model_of(draft: RunDraft) -> str | LocalModel:
    """A model that a backend has by name, or one of this machine."""
    known = draft.model in EMBEDDED_MODELS + SUPPORTED_MODELS
    return draft.model if known else LocalModel(draft.model)


def arguments(draft: RunDraft) -> dict[str, Any]:
    """The draft as arguments of ``create_trainer``."""
    settings: dict[str, Any] = {
        "name": draft.name,
        "model": model_of(draft),
        "dataset": dataset_of(draft),
        "lora": LoraConfig(draft.lora_r, draft.lora_alpha, draft.max_length),
        "dataset_format": {"type": draft.dataset_format} if draft.dataset_format else None,
        "dataset_split": {"enabled": True, "test_size": draft.test_size, "seed": draft.seed or 0}
        if draft.test_size
        else None,
        "train_on_responses_only": draft.train_on_responses_only or None,
        **{name: getattr(draft, name) for name in (*_SAME, *_STEPS)},
    }
    return {name: value for name, value in settings.items() if value is not None}


def to_trainer(draft: RunDraft) -> Trainer:
    """A trainer with these settings and no callbacks."""
    return create_trainer(**arguments(draft))
