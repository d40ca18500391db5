"""The callbacks of one run: told one at a time, with what they find, remember and begin."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Literal

from arkor_tui.api.events import TrainingEvent, UnknownEvent
from arkor_tui.api.reconnect import StreamState

from .background import Background
from .callbacks import (
    METHODS,
    Callback,
    Handlers,
    RunHandle,
    fire,
    handlers_of,
    method_of,
    tell,
)
from .contexts import Context
from .errors import CallbackError
from .findings import Finding, Gauge
from .sink import Keeper

_MOST_KEPT = 100
"""Errors of callbacks that are kept with a run: one that always raises must not fill the disk."""
OnCallbackError = Literal["raise", "report"]


class Hooks:
    """Calls the callbacks of a trainer. No two run at a time, whatever is told.

    ``errors`` holds what they raised, in order; with ``on_error`` ``raise`` it is raised as well.
    """

    def __init__(self, callbacks: Sequence[Callback], on_error: OnCallbackError) -> None:
        self.callbacks = list(callbacks)
        self.on_error: OnCallbackError = on_error
        self.keeper: Keeper | None = None
        self.errors: list[CallbackError] = []
        self.findings: list[Finding] = []
        self._attached = False
        self._handlers: dict[str, Handlers] = {}
        self._looked_up = -1
        self._firing = asyncio.Lock()
        self._untold: list[Finding] = []
        self._marks: set[str] = set()
        self._untellable: set[str] = set()
        self._background = Background()

    async def attach(self, run: RunHandle) -> None:
        """Tell every callback its run, once.

        Raises:
            CallbackError: a callback raised (unless errors are only reported).
        """
        if not self._attached:
            self._attached = True
            await self.take(tell(self.callbacks, "attached", run)[1])

    def handle(self, event: TrainingEvent | UnknownEvent) -> bool:
        """Whether any callback wants to hear of an event like this."""
        method = method_of(event)
        return method is not None and bool(self._handlers_for(method))

    async def fire(
        self, ctx: Context | None, event: TrainingEvent | UnknownEvent
    ) -> list[CallbackError]:
        """Tell an event, and what was found with it; gives what was raised to :meth:`take`."""
        async with self._firing:
            errors = []
            method = method_of(event)
            if ctx is not None and method and (handlers := self._handlers_for(method)):
                errors = await fire(handlers, ctx, method, event.type)
            if self._untold:
                errors += await self._tell_findings()
            return errors

    def _handlers_for(self, method: str) -> Handlers:
        """Looked up once: most callbacks leave most events alone."""
        if self._looked_up != len(self.callbacks):
            self._looked_up = len(self.callbacks)
            self._handlers = {m: handlers_of(self.callbacks, m) for m in METHODS}
        return self._handlers[method]

    async def take(self, errors: list[CallbackError]) -> None:
        """Keep what callbacks raised, here or in the background, with the run; raise it if told so.

        Raises:
            CallbackError: the first one, with the others in it.
        """
        if self._background.errors:
            errors = [*self._background.take(), *errors]
        for error in errors:
            self.errors.append(error)
            if self.keeper is not None and len(self.errors) <= _MOST_KEPT:
                await self.keeper.keep(error.as_finding())
        if errors and self.on_error == "raise":
            errors[0].others = errors[1:]
            raise errors[0]

    def connection(self, state: StreamState) -> None:
        """Tell the state of the stream. What is raised comes with the next event."""
        self._background.errors += tell(self.callbacks, "on_connection", state)[1]

    async def replay(self, ctx: Context) -> None:
        """Tell again what callbacks heard before this process watched the run.

        Raises:
            CallbackError: a callback raised (unless errors are only reported).
        """
        await self.take(tell(self.callbacks, "on_replayed", ctx)[1])

    async def keep(self, finding: Finding) -> None:
        """Keep what a recipe found, and tell every callback of it.

        While a callback runs it is told when that has returned, as none is called within another.
        """
        self.findings.append(finding)
        if self.keeper is not None:
            await self.keeper.keep(finding)
        self._untold.append(finding)
        if not self._firing.locked():
            async with self._firing:
                self._background.errors += await self._tell_findings()

    async def _tell_findings(self) -> list[CallbackError]:
        errors: list[CallbackError] = []
        while self._untold:
            finding = self._untold.pop(0)
            handlers: Handlers = [(one, one.on_finding) for one in self.callbacks]
            event = f"a {finding.kind} of {finding.name}"
            errors += await fire(handlers, finding, "on_finding", event)
        return errors

    async def first_time(self, mark: str) -> bool:
        """True once for each mark, also over restarts where a keeper remembers."""
        if mark in self._marks:
            return False
        self._marks.add(mark)
        return self.keeper is None or await self.keeper.mark(mark)

    async def was_marked(self, mark: str) -> bool:
        """Whether :meth:`first_time` was called with this mark."""
        if mark in self._marks:
            return True
        return self.keeper is not None and await self.keeper.was_marked(mark)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Begin work beside the stream."""
        return self._background.start(work, name)

    async def finish(self) -> None:
        """Wait for all work beside the stream.

        Raises:
            CallbackError: some of it raised (unless errors are only reported).
        """
        await self._background.finish()
        await self.take([])

    async def cancel(self) -> None:
        """End all work beside the stream now."""
        await self._background.cancel()

    def gauges(self) -> list[Gauge]:
        """How far every guard is from firing; a callback that raises has none, told once."""
        given, errors = tell(self.callbacks, "gauges")
        for error in errors:
            if error.callback not in self._untellable:
                self._untellable.add(error.callback)
                self._background.errors.append(error)
        return [gauge for gauges in given for gauge in gauges]
