"""Training events: one JSON object per stream frame (docs/protocol.md, section 5)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Strict, ValidationError

from arkor_tui.text.redact import redact_text
from arkor_tui.text.sanitize import plain

from .wire import Timestamp, WireReader, read_json

_LONGEST_PING = 2_000  # characters

Metric = Annotated[float, Strict()] | None
"""A number or None. Strict, because a text such as ``"NaN"`` would become a number otherwise."""
Step = Annotated[int, Field(gt=-(2**53), lt=2**53)]
"""A step that a float can hold, as every JSON reader and the chart take it for one."""


class EventModel(WireReader):
    """What every data frame carries."""

    type: str
    job_id: str = ""
    timestamp: Timestamp = None


class TrainingStarted(EventModel):
    """The backend began to train. ``metadata`` is free-form."""

    type: Literal["training.started"]
    metadata: Any = None


class TrainingResumed(EventModel):
    """Training went on from the checkpoint at ``step``: what was logged after it is void.

    An extension of the embedded backend (docs/protocol.md, section 7).
    """

    type: Literal["training.resumed"]
    step: Step
    metadata: Any = None


class TrainingLog(EventModel):
    """Numbers of one step. Any of them may be None; eval-only and loss-only frames both occur.

    ``loss`` and ``eval_loss`` are mean cross-entropies in nats per trained token. They can be
    infinite (a server may write ``1e309``) but never NaN, which JSON does not have.
    ``non_finite`` is this package's own backend naming what JSON cannot say, such as
    ``{"loss": "nan"}``.
    """

    type: Literal["training.log"]
    step: Step
    loss: Metric = None
    eval_loss: Metric = None
    learning_rate: Metric = None
    epoch: Metric = None
    samples_per_second: Metric = None
    non_finite: dict[str, str] | None = None


class CheckpointSaved(EventModel):
    """An adapter was saved at ``step`` and can be talked to at once."""

    type: Literal["checkpoint.saved"]
    step: Step
    artifacts: list[Any] | None = None


def _number_or_none(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


_Summary = Annotated[float | None, BeforeValidator(_number_or_none)]


class RunMetrics(WireReader):
    """Summary of a completed run; ``total_time`` is seconds."""

    final_loss: _Summary = None
    total_steps: _Summary = None
    total_time: _Summary = None


class TrainingCompleted(EventModel):
    """Training ended well; the final adapter exists."""

    type: Literal["training.completed"]
    artifacts: list[Any] | None = None
    metrics: RunMetrics | None = None


class TrainingFailed(EventModel):
    """Training ended badly, or was cancelled (``error`` is then ``Job cancelled``).

    Addresses in ``error`` have lost login and query, which may be a dataset's secrets.
    """

    type: Literal["training.failed"]
    error: Annotated[str, AfterValidator(redact_text)]
    step: Step | None = None


class UnknownEvent(EventModel):
    """An event of a later protocol: counted as progress, otherwise ignored."""


TrainingEvent = (
    TrainingStarted
    | TrainingResumed
    | TrainingLog
    | CheckpointSaved
    | TrainingCompleted
    | TrainingFailed
)

_MODELS: dict[str, type[TrainingEvent | UnknownEvent]] = {
    "training.started": TrainingStarted,
    "training.resumed": TrainingResumed,
    "training.log": TrainingLog,
    "checkpoint.saved": CheckpointSaved,
    "training.completed": TrainingCompleted,
    "training.failed": TrainingFailed,
}


class MalformedEventError(ValueError):
    """A frame's data is not a JSON object of the protocol; the frame is skipped."""


def parse_event(data: str, name: str = "") -> TrainingEvent | UnknownEvent:
    """Read one frame's ``data``; ``name`` is what the frame calls it, which its type decides.

    JSON is read as JavaScript reads it: the tokens ``NaN`` and ``Infinity`` make the frame
    malformed, while ``1e309`` is infinity. An optional field of a wrong type is dropped rather than
    the frame.

    Raises:
        MalformedEventError: not JSON, not an object, no ``type``, or a required field is missing
            or unusable.
    """
    likely = _MODELS.get(name)
    if likely is None or "NaN" in data or "Infinity" in data:
        return _parse(data)
    try:
        return likely.model_validate_json(data)  # the short way, which nearly all events go
    except ValidationError:
        return _parse(data)


def _parse(data: str) -> TrainingEvent | UnknownEvent:
    """Read an event by the type that its data names."""
    try:
        raw = read_json(data)
    except ValueError as error:
        raise MalformedEventError(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise MalformedEventError(f"not a JSON object but {type(raw).__name__}")
    kind = raw.get("type")
    if not isinstance(kind, str):
        raise MalformedEventError("no type")
    model = _MODELS.get(kind, UnknownEvent)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        return _without_unusable_fields(model, raw, error)


def waits_in(data: str) -> str:
    """Why a job waits, from the ``data`` of a ping of the embedded backend; empty in any other.

    An extension of ours: ``{"waits": "its events cannot be stored: disk is full"}``.
    """
    if not 2 < len(data) <= _LONGEST_PING:
        return ""
    try:
        raw = read_json(data)
    except ValueError:
        return ""
    why = raw.get("waits") if isinstance(raw, dict) else None
    return plain(why, limit=200, newlines=False) if isinstance(why, str) else ""


def _without_unusable_fields(
    model: type[TrainingEvent | UnknownEvent], raw: dict[str, Any], error: ValidationError
) -> TrainingEvent | UnknownEvent:
    """Read again without the optional fields that did not fit."""
    unusable = {str(item["loc"][0]) for item in error.errors(include_url=False) if item["loc"]}
    needed = {name for name, info in model.model_fields.items() if info.is_required()} & unusable
    if needed:
        raise MalformedEventError(f"unusable field: {', '.join(sorted(needed))}") from error
    kept = {name: value for name, value in raw.items() if name not in unusable}
    try:
        return model.model_validate(kept)
    except ValidationError as again:
        raise MalformedEventError(f"unusable event: {again.error_count()} errors") from again


def step_of(event: TrainingEvent | UnknownEvent) -> int | None:
    """The step that an event speaks of; None where it names none, or what is no step."""
    step = getattr(event, "step", None)  # an event of a later protocol may hold anything there
    return step if type(step) is int and abs(step) < 2**53 else None


def is_finite(value: float | None) -> bool:
    """Whether a metric is there and a finite number."""
    return value is not None and math.isfinite(value)
