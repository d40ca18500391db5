"""Stop a run that is not worth going on with, on the backend too."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Literal

from arkor_tui.api.reconnect import StreamState
from arkor_tui.errors import UsageError
from arkor_tui.run.abort import AbortSignal
from arkor_tui.run.callbacks import Callback, Outcome, RunHandle
from arkor_tui.run.contexts import (
    CheckpointContext,
    CompletedContext,
    Context,
    FailedContext,
    LogContext,
    ResumedContext,
)
from arkor_tui.run.findings import Finding, Gauge

from .guards import GuardSet, Metric, guards_of, is_odd
from .rules import Predicate, SampleRule

Action = Literal["now", "checkpoint"]
ACTIONS: tuple[Action, ...] = ("now", "checkpoint")
# due: a stop is overdue, and the next event brings it; over: nothing is left to stop
_State = Literal["watching", "armed", "due", "stopping", "over"]
_MOST_KEPT = 16
"""Checkpoints whose guards are kept: a run goes on from one of its last."""
_TRIES = 2
"""How often a stop that was not confirmed is asked for."""
REQUEST = "request"
_MARK = "EarlyStopping fired: "
_FORGOTTEN = {
    "sample": "a rule for samples fired before a restart",
    REQUEST: "asked to stop before a restart",
}
"""What events told again do not bring back, and the reason that is given after a restart."""


class EarlyStopping(Callback):
    """Guards over the loss, over samples, and a way for others to stop the run.

    ``ceiling`` stops above a loss, with ``window`` above the mean of so many losses. ``patience``
    stops after so many values without a new minimum (by more than ``min_delta``). ``non_finite``
    stops at infinite losses, at what the backend names as no number, and at five events in a row
    without any. ``metric`` is what these look at. ``predicate`` of a log event and ``samples`` of
    what golden prompts were answered return True, or a text that says why to stop.

    ``action`` ``checkpoint`` waits for the next checkpoint, so that the work is kept, but no longer
    than ``checkpoint_limit`` seconds (``math.inf``: however long it takes). The run is stopped on
    the backend, once, confirmed; the reason is kept with it. ``request()``, and ``abort_signal``,
    stop it from outside.

    Raises:
        UsageError: a setting has no meaning.
    """

    def __init__(
        self,
        *,
        ceiling: float | None = None,
        window: int | None = None,
        patience: int | None = None,
        min_delta: float = 0.0,
        non_finite: bool = True,
        metric: Metric = "loss",
        predicate: Callable[[LogContext], bool | str | None] | None = None,
        samples: SampleRule | None = None,
        action: Action = "now",
        checkpoint_limit: float = 300.0,
        abort_signal: AbortSignal | None = None,
    ) -> None:
        if action not in ACTIONS:
            raise UsageError(f"The action is {action!r}, but must be one of: {', '.join(ACTIONS)}.")
        if not checkpoint_limit >= 0:
            raise UsageError(f"checkpoint_limit is {checkpoint_limit:g}, but must be 0 or above.")
        self._guards = GuardSet(
            guards_of(
                ceiling=ceiling,
                window=window,
                patience=patience,
                min_delta=min_delta,
                non_finite=non_finite,
                metric=metric,
            ),
            metric,
        )
        self.predicate = Predicate(predicate) if predicate is not None else None
        self.samples = samples
        self.action: Action = action
        self.checkpoint_limit = checkpoint_limit
        self.reason: str | None = None
        """Why it fired; None as long as it has not."""
        self._abort_signal = abort_signal
        self._fired_by = ""
        self._state: _State = "watching"
        self._tries = 0
        self._step: int | None = None
        self._fired_at: int | None = None
        self._checkpoint: int | None = None
        """The step of the checkpoint that was waited for, once it is there."""
        self._run: RunHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._limit: asyncio.Task[None] | None = None
        self._requested: str | None = None
        self._restarted = False
        self._taking_up: asyncio.Task[None] | None = None
        self._kept: dict[int, GuardSet] = {0: deepcopy(self._guards)}
        """The guards as they were at the start and at the last checkpoints, by step."""
        self._forget_signal: Callable[[], None] | None = None

    def attached(self, run: RunHandle) -> None:
        """Remember the run, and listen to the abort signal."""
        self._run, self._loop = run, asyncio.get_running_loop()
        signal = self._abort_signal
        if signal is not None:
            self._forget_signal = signal.listen(
                lambda: self.request(f"asked from outside: {signal.reason}")
            )
        if self._requested is not None:
            self.request(self._requested)

    def request(self, reason: str) -> None:
        """Have the run stopped as if a guard had fired; from any thread, once is enough.

        Without effect on a run that has ended.
        """
        self._requested = reason
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has closed, and nobody follows the run any more
                loop.call_soon_threadsafe(self._start_requested)

    def _start_requested(self) -> None:
        assert self._run is not None  # it is known with the loop that this runs in
        if self._state == "watching":
            work = self._fire(REQUEST, self._requested or "asked from outside")
            self._run.background(work, name="EarlyStopping.request")

    def on_replayed(self, ctx: Context) -> None:
        """Rebuild what was known before a restart, without doing anything about it."""
        self._restarted = True
        if isinstance(ctx, LogContext):
            self._step = ctx.step
            found = self._judge(ctx) if self._state == "watching" else None
            if found is not None:
                self._fired_by, self.reason = found
                self._fired_at = ctx.step
                self._state = "due" if self.action == "now" else "armed"
        elif isinstance(ctx, CheckpointContext):
            self._keep_guards(ctx.step)
            if self._state == "armed":  # whoever waited for this checkpoint was gone when it came
                self._state, self._checkpoint = "due", ctx.step
        elif isinstance(ctx, ResumedContext):
            self.on_resumed(ctx)
        elif isinstance(ctx, CompletedContext | FailedContext):
            self._end()

    def on_connection(self, state: StreamState) -> None:
        """Go on, once, with what had begun before a restart; also if no event comes any more."""
        if self._restarted and state.phase == "live" and self._run is not None:
            self._restarted = False
            self._taking_up = self._run.background(self._take_up(), name="EarlyStopping.restart")

    async def _take_up(self) -> None:
        assert self._run is not None
        if self._state == "watching":
            fired = [guard for guard in _FORGOTTEN if await self._run.was_marked(_MARK + guard)]
            if fired and self._state == "watching":
                self._fired_by, self.reason = fired[0], _FORGOTTEN[fired[0]]
                self._state = "due" if self.action == "now" else "armed"
        if self._state == "due":
            await self._stop()
        elif self._state == "armed" and self._limit is None:
            self._wait_for_checkpoint()

    def on_log(self, ctx: LogContext) -> Outcome:
        """Feed the guards; stop, or wait for a checkpoint to stop at."""
        self._step = ctx.step
        if self._state == "watching":
            found = self._judge(ctx)
            return self._fire(*found) if found is not None else None
        if self._state == "due":  # since before a restart, or the first try was not confirmed
            return self._stop()
        if self._state == "armed" and self._limit is not None and self._limit.done():
            self._wait_for_checkpoint()  # whoever waited for the run gave up, and waits again
        return None

    def on_resumed(self, ctx: ResumedContext) -> None:
        """Take the guards back to that step, so that each step counts once.

        A guard that fired on steps which are void watches again, unless the run is being stopped.
        """
        self._step = ctx.step
        self._kept = {step: kept for step, kept in self._kept.items() if step <= max(ctx.step, 0)}
        self._guards = deepcopy(self._kept[max(self._kept)])
        if self._state in ("armed", "due") and self._requested is None:
            self._cancel_limit()
            self._state, self._fired_by, self.reason = "watching", "", None
            self._fired_at = self._checkpoint = None

    def _keep_guards(self, step: int) -> None:
        self._guards.settle()
        self._kept[step] = deepcopy(self._guards)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[sorted(self._kept)[1]]  # the start stays

    async def on_checkpoint(self, ctx: CheckpointContext) -> None:
        """Stop here if that is what was waited for."""
        self._step = ctx.step
        self._keep_guards(ctx.step)
        if self._taking_up is not None:  # it says whether this checkpoint is waited for
            await asyncio.wait([self._taking_up])
        if self._state == "armed":
            self._checkpoint = ctx.step
        if self._state in ("armed", "due"):
            await self._stop()

    async def on_finding(self, finding: Finding) -> None:
        """Look at what a golden prompt was answered."""
        if self.samples is not None and self._state == "watching":
            reason = self.samples.see_sample(finding)
            if reason is not None:
                await self._fire(self.samples.name, reason)

    def on_completed(self, ctx: CompletedContext) -> None:
        """Nothing is left to guard."""
        self._end()

    def on_failed(self, ctx: FailedContext) -> None:
        """Nothing is left to guard."""
        self._end()

    def gauges(self) -> Sequence[Gauge]:
        """Each guard; the one that fired says what is being done about it."""
        gauges = self._guards.gauges()
        if self.predicate is not None:
            gauges.append(self.predicate.gauge())
        if self.samples is not None:
            gauges.append(self.samples.gauge())
        if self.reason is None:
            return gauges
        waiting = self._state == "armed"
        text = f"{'stops at the next checkpoint' if waiting else 'fired'}: {self.reason}"
        fired = Gauge(self._fired_by, share=1.0, text=text, state="armed" if waiting else "fired")
        return [fired, *(gauge for gauge in gauges if gauge.name != self._fired_by)]

    def _judge(self, ctx: LogContext) -> tuple[str, str] | None:
        """Which guard fires with this event, and why. All of them see it."""
        odd = bool(ctx.non_finite) and is_odd(ctx)
        found = self._guards.take(ctx.step, ctx.loss, ctx.eval_loss, odd)
        if self.predicate is not None:
            reason = self.predicate.check(ctx)
            if reason is not None and found is None:
                found = self.predicate.name, reason
        return found

    async def _fire(self, guard: str, reason: str) -> None:
        if self._state != "watching":
            return
        self._fired_by, self.reason, self._fired_at = guard, reason, self._step
        if self.action == "now":
            await self._stop()
            return
        self._state = "armed"
        self._wait_for_checkpoint()
        await self._tell("armed")

    def _wait_for_checkpoint(self) -> None:
        assert self._run is not None
        self._limit = self._run.background(self._give_up_waiting(), name="EarlyStopping.limit")

    async def _give_up_waiting(self) -> None:
        await asyncio.sleep(self.checkpoint_limit)
        self._limit = None  # stopping must not end the task that it runs in
        if self._state == "armed":
            await self._stop()

    async def _stop(self) -> None:
        run, reason = self._run, self.reason
        assert run is not None
        assert reason is not None
        if run.job is not None and run.job.is_terminal:
            self._end()
            return
        self._state = "stopping"
        self._cancel_limit()
        try:
            await self._tell("stopping")
            outcome = await run.stop(
                reason,
                by="guard",
                guard=self._fired_by,
                step=self._fired_at,
                checkpoint=self._checkpoint,
            )
        except BaseException:  # waiting for the run was given up; who waits again stops it
            self._state = "due"
            raise
        self._tries += 1
        again = not outcome.confirmed and self._tries < _TRIES
        self._state = "due" if again else "over"
        await self._tell("stopped" if outcome.confirmed else "failed", outcome.message)

    async def _tell(self, phase: str, message: str = "") -> None:
        assert self._run is not None
        if self._fired_by in _FORGOTTEN:
            await self._run.first_time(_MARK + self._fired_by)
        gauge = next((g for g in self._guards.gauges() if g.name == self._fired_by), None)
        value = gauge.value if gauge is not None else None
        data = {
            "guard": self._fired_by,
            "reason": self.reason,
            "value": value if value is not None and math.isfinite(value) else None,
            "limit": gauge.limit if gauge is not None else None,
            "action": self.action,
            "phase": phase,
            "message": message,
        }
        await self._run.keep(Finding("guard", "EarlyStopping", self._step, data))

    def _end(self) -> None:
        self._state = "over"
        self._cancel_limit()
        if self._forget_signal is not None:
            self._forget_signal()
            self._forget_signal = None

    def _cancel_limit(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.cancel()
