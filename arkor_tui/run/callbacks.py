"""The five lifecycle callbacks, as a class or as plain functions (protocol reference, 5)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.errors import ArkorTuiError

from .cancelling import CancelState
from .contexts import CheckpointContext as CheckpointContext
from .contexts import CompletedContext as CompletedContext
from .contexts import Context as Context
from .contexts import FailedContext as FailedContext
from .contexts import LogContext as LogContext
from .contexts import ResumedContext as ResumedContext
from .contexts import StartedContext as StartedContext
from .findings import Finding, Gauge

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
    def stop_reason(self) -> str | None:
        """Why the run was asked to stop; None where nobody asked."""

    async def cancel(self) -> None:
        """Ask the backend once to stop the job, and believe it."""

    async def stop(self, reason: str) -> CancelState:
        """Stop the run on the backend and wait until the backend says that it has ended.

        However often and from wherever this is called, one request is under way at a time, and a
        confirmed stop is never repeated. The first reason is kept. Never raises for what a backend
        says: the state tells the truth.
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
    ResumedContext: "on_resumed",
    LogContext: "on_log",
    CheckpointContext: "on_checkpoint",
    CompletedContext: "on_completed",
    FailedContext: "on_failed",
}


def attach(callbacks: Sequence[Callback], run: RunHandle) -> list[CallbackError]:
    """Tell every callback its run; what they raised, in order."""
    errors: list[CallbackError] = []
    for callback in callbacks:
        try:
            callback.attached(run)
        except Exception as error:
            name = _name_of(callback, callback.attached, "attached")
            errors.append(CallbackError(name, "the start", error))
    return errors


Handlers = list[tuple[Callback, Callable[[Any], Outcome]]]


def handlers_of(callbacks: Sequence[Callback], method: str) -> Handlers:
    """The methods that somebody wrote: those of the base class do nothing."""
    base = getattr(Callback, method)
    found = [(callback, getattr(callback, method)) for callback in callbacks]
    return [pair for pair in found if getattr(pair[1], "__func__", pair[1]) is not base]


METHODS = tuple(_METHODS.values())


def method_of(ctx: Context) -> str:
    """Which method of a callback is told of this."""
    return _METHODS[type(ctx)]


async def fire(handlers: Handlers, ctx: Context, event: str) -> list[CallbackError]:
    """Call every handler with ``ctx``, one after another; what they raised, in order."""
    errors: list[CallbackError] = []
    for callback, handler in handlers:
        try:
            outcome = handler(ctx)
            if outcome is not None and inspect.isawaitable(outcome):
                await outcome
        except Exception as error:
            name = _name_of(callback, handler, method_of(ctx))
            errors.append(CallbackError(name, event, error))
    return errors


async def tell_finding(callbacks: Sequence[Callback], finding: Finding) -> list[CallbackError]:
    """Call every callback's ``on_finding``; what they raised, in order."""
    errors: list[CallbackError] = []
    for callback in callbacks:
        try:
            outcome = callback.on_finding(finding)
            if outcome is not None and inspect.isawaitable(outcome):
                await outcome
        except Exception as error:
            name = _name_of(callback, callback.on_finding, "on_finding")
            errors.append(CallbackError(name, f"a {finding.kind} of {finding.name}", error))
    return errors


def tell(
    callbacks: Sequence[Callback], method: Literal["on_replayed", "on_connection"], told: Any
) -> list[CallbackError]:
    """Call a method that cannot wait on every callback; what they raised, in order."""
    errors: list[CallbackError] = []
    for callback in callbacks:
        handler = getattr(callback, method)
        try:
            handler(told)
        except Exception as error:
            event = method.removeprefix("on_")
            errors.append(CallbackError(_name_of(callback, handler, method), event, error))
    return errors


def gauges_of(callbacks: Sequence[Callback]) -> tuple[list[Gauge], list[CallbackError]]:
    """How far every guard is from firing, and what callbacks raised instead of saying so."""
    gauges: list[Gauge] = []
    errors: list[CallbackError] = []
    for callback in callbacks:
        try:
            gauges += callback.gauges()
        except Exception as error:
            name = _name_of(callback, callback.gauges, "gauges")
            errors.append(CallbackError(name, "a look at its gauges", error))
    return gauges, errors


def _name_of(callback: Callback, handler: Callable[..., object], method: str) -> str:
    if isinstance(callback, FunctionCallback):
        return f"{method} ({getattr(handler, '__qualname__', repr(handler))})"
    return f"{type(callback).__qualname__}.{method}"
