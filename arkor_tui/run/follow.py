"""The one loop that follows a run: source, sink, callbacks, then whoever looks on.

An app's monitor, a command, a supervisor, a replay and a plain script all follow by it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from arkor_tui.api.events import (
    RunMetrics,
    TrainingCompleted,
    TrainingEvent,
    TrainingFailed,
    TrainingStarted,
    UnknownEvent,
    step_of,
)
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.stream import StreamEvent
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.target import Target
from arkor_tui.ended import Ended

from .abort import AbortSignal, interruptible
from .callbacks import RunHandle
from .contexts import Context, context_of
from .hooks import Hooks
from .sink import Sink
from .source import JobLostError, ReadAhead, Source, is_end

END_SECONDS = 10.0
"""How long a stream may be silent after the backend confirmed that its job has ended."""
AWAY_SECONDS = 60.0
"""How long the stream of such a job is tried again where it cannot be had."""
_END_TOLD = "end-told"
"""Marks that callbacks have heard of an end that no event of the stream told."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a run ended. ``status`` is ``completed``, ``failed`` or ``cancelled``."""

    job: Job
    artifacts: list[Any] = field(default_factory=list)
    metrics: RunMetrics | None = None
    reason: str | None = None
    """Why it was stopped, where a guard or a person of this side did."""
    ended: Ended | None = None
    """Who ended it and why; None where somebody stopped it from elsewhere."""

    @property
    def status(self) -> str:
        """The job's last status."""
        return self.job.status


class Followed(RunHandle, Protocol):
    """What the loop asks of the run beside its events."""

    @property
    def why_stopped(self) -> Ended | None:
        """Why this side stopped the run; None where it did not."""

    def talk(self, target: Target) -> Infer:
        """Talk to a target of the run."""


class KnownJob(Protocol):
    """Where the copy of the job is that events bring up to date."""

    known: Job | None


