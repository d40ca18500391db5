"""A run as it is typed into a form: checked field by field, and turned into a trainer or a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from arkor_tui.datasets.formats import FORMATS
from arkor_tui.datasets.layout import Layout
from arkor_tui.datasets.sources import (
    EMBEDDED_MODELS,
    SUPPORTED_MODELS,
    BlobDataset,
    Dataset,
    FileDataset,
    HuggingFaceDataset,
    LocalModel,
)

from .config import LoraConfig, TrainerInput
from .create import create_trainer
from .form import BLANK, EXPECTS, FIELDS, SERVICES
from .trainer import Trainer


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _yes(value: object) -> object:
    """Yes and no as people write them; any other word is a mistake, and never taken for a no."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in ("yes", "y", "true", "1", "on"):
        return True
    if word in ("no", "n", "false", "0", "off"):
        return False
    raise ValueError("yes or no")


def _or(default: str) -> BeforeValidator:
    """An empty field of the form means the usual choice."""

    def fill(value: object) -> object:
        return default if _blank_is_none(value) is None else value

    return BeforeValidator(fill)


def _one_format(value: object) -> object:
    if isinstance(value, str) and value.strip() and value.strip() not in FORMATS:
        raise ValueError(f"one of: {', '.join(FORMATS)}")
    return value


_Blank = BeforeValidator(_blank_is_none)
_Seed = Annotated[Annotated[int, Field(ge=0, le=2**32 - 1)] | None, _Blank]
_Count = Annotated[Annotated[int, Field(ge=1)] | None, _Blank]
_Share = Annotated[Annotated[float, Field(ge=0, lt=1)] | None, _Blank]
_Positive = Annotated[Annotated[float, Field(gt=0)] | None, _Blank]
_Rate = Annotated[Annotated[float, Field(gt=0, le=10)] | None, _Blank]
_Decay = Annotated[Annotated[float, Field(ge=0)] | None, _Blank]
_Wait = Annotated[Annotated[int, Field(ge=0)] | None, _Blank]
_Text = Annotated[str | None, BeforeValidator(_blank_is_none)]
_Loss = Annotated[Annotated[float, Field(gt=0)] | None, _Blank]
_Yes = Annotated[bool, BeforeValidator(_yes), _or("no")]  # the last one looks first
RECIPE_FIELDS = (
    "guard_ceiling", "guard_window", "guard_patience", "guard_metric", "guard_non_finite",
    "guard_action", "prompts", "notify",
)  # fmt: skip
"""What watches over a run, and is no part of its job."""


class RunDraft(BaseModel):
    """Everything that the form asks for. Counts are steps or examples, lengths are tokens."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    split: _Text = None
    subset: _Text = None
    dataset_format: Annotated[_Text, BeforeValidator(_one_format)] = "chatml"
    test_size: _Share = 0.1
    train_on_responses_only: Annotated[bool, BeforeValidator(_yes), _or("yes")] = True
    lora_r: Annotated[int, Field(ge=1, le=512)] = 16
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
    seed: _Seed = 42
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
        "int_parsing_size": "a whole number of fewer digits",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "string_too_short": "must not be empty",
        "missing": "must not be empty",
    }
    if kind in simple:
        return simple[kind]
    if kind == "literal_error":
        return f"one of: {ctx.get('expected', '')}".replace("'", "")
    if kind == "string_too_long":
        return f"at most {ctx['max_length']} characters"
    for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if name in ctx:
            return f"{words} {ctx[name]:.15g}"
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
    if isinstance(dataset, BlobDataset):
        return {"dataset": dataset.shown_url}  # the rest comes back by with_secrets_of
    return {"dataset": str(dataset.path)}


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
    return _dataset(draft.dataset, draft.split, draft.subset)


def dataset_in(texts: Mapping[str, str]) -> Dataset | None:
    """The dataset of a form whose other fields may be wrong; None where none is named."""
    text = texts.get("dataset", "").strip()
    if not text or text.startswith("http://"):
        return None
    return _dataset(text, texts.get("split") or None, texts.get("subset") or None)


def _dataset(text: str, split: str | None, subset: str | None) -> Dataset:
    if text.startswith("https://"):
        return BlobDataset(text)
    if text.endswith((".jsonl", ".json")) or text.startswith(("/", "./", "../", "~")):
        return FileDataset(text)
    return HuggingFaceDataset(text, split, subset)


def layout_in(texts: Mapping[str, str]) -> Layout | None:
    """How the rows of a form's dataset are laid out, whatever else is wrong; None if unknown."""
    return Layout.of(texts.get("dataset_format", "").strip() or None)


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


def with_secrets_of(file: TrainerInput, form: TrainerInput) -> TrainerInput:
    """``form`` with the token and the whole address of the dataset in ``file``, if it is that one.

    A form shows neither, so that no picture of it holds them.
    """
    dataset, named = file.dataset, form.dataset
    is_same = isinstance(dataset, BlobDataset) and named == BlobDataset(dataset.shown_url)
    return form.changed(dataset=dataset) if is_same else form


def to_trainer(draft: RunDraft) -> Trainer:
    """A trainer with these settings and no callbacks."""
    return create_trainer(**arguments(draft))
