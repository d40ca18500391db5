"""The five lifecycle callbacks, as a class or as plain functions (docs/protocol.md, section 5)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol

from arkor_tui.api.events import (
    CheckpointSaved,
    TrainingCompleted,
    TrainingEvent,
    TrainingFailed,
    TrainingLog,
    TrainingResumed,
    TrainingStarted,
    UnknownEvent,
)
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.ended import Ended, EndedBy

from .contexts import CheckpointContext as CheckpointContext
from .contexts import CompletedContext as CompletedContext
from .contexts import Context as Context
from .contexts import FailedContext as FailedContext
from .contexts import LogContext as LogContext
from .contexts import ResumedContext as ResumedContext
from .contexts import StartedContext as StartedContext
from .errors import RAISED, CallbackError, is_own
from .findings import Finding, Gauge
from .stopping import CancelState

if TYPE_CHECKING:
    import asyncio

    from arkor_tui.chat.infer import Infer


Outcome = Awaitable[None] | None


class RunHandle(Protocol):
    """What a callback may do to the run that it watches. Every trainer is one."""

    @property
    def job(self) -> Job | None:
        """The job as last known; None before it was submitted."""

    @property
    def name(self) -> str:
        """The run's name."""

    @property
    def why_stopped(self) -> Ended | None:
        """Who asked the run to stop and why; None where nobody asked."""

    @property
    def stop_reason(self) -> str | None:
        """Why the run was asked to stop; None where nobody asked."""

    async def cancel(self) -> None:
        """Ask the backend once to stop the job, and believe it."""

    async def stop(
        self,
        reason: str = "",
        *,
        by: EndedBy | None = None,
        guard: str | None = None,
        step: int | None = None,
        checkpoint: int | None = None,
    ) -> CancelState:
        """Stop the run on the backend and wait until the backend says that it has ended.

        However often and from wherever this is called, one request is under way at a time, and a
        confirmed stop is never repeated. The first reason is kept, with who gave it: ``by`` is
        ``callback`` within a callback and ``person`` elsewhere, unless it is given. ``checkpoint``
        is the step of the checkpoint that a guard kept. Never raises for what a backend says: the
        state tells the truth.
        """

    async def keep(self, finding: Finding) -> None:
        """Keep what was learned with the run, and tell every callback's ``on_finding``."""

    async def first_time(self, mark: str) -> bool:
        """True once for each mark, also over restarts where an archive keeps the run."""

    async def was_marked(self, mark: str) -> bool:
        """Whether :meth:`first_time` was called with this mark."""

    def background(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Do work beside the stream.

        It is awaited before waiting for the run ends, and cancelled if waiting is given up. What it
        raises counts as a callback's error.
        """

    def infer(self, *, step: int | None = None, base: bool = False) -> Infer:
        """Talk to the final adapter, to the checkpoint at ``step``, or to the base model."""


class Callback:
    """Base class: override what you need.

    ``on_started``, ``on_resumed``, ``on_log``, ``on_checkpoint``, ``on_completed``, ``on_failed``
    and ``on_finding`` may be ``def`` or ``async def``: each is awaited before the next event is
    looked at, and none runs twice at a time. At most one of ``on_completed`` and ``on_failed`` is
    called. ``attached``, ``on_replayed``, ``on_connection`` and ``gauges`` are plain ``def``.
    """

    def attached(self, run: RunHandle) -> None:
        """Called once, before the first event, with the run that this callback belongs to."""

    def on_replayed(self, ctx: Context) -> None:
        """An event from before this process watched the run, told again after a restart.

        For rebuilding state: send nothing, start nothing, stop nothing.
        """

    def on_connection(self, state: StreamState) -> None:
        """The connection to the event stream changed. Must be quick."""

    def on_finding(self, finding: Finding) -> Outcome:
        """A recipe of this run, perhaps this one, kept something."""

    def gauges(self) -> Sequence[Gauge]:
        """How far from firing; may be asked at any time between events."""
        return ()

    def on_started(self, ctx: StartedContext) -> Outcome:
        """The backend began to train."""

    def on_resumed(self, ctx: ResumedContext) -> Outcome:
        """Training went on from a checkpoint: later steps come again.

        Only the embedded backend says so. Forget what was logged after ``ctx.step``.
        """

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


_METHODS: dict[type, str] = {
    TrainingStarted: "on_started",
    TrainingResumed: "on_resumed",
    TrainingLog: "on_log",
    CheckpointSaved: "on_checkpoint",
    TrainingCompleted: "on_completed",
    TrainingFailed: "on_failed",
}
METHODS = tuple(_METHODS.values())
Handler = Callable[[Any], object]
Handlers = list[tuple[Callback, Handler]]
Beside = Literal["attached", "on_replayed", "on_connection", "on_finding", "gauges"]
"""Methods that are called beside the five."""

_EVENTS: dict[Beside, str] = {
    "attached": "the start",
    "on_replayed": "replayed",
    "on_connection": "connection",
    "gauges": "a look at its gauges",
}
_calling: ContextVar[bool] = ContextVar("calling a callback", default=False)


def in_callback() -> bool:
    """Tell whether a callback, or work that it began, is what runs now."""
    return _calling.get()


def method_of(event: TrainingEvent | UnknownEvent) -> str | None:
    """Which method of a callback is told of an event; None for one of a later protocol."""
    return _METHODS.get(type(event))


def handlers_of(callbacks: Sequence[Callback], method: str) -> Handlers:
    """The methods that somebody wrote: those of the base class do nothing."""
    base = getattr(Callback, method)
    found = [(callback, getattr(callback, method)) for callback in callbacks]
    return [pair for pair in found if getattr(pair[1], "__func__", pair[1]) is not base]


async def fire(handlers: Handlers, told: object, method: str, event: str) -> list[CallbackError]:
    """Call every handler, one after another; what they raised, in order."""
    errors: list[CallbackError] = []
    token = _calling.set(True)
    try:
        for callback, handler in handlers:
            try:
                outcome = handler(told)
                if outcome is not None and inspect.isawaitable(outcome):
                    await outcome
            except RAISED as error:
                if not is_own(error):
                    raise
                errors.append(CallbackError(_name_of(callback, handler, method), event, error))
    finally:
        _calling.reset(token)
    return errors


def tell(
    callbacks: Sequence[Callback], method: Beside, *told: object
) -> tuple[list[Any], list[CallbackError]]:
    """Call a method that cannot wait on every callback; what they gave, and what they raised."""
    given: list[Any] = []
    errors: list[CallbackError] = []
    token = _calling.set(True)
    try:
        for callback in callbacks:
            handler = getattr(callback, method)
            try:
                given.append(handler(*told))
            except RAISED as error:
                name = _name_of(callback, handler, method)
                errors.append(CallbackError(name, _EVENTS[method], error))
    finally:
        _calling.reset(token)
    return given, errors


def _name_of(callback: Callback, handler: Callable[..., object], method: str) -> str:
    if isinstance(callback, FunctionCallback):
        return f"{method} ({getattr(handler, '__qualname__', repr(handler))})"
    return f"{type(callback).__qualname__}.{method}"
