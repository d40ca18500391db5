"""A run as it is typed into a form: checked field by field, and turned into a trainer or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
)

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
from arkor_tui.params import PARAMETERS, in_arguments, in_config

from .config import LoraConfig, TrainerInput
from .create import create_trainer
from .fieldtext import blank_is_none, parameter_text, text_of, typed_as, yes_or_no
from .form import BLANK, EXPECTS, FIELDS, SERVICES
from .trainer import Trainer


def _or(default: str) -> BeforeValidator:
    """An empty field of the form means the usual choice."""

    def fill(value: object) -> object:
        return default if blank_is_none(value) is None else value

    return BeforeValidator(fill)


_Blank = BeforeValidator(blank_is_none)
_Count = Annotated[Annotated[int, Field(ge=1)] | None, _Blank]
_Text = Annotated[str | None, _Blank]
_Loss = Annotated[Annotated[float, Field(gt=0)] | None, _Blank]
_Yes = Annotated[bool, BeforeValidator(yes_or_no), _or("no")]  # the last one looks first
_COLUMNS: TypeAdapter[Any] = TypeAdapter(typed_as(PARAMETERS["column_mapping"]))
_HUB = "hub:"
"""Before a hub name that would be taken for a file."""
RECIPE_FIELDS = (
    "guard_ceiling", "guard_window", "guard_patience", "guard_metric", "guard_non_finite",
    "guard_action", "prompts", "notify",
)  # fmt: skip
"""What watches over a run, and is no part of its job."""


class _Draft(BaseModel):
    """What a run is beside its parameters, and what watches over it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(min_length=1)]
    dataset: Annotated[str, Field(min_length=1)]
    split: _Text = None
    subset: _Text = None
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
        if not value.removeprefix(_HUB).strip():
            raise ValueError("must not be empty")
        return value

    @property
    def parameters(self) -> dict[str, Any]:
        """What each parameter is, by its name; without those that are left to the backend."""
        found = {name: getattr(self, name) for name in _IN_FORM}
        return {name: value for name, value in found.items() if value is not None}


_IN_FORM = {name: found for name, found in PARAMETERS.items() if found.in_form}

if TYPE_CHECKING:

    class RunDraft(_Draft):
        """Everything that the form asks for, with each parameter of ``arkor_tui.params``."""

        def __getattr__(self, name: str) -> Any: ...

else:
    RunDraft = create_model(
        "RunDraft",
        __base__=_Draft,
        **{name: (typed_as(found), None) for name, found in _IN_FORM.items()},
    )


def defaults() -> dict[str, str]:
    """The form as it is when nothing is known."""
    watching = {name: text_of(_Draft.model_fields[name].default) for name in RECIPE_FIELDS}
    starts = {name: found.start for name, found in _IN_FORM.items()}
    return {name: {**watching, **starts, **BLANK}.get(name, "") for name in FIELDS}


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
    if draft.guard_window is not None and draft.guard_ceiling is None:
        return None, {"guard_ceiling": "a window needs a ceiling"}
    wrong = _apart(draft)
    return (None, wrong) if wrong else (draft, {})


def _apart(draft: RunDraft) -> dict[str, str]:
    """Fields that say nothing without another: what is shown is sent, or told to be wrong."""
    given = draft.parameters
    wrong: dict[str, str] = {}
    if not isinstance(dataset_of(draft), HuggingFaceDataset):
        text = "only a hub dataset has one"
        wrong |= {name: text for name in ("split", "subset") if getattr(draft, name) is not None}
    if "column_mapping" in given and "dataset_format" not in given:
        wrong["dataset_format"] = "columns need a format"
    if "split_seed" in given and not given.get("test_size"):
        wrong["test_size"] = "a held-out seed needs a share"
    lora = [name for name in given if PARAMETERS[name].path[0] == "lora"]
    if lora:
        label = PARAMETERS[lora[-1]].label
        needed = [name for name in ("lora_r", "lora_alpha") if name not in given]
        wrong |= dict.fromkeys(needed, f"{label} needs it")
    return wrong


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
    model = settings.model
    texts = {
        "name": settings.name,
        "model": model if isinstance(model, str) else _model_text(model),
    }
    found = in_arguments(settings.parameters)
    if "test_size" in found:
        found.setdefault("split_enabled", True)
    return {**_whole_form(found), **texts, **_dataset_texts(settings.dataset)}


def from_config(name: str, config: Mapping[str, Any]) -> dict[str, str]:
    """The form for an archived job's configuration as it was sent."""
    found = in_config(config)
    if "test_size" in found:
        found.setdefault("split_enabled", False)
    model = {"name": name, "model": text_of(config.get("model"))}
    return {**_whole_form(found), **model, **_source_texts(config.get("datasetSource"))}


def _whole_form(found: dict[str, Any]) -> dict[str, str]:
    """Empty where nothing is known, but for what a job's configuration does not hold."""
    enabled = found.pop("split_enabled", None)
    if enabled is False:
        found["test_size"] = 0
        found.pop("split_seed", None)
    elif enabled is not None:
        found.setdefault("test_size", PARAMETERS["test_size"].default)
    if any(PARAMETERS[name].path[0] == "lora" for name in found):
        for name in ("lora_r", "lora_alpha"):
            found.setdefault(name, PARAMETERS[name].default)
    usual = defaults()
    empty = {name: usual[name] if name in RECIPE_FIELDS else "" for name in FIELDS}
    texts = {name: parameter_text(PARAMETERS[name].kind, value) for name, value in found.items()}
    return {**empty, **texts}


