"""Checks ``POST /v1/jobs`` field by field (docs/protocol.md, section 4).

Every setting does what it says or is refused by name; all wrong fields are told at once. What the
fields are stands in the table of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from arkor_tui import params
from arkor_tui.api.parameters import model_of, value_in
from arkor_tui.datasets.formats import COLUMNS
from arkor_tui.params import PARAMETERS, Parameter
from arkor_tui.text.redact import redact_config
from arkor_tui.text.sanitize import plain

from .jobsource import check_source
from .models import BaseModel as FoundModel
from .models import ModelRegistry, UnknownModelError
from .spec import SETTINGS, DatasetSpec, Every, TrainingSpec, default_of

_NAME_LIMIT = 200  # characters
_LARGEST_COUNT = 1_000_000
_STEPS = params.Whole(0, _LARGEST_COUNT)


class InvalidConfigError(ValueError):
    """``fields`` maps each wrong field's path to what is wrong with it."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        super().__init__("; ".join(f"{name} {text}" for name, text in self.fields.items()))


def check_job(
    body: Any,
    models: ModelRegistry,
    datasets: Mapping[str, Path],
    *,
    may_name_files: bool = True,
) -> tuple[str, dict[str, Any], TrainingSpec]:
    """The job's name, its configuration as it may be shown, and the checked settings.

    ``datasets`` maps hub names to files. Without ``may_name_files`` neither dataset nor model may
    be a path: whoever asks would read this user's files. Blocking: looks at files, and may ask the
    hub.

    Raises:
        InvalidConfigError: with every wrong field.
    """
    if not isinstance(body, dict):
        raise InvalidConfigError({"body": "must be a JSON object with name and config"})
    wrong: dict[str, str] = {}
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME_LIMIT:
        wrong["name"] = f"must be a text of 1 to {_NAME_LIMIT} characters"
    config = body.get("config")
    if not isinstance(config, dict):
        wrong["config"] = "must be an object"
        raise InvalidConfigError(wrong)
    if not may_name_files:
        _refuse_paths(config, wrong)
        if wrong:
            raise InvalidConfigError(wrong)
    spec = _check_config(str(name), config, models, datasets, wrong)
    if spec is None or wrong:
        raise InvalidConfigError(wrong)
    return str(name), redact_config(config), spec


def _refuse_paths(config: dict[str, Any], wrong: dict[str, str]) -> None:
    """What only the owner of this backend may say; others get what it maps for them."""
    model, source = config.get("model"), config.get("datasetSource")
    text = "is a path, which an anonymous identity may not name; see serve --map-"
    if isinstance(model, str) and model.startswith("/"):
        wrong["config.model"] = f"{text}model"
    if isinstance(source, dict) and source.get("type") == "file":
        wrong["config.datasetSource"] = f"{text}dataset"


def _check_config(
    name: str,
    config: dict[str, Any],
    models: ModelRegistry,
    datasets: Mapping[str, Path],
    wrong: dict[str, str],
) -> TrainingSpec | None:
    try:
        checked: Any = _CONFIG.model_validate(config, context=(models, datasets))
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            path = ".".join(str(part) for part in item["loc"])
            wrong[f"config.{plain(path, limit=80, newlines=False)}"] = _said(item)
        return None
    values = {found.name: value_in(checked, found) for found in PARAMETERS.values()}
    kind, columns = values["dataset_format"], values["column_mapping"] or {}
    if kind is None and config.get("datasetFormat") is not None:
        wrong["config.datasetFormat.type"] = "is required"
        return None
    if unknown := set(columns) - set(COLUMNS.get(kind, ())):
        wrong["config.datasetFormat.columnMapping"] = (
            f"of {kind} knows {', '.join(COLUMNS[kind])}, not "
            f"{plain(', '.join(sorted(unknown)), limit=200, newlines=False)}"
        )
        return None
    model: FoundModel = checked.model
    source: DatasetSpec = checked.dataset_source
    held_out = values["test_size"] or PARAMETERS["test_size"].default
    usual = {"learning_rate": model.learning_rate, "max_length": min(model.max_length, 512)}
    settings = {
        setting.spec: usual.get(setting.name, default_of(setting))
        if values[setting.name] is None
        else values[setting.name]
        for setting in SETTINGS
        if setting.spec is not None
    }
    settings["max_length"] = min(settings["max_length"], model.max_length)
    return TrainingSpec(
        name=name,
        model=config["model"],
        model_source=model.source,
        dataset=replace(
            source,
            format=kind,
            column_mapping=dict(columns),
            held_out=held_out if values["split_enabled"] else 0.0,
            split_seed=PARAMETERS["split_seed"].default
            if values["split_seed"] is None
            else values["split_seed"],
        ),
        **settings,
    )


