"""The five lifecycle callbacks, as a class or as plain functions (protocol reference, 5)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from arkor_tui.api.chat import AdapterRef
from arkor_tui.api.events import RunMetrics
from arkor_tui.api.jobs import Job
from arkor_tui.errors import ArkorTuiError

from .infer import Infer


@dataclass(frozen=True, slots=True)
class StartedContext:
    """The backend began to train. ``infer`` talks to the base model, untuned.

    ``event_id`` is the stream's id of the event, here and below.
    """

    job: Job
    infer: Infer
    event_id: str | None = None
    metadata: Any = None


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


@dataclass(frozen=True, slots=True)
class CheckpointContext:
    """A checkpoint was saved. ``infer`` talks to exactly this one, while training goes on."""

    job: Job
    step: int
    adapter: AdapterRef
    infer: Infer
    artifacts: list[Any] | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CompletedContext:
    """Training ended well. ``infer`` talks to the final adapter."""

    job: Job
    artifacts: list[Any]
    infer: Infer
    metrics: RunMetrics | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class FailedContext:
    """Training failed, or was cancelled. ``step`` is where, if the backend said so."""

    job: Job
    error: str
    step: int | None = None
    event_id: str | None = None


Context = StartedContext | LogContext | CheckpointContext | CompletedContext | FailedContext
Outcome = Awaitable[None] | None


class RunHandle(Protocol):
    """What a callback may do to the run that it watches."""

    @property
    def job(self) -> Job | None:
        """The job as last known; None before it was submitted."""

    async def cancel(self) -> None:
        """Stop the job on the backend."""


class Callback:
    """Base class: override what you need, as ``def`` or ``async def``.

    Every method is awaited before the next event is looked at, and none runs twice at a time. At
    most one of ``on_completed`` and ``on_failed`` is called.
    """

    def attached(self, run: RunHandle) -> None:
        """Called once, before the first event, with the run that this callback belongs to."""

    def on_started(self, ctx: StartedContext) -> Outcome:
        """The backend began to train."""

    def on_log(self, ctx: LogContext) -> Outcome:
        """Numbers of one step."""

    def on_checkpoint(self, ctx: CheckpointContext) -> Outcome:
        """A checkpoint was saved."""

    def on_completed(self, ctx: CompletedContext) -> Outcome:
        """Training ended well."""

    def on_failed(self, ctx: FailedContext) -> Outcome:
        """Training failed or was cancelled."""


class FunctionCallback(Callback):
    """The same five as plain functions."""

    def __init__(
        self,
        *,
        on_started: Callable[[StartedContext], object] | None = None,
        on_log: Callable[[LogContext], object] | None = None,
        on_checkpoint: Callable[[CheckpointContext], object] | None = None,
        on_completed: Callable[[CompletedContext], object] | None = None,
        on_failed: Callable[[FailedContext], object] | None = None,
    ) -> None:
        given = {
            "on_started": on_started,
            "on_log": on_log,
            "on_checkpoint": on_checkpoint,
            "on_completed": on_completed,
            "on_failed": on_failed,
        }
        for name, function in given.items():
            if function is not None:
                # an attribute of the object shadows the method of the class
                setattr(self, name, function)


class CallbackError(ArkorTuiError):
    """A callback raised; its own exception is the ``__cause__``.

    ``callback`` and ``event`` name what failed on what, ``others`` holds further failures on the
    same event: every callback of the list saw it.
    """

    def __init__(self, callback: str, event: str, cause: Exception) -> None:
        super().__init__(
            f"{callback} raised on {event}: {type(cause).__name__}: {cause}",
            hint="The job itself goes on: `arkor-tui attach JOB` follows it, "
            "`arkor-tui cancel JOB` stops it.",
        )
        self.callback = callback
        self.event = event
        self.others: list[CallbackError] = []
        self.__cause__ = cause


_METHODS: dict[type, str] = {
    StartedContext: "on_started",
    LogContext: "on_log",
    CheckpointContext: "on_checkpoint",
    CompletedContext: "on_completed",
    FailedContext: "on_failed",
}


def attach(callbacks: list[Callback], run: RunHandle) -> list[CallbackError]:
    """Tell every callback its run; what they raised, in order."""
    errors: list[CallbackError] = []
    for callback in callbacks:
        try:
            callback.attached(run)
        except Exception as error:
            name = _name_of(callback, callback.attached, "attached")
            errors.append(CallbackError(name, "the start", error))
    return errors


async def fire(callbacks: list[Callback], ctx: Context, event: str) -> list[CallbackError]:
    """Call every callback with ``ctx``, one after another; what they raised, in order."""
    method = _METHODS[type(ctx)]
    errors: list[CallbackError] = []
    for callback in callbacks:
        handler = cast("Callable[[Context], Outcome]", getattr(callback, method))
        try:
            outcome = handler(ctx)
            if outcome is not None and inspect.isawaitable(outcome):
                await outcome
        except Exception as error:
            errors.append(CallbackError(_name_of(callback, handler, method), event, error))
    return errors


def _name_of(callback: Callback, handler: Callable[..., object], method: str) -> str:
    if isinstance(callback, FunctionCallback):
        return f"{method} ({getattr(handler, '__qualname__', repr(handler))})"
    return f"{type(callback).__qualname__}.{method}"