def unknown_in(config: Mapping[str, Any]) -> list[str]:
    """Fields of an archived configuration that no form and no trainer can send."""
    known = {found.wire.split(".")[0] for found in PARAMETERS.values()}
    return sorted(str(name) for name in set(config) - known - {"model", "datasetSource"})


def _model_text(model: LocalModel) -> str:
    """A path that is one whatever its name looks like."""
    text = str(model.location)
    is_path = isinstance(model.location, Path)
    looks = text.startswith(("/", "./", "../", "~")) or text.endswith(".gguf")
    return f"./{text}" if is_path and not looks else text


def _source_texts(source: object) -> dict[str, str]:
    source = source if isinstance(source, Mapping) else {}
    if source.get("type") == "blob":
        return _dataset_texts(BlobDataset(str(source.get("url", ""))))
    if source.get("type") == "file":
        return _dataset_texts(FileDataset(str(source.get("path", ""))))
    parts = {name: source.get(name) for name in ("name", "split", "subset")}
    known = {name: str(part) for name, part in parts.items() if part is not None}
    return _dataset_texts(HuggingFaceDataset(**{"name": "", **known}))


def _dataset_texts(dataset: Dataset) -> dict[str, str]:
    """The texts that :func:`dataset_of` reads as this dataset, but for what is secret in it."""
    if isinstance(dataset, HuggingFaceDataset):
        text = dataset.name
        text = text if isinstance(_dataset(text), HuggingFaceDataset) else f"{_HUB}{text}"
        return {"dataset": text, "split": dataset.split or "", "subset": dataset.subset or ""}
    if isinstance(dataset, BlobDataset):
        return {"dataset": dataset.shown_url}  # the rest comes back by with_secrets_of
    text = str(dataset.path)
    return {"dataset": text if isinstance(_dataset(text), FileDataset) else f"./{text}"}


def dataset_of(draft: RunDraft) -> Dataset:
    """What the dataset field means: an address, a file, or a name on the hub."""
    return _dataset(draft.dataset, draft.split, draft.subset)


def dataset_in(texts: Mapping[str, str]) -> Dataset | None:
    """The dataset of a form whose other fields may be wrong; None where none is named."""
    text = texts.get("dataset", "").strip()
    if not text or text.startswith("http://"):
        return None
    return _dataset(text, texts.get("split") or None, texts.get("subset") or None)


def _dataset(text: str, split: str | None = None, subset: str | None = None) -> Dataset:
    if text.startswith("https://"):
        return BlobDataset(text)
    if text.startswith(_HUB):
        return HuggingFaceDataset(text.removeprefix(_HUB), split, subset)
    if text.endswith((".jsonl", ".json")) or text.startswith(("/", "./", "../", "~")):
        return FileDataset(text)
    return HuggingFaceDataset(text, split, subset)


def layout_in(texts: Mapping[str, str]) -> Layout | None:
    """How the rows of a form's dataset are laid out, whatever else is wrong; None if unknown."""
    kind = texts.get("dataset_format", "").strip()
    try:
        columns = _COLUMNS.validate_python(texts.get("column_mapping"))
    except ValidationError:
        return None
    return Layout.of({"type": kind, "column_mapping": columns} if kind else None)


def model_of(draft: RunDraft) -> str | LocalModel:
    """A model that a backend has by name, or one of this machine."""
    known = draft.model in EMBEDDED_MODELS + SUPPORTED_MODELS
    return draft.model if known else LocalModel(draft.model)


def arguments(draft: RunDraft) -> dict[str, Any]:
    """The draft as arguments of ``create_trainer``."""
    nested: dict[str, Any] = {}
    for name, value in draft.parameters.items():
        first, *inner = PARAMETERS[name].path
        if inner:
            nested.setdefault(first, {})[inner[0]] = value
        else:
            nested[first] = value
    if "lora" in nested:
        nested["lora"] = LoraConfig(**nested["lora"])
    if (split := nested.get("dataset_split")) is not None:
        held_out = split["test_size"]
        nested["dataset_split"] = {"enabled": True, **split} if held_out else {"enabled": False}
    return {"name": draft.name, "model": model_of(draft), "dataset": dataset_of(draft), **nested}


def with_secrets_of(file: TrainerInput, form: TrainerInput) -> TrainerInput:
    """``form`` with the token and the whole address of the dataset in ``file``, if it is that one.

    A form shows neither, so that no picture of it holds them.
    """
    dataset, named = file.dataset, form.dataset
    is_same = isinstance(dataset, BlobDataset) and named == BlobDataset(dataset.shown_url)
    return form.changed(dataset=dataset) if is_same else form


def to_settings(draft: RunDraft) -> TrainerInput:
    """The draft as what a trainer sends."""
    given = arguments(draft)
    own = {part: given.pop(part) for part in ("name", "model", "dataset")}
    return TrainerInput.of(**own, parameters=given)


def to_trainer(draft: RunDraft) -> Trainer:
    """A trainer with these settings and no callbacks."""
    return create_trainer(**arguments(draft))