class Follower:
    """Follow one run. The position, and what was read and not handled, stay between two tries.

    ``job.known`` is brought up to date by events; ``on_state`` hears of the connection at once.
    """

    def __init__(self, run: Followed, job: KnownJob, hooks: Hooks) -> None:
        self.result: TrainingResult | None = None
        self.last_step: int | None = None
        self.on_state: Callable[[StreamState], None] = lambda _: None
        self._run = run
        self._job = job
        self._hooks = hooks
        self._ahead = ReadAhead()
        self._unhandled: deque[StreamEvent | StreamState] = deque()
        self._past_is_told = False
        self._passed = 0
        self._phase = ""
        self._lost: Ended | None = None
        self._is_stopped = False

    async def events(
        self,
        source: Source,
        sink: Sink | None,
        signal: AbortSignal | None,
        *,
        looked_at: bool,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Follow to the end, and give each event after its callbacks have run.

        Each event is in the sink before callbacks hear it; with ``looked_at`` also where no
        callback wants it, as whoever iterates may show it.

        Raises:
            CallbackError: a callback raised (unless errors are only reported).
            BaseException: the signal's reason, and what the source raises.
        """
        if sink is not None:
            self._hooks.keeper = sink
        await self._hooks.attach(self._run)
        try:
            if sink is not None and sink.resumes and not self._past_is_told:
                async with aclosing(self._past(source, sink)) as past:
                    async for item in past:
                        yield item
            if self.result is None:
                async with aclosing(self._new(source, sink, signal, looked_at)) as new:
                    async for item in new:
                        yield item
            if self._phase != "ended":
                self._tell(StreamState("ended"))
                self._hooks.connection(StreamState("ended"))
            await self._hooks.finish()
        finally:
            if sink is not None and self.result is not None:
                await sink.end(self.result.job, self._own_reason())

    def expect_end(self) -> None:
        """Wait for the end as long as something comes, as the backend has confirmed a stop.

        A backend may end a job and never its stream: the job is asked then.
        """
        self._is_stopped = True
        loop = asyncio.get_running_loop()
        give_up = loop.time() + AWAY_SECONDS

        def look(before: int) -> None:
            ahead = self._ahead
            came = ahead.came
            away = self._phase in ("connecting", "reconnecting") and loop.time() < give_up
            if came == before and not ahead.is_full and not away:
                ahead.cut()
            elif ahead.is_reading:
                loop.call_later(END_SECONDS, look, came)

        loop.call_later(END_SECONDS, look, self._ahead.came)

    def _tell(self, state: StreamState) -> None:
        self._phase = state.phase
        self.on_state(state)

    async def _past(self, source: Source, sink: Sink) -> AsyncGenerator[StreamEvent, None]:
        """Tell callbacks what is kept: state for what they heard, the rest as if it came now."""
        if not self._hooks.callbacks:
            self._past_is_told = True
            source.skip_to(sink.last_event_id)
            return
        number = 0
        async with aclosing(sink.past()) as pages:
            async for page in pages:
                for item, heard in page:
                    number += 1
                    # told before an error that ended the last try, or before there was a sink
                    was_told = number <= self._passed or not source.skip(item)
                    self._passed = max(self._passed, number)
                    if was_told:
                        if not heard:
                            sink.heard()
                        continue
                    if not heard:
                        await self._handle(item, source, sink)
                        yield item
                        continue
                    await self._learn(item.event, source)
                    ctx = self._context(item)
                    if ctx is not None:
                        await self._hooks.replay(ctx)
                    if is_end(item):
                        self._end(item.event)
        self._past_is_told = True

    async def _new(
        self, source: Source, sink: Sink | None, signal: AbortSignal | None, looked_at: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        """Handle what the source gives, in batches as large as what came meanwhile."""
        abortable = interruptible(signal)
        async with self._ahead as ahead:
            ahead.start(source, self._tell)
            if self._is_stopped:
                self.expect_end()
            while self.result is None:
                try:
                    with abortable:
                        if not self._unhandled:
                            self._unhandled.extend(await ahead.take() or [await source.settle()])
                        await self._put(sink, looked_at)
                except JobLostError as error:
                    self._unhandled.append(self._lose(error))
                while self._unhandled and self.result is None:
                    if signal is not None and signal.reason is not None:
                        raise signal.reason  # aborted by the callbacks of the event before
                    entry = self._unhandled.popleft()
                    if isinstance(entry, StreamState):
                        self._hooks.connection(entry)
                        continue
                    await self._handle(entry, source, sink)
                    yield entry

    async def _put(self, sink: Sink | None, looked_at: bool) -> None:
        events = [e for e in self._unhandled if isinstance(e, StreamEvent) and e.data]
        if sink is None or not events:
            return
        await sink.put(events)
        if looked_at or any(self._hooks.handle(item.event) for item in events):
            await sink.flush()

    async def _handle(self, item: StreamEvent, source: Source, sink: Sink | None) -> None:
        """Bring the job's copy up to date, fire the callbacks, and remember that they heard it."""
        event = item.event
        await self._learn(event, source)
        ctx = self._context(item) if self._hooks.handle(event) else None
        untold = bool(item.data) or not await self._hooks.was_marked(_END_TOLD)
        errors = await self._hooks.fire(ctx if untold else None, event)
        if not item.data:  # no event of the stream: the job was asked
            await self._hooks.first_time(_END_TOLD)
        elif sink is not None and self._hooks.callbacks:
            sink.heard()
        if is_end(item):
            self._end(event)
        await self._hooks.take(errors)

    async def _learn(self, event: TrainingEvent | UnknownEvent, source: Source) -> None:
        """Bring the job's copy up to date."""
        job = self._known
        step = step_of(event)
        if step is not None:
            self.last_step = step
        if isinstance(event, TrainingStarted):
            if not job.is_terminal:  # a replay does not bring an ended job back
                self._know(status="running", started_at=job.started_at or _time_of(event))
        elif isinstance(event, TrainingCompleted):
            self._know(status="completed", completed_at=_time_of(event))
        elif isinstance(event, TrainingFailed):
            status = await source.status_of(job, event)
            self._know(status=status, completed_at=_time_of(event), error=event.error)

    @property
    def _known(self) -> Job:
        job = self._job.known
        assert job is not None
        return job

    def _know(self, **changes: Any) -> None:
        self._job.known = self._known.model_copy(update=changes)

    def _context(self, item: StreamEvent) -> Context | None:
        return context_of(item.event, self._known, item.id, self._run.talk)

    def _lose(self, lost: JobLostError) -> StreamEvent:
        """Make an end of the run of a job that its backend has deleted."""
        self._lost = Ended("lost", lost.message, step=self.last_step)
        self._know(status="failed")
        failed = TrainingFailed(type="training.failed", job_id=self._known.id, error=lost.message)
        return StreamEvent(None, failed, "")

    def _end(self, event: TrainingEvent | UnknownEvent) -> None:
        job, own = self._known, self._own_reason()
        ended = own or Ended("person", "It was cancelled from elsewhere.", step=self.last_step)
        reason = ended.sentence if own is not None and job.status == "cancelled" else None
        artifacts: list[Any] = []
        metrics: RunMetrics | None = None
        if isinstance(event, TrainingCompleted):
            artifacts, metrics = event.artifacts or [], event.metrics
        self.result = TrainingResult(job, artifacts, metrics, reason, ended)

    def _own_reason(self) -> Ended | None:
        """Why the run ended, as far as this side knows."""
        job = self._known
        if self._lost is not None:
            return self._lost
        if job.status == "completed":
            return Ended("backend", "Training completed.", step=self.last_step)
        if job.status == "failed":
            why = job.error or "The backend gave no reason."
            return Ended("backend", f"Training failed: {why}", step=self.last_step)
        mine = self._run.why_stopped
        if mine is not None and mine.step is None:
            return replace(mine, step=self.last_step)
        return mine


def _time_of(event: TrainingEvent | UnknownEvent) -> str:
    return event.timestamp or datetime.now(UTC).isoformat()
