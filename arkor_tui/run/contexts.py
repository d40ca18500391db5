"""What a callback is told with each event, and how that is made of the event itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from arkor_tui.api.chat import AdapterRef
from arkor_tui.api.events import (
    CheckpointSaved,
    RunMetrics,
    TrainingCompleted,
    TrainingEvent,
    TrainingFailed,
    TrainingLog,
    TrainingResumed,
    TrainingStarted,
    UnknownEvent,
)
from arkor_tui.api.jobs import Job
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.target import Kind, Target


@dataclass(frozen=True, slots=True)
class StartedContext:
    """The backend began to train. ``infer`` talks to the base model, untuned.

    ``event_id`` is the stream's id of the event and ``timestamp`` its ISO 8601 time on the backend,
    here and below.
    """

    job: Job
    infer: Infer
    event_id: str | None = None
    metadata: Any = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class LogContext:
    """Numbers of one step; any may be None.

    ``loss`` and ``eval_loss`` are nats per trained token and can be infinite, ``epoch`` counts
    passes over the data, ``non_finite`` names what could not be told as a number, and ``extra``
    holds whatever else the backend sent, under its wire names.
    """

    job: Job
    step: int
    loss: float | None = None
    eval_loss: float | None = None
    learning_rate: float | None = None
    epoch: float | None = None
    samples_per_second: float | None = None
    non_finite: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    event_id: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class CheckpointContext:
    """A checkpoint was saved. ``infer`` talks to exactly this one, while training goes on."""

    job: Job
    step: int
    adapter: AdapterRef
    infer: Infer
    artifacts: list[Any] | None = None
    event_id: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class CompletedContext:
    """Training ended well. ``infer`` talks to the final adapter."""

    job: Job
    artifacts: list[Any]
    infer: Infer
    metrics: RunMetrics | None = None
    event_id: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class FailedContext:
    """Training failed, or was cancelled. ``step`` is where, if the backend said so."""

    job: Job
    error: str
    step: int | None = None
    event_id: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class ResumedContext:
    """Training went on from the checkpoint at ``step``: what was logged after it is void."""

    job: Job
    step: int
    event_id: str | None = None
    timestamp: str | None = None


Context = (
    StartedContext
    | ResumedContext
    | LogContext
    | CheckpointContext
    | CompletedContext
    | FailedContext
)
Talk = Callable[[Target], Infer]
"""How to talk to a target of the run."""


def target_of(job: Job, kind: Kind, step: int | None = None) -> Target:
    """A target of a job, whether it is there or not."""
    return Target(kind, step, job.config.model, job.id, job.name)


def context_of(
    event: TrainingEvent | UnknownEvent, job: Job, event_id: str | None, talk: Talk
) -> Context | None:
    """What callbacks are told of an event; None for an event of a later protocol."""
    at = event.timestamp
    if isinstance(event, TrainingLog):
        return LogContext(
            job,
            event.step,
            event.loss,
            event.eval_loss,
            event.learning_rate,
            event.epoch,
            event.samples_per_second,
            event.non_finite or {},
            event.extra,
            event_id,
            at,
        )
    if isinstance(event, CheckpointSaved):
        infer = talk(target_of(job, "checkpoint", event.step))
        adapter = AdapterRef(kind="checkpoint", job_id=job.id, step=event.step)
        return CheckpointContext(job, event.step, adapter, infer, event.artifacts, event_id, at)
    if isinstance(event, TrainingStarted):
        return StartedContext(job, talk(target_of(job, "base")), event_id, event.metadata, at)
    if isinstance(event, TrainingResumed):
        return ResumedContext(job, event.step, event_id, at)
    if isinstance(event, TrainingCompleted):
        final = talk(target_of(job, "final"))
        return CompletedContext(job, event.artifacts or [], final, event.metrics, event_id, at)
    if isinstance(event, TrainingFailed):
        return FailedContext(job, event.error, event.step, event_id, at)
    return None