def _said(item: Any) -> str:
    """What is wrong with a field, as the end of a sentence that begins with its name."""
    if item["type"] == "extra_forbidden":
        return "is not a field of this backend"
    if item["type"] == "missing":
        return "is required"
    return str(item["ctx"]["error"])


# values


def _model(value: Any, info: ValidationInfo) -> FoundModel:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a non-empty text")
    models: ModelRegistry = info.context[0]  # type: ignore[index]
    try:
        return models.find(value)
    except UnknownModelError as error:
        raise ValueError(str(error)) from None


def _source(value: Any, info: ValidationInfo) -> DatasetSpec:
    return check_source(value, info.context[1])  # type: ignore[index]


def _checked(parameter: Parameter, value: Any) -> Any:
    """The value as the engine takes it.

    Raises:
        ValueError: it is none, or it is not served here.
    """
    found = _of_kind(parameter.kind, value)
    if parameter.refusal and found is not False:
        raise ValueError(parameter.refusal)
    return found


def _of_kind(kind: params.Kind, value: Any) -> Any:
    match kind:
        case params.Flag():
            if kind.wrapped and isinstance(value, dict) and set(value) == {"enabled"}:
                value = value["enabled"]
            is_right = isinstance(value, bool)
        case params.Choice():
            if isinstance(value, str) and value in kind.refused:
                names = ", ".join(kind.names)
                raise ValueError(f"{value} {kind.refused[value]}; use one of {names}")
            is_right = isinstance(value, str) and value in kind.names
            value = kind.means.get(value, value) if is_right else value
        case params.Names():
            is_right = isinstance(value, list) and all(isinstance(name, str) for name in value)
        case params.Columns():
            is_right = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
        case params.Steps():
            return _every(kind, value)
        case params.Whole():
            number = _finite(value)
            high = _LARGEST_COUNT if kind.high is None else kind.high
            is_right = number == math.floor(number) and kind.low <= number <= high
            value = int(number) if is_right else value
        case params.Real():
            value = _finite(value)
            is_right = kind.low <= value <= kind.high and not (kind.above and value == kind.low)
        case params.Share():
            value = _finite(value)
            is_right = value > 0 and (value < 1 or value == math.floor(value))
    if not is_right:
        raise ValueError(f"must be {kind.words}")
    return value


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a finite number")  # noqa: TRY004 a client's mistake, not ours
    try:
        number = float(value)
    except OverflowError:  # JSON knows no largest number
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _every(kind: params.Steps, value: Any) -> Every:
    if isinstance(value, dict):
        if len(value) != 1 or next(iter(value)) not in ("steps", "ratio"):
            raise ValueError("must have exactly one of steps and ratio")
        if "ratio" in value:
            ratio = _finite(value["ratio"])
            if not (0 < ratio < 1 or (kind.zero_ratio and ratio == 0)):
                raise ValueError("ratio must be between 0 and 1")
            return Every(ratio=ratio)
        value = value["steps"]
    return Every(steps=_of_kind(_STEPS, value))


# the model


class _Strict(BaseModel):
    """Refuses what it does not know; null is as if left out."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        known = {field.alias for field in cls.model_fields.values()}
        return {k: part for k, part in value.items() if part is not None or k not in known}


class _Head(_Strict):
    model: Annotated[Any, PlainValidator(_model)] = Field(alias="model")
    dataset_source: Annotated[Any, PlainValidator(_source)] = Field(alias="datasetSource")


def _field_type(parameter: Parameter) -> tuple[Any, Any]:
    return Annotated[Any, PlainValidator(lambda value: _checked(parameter, value))], None


def _group_type(wire: str, model: type[BaseModel]) -> Any:
    names = [str(field.alias) for field in model.model_fields.values()]

    def as_object(value: Any) -> Any:
        if wire == "datasetFormat" and isinstance(value, str):
            return {"type": value}
        if not isinstance(value, dict):
            text = f"must be an object with {', '.join(names[:-1])} and {names[-1]}"
            raise ValueError(text)  # noqa: TRY004 a client's mistake, not ours
        return value

    return Annotated[model, BeforeValidator(as_object)]


_CONFIG = model_of(_Head, "CheckedConfig", _field_type, _group_type)
