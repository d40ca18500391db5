"""When a lost connection is worth a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from arkor_tui.api.reconnect import StreamState
from arkor_tui.run.callbacks import RunHandle

from .delivery import Clock


class ConnectionWatch:
    """Calls ``lost`` with its beginning and a reason once the stream was away for ``seconds``.

    It is called once an outage, which lasts until the stream delivers again: servers that take a
    connection and drop it at once do not end it.
    """

    def __init__(
        self,
        run: RunHandle,
        clock: Clock,
        seconds: float,
        lost: Callable[[float, str], None],
    ) -> None:
        self._run = run
        self._clock = clock
        self._seconds = seconds
        self._lost = lost
        self._since: float | None = None
        self._told = False
        self._reason = ""
        self._timer: asyncio.Task[None] | None = None

    def change(self, state: StreamState) -> None:
        """The state of the stream changed."""
        if state.phase in ("live", "ended"):
            self.stop()
        elif state.phase == "reconnecting" and state.attempt > 0:
            self._reason = state.reason
            if state.attempt == 1 or self._since is None:
                self.stop()
                self._since, self._told = self._clock.monotonic(), False
            if not self._told and (self._timer is None or self._timer.done()):
                self._timer = self._run.background(
                    self._wait(self._since), name="notice of a lost connection"
                )

    def stop(self) -> None:
        """Nothing is missed now; no timer may hold up the run's end."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self, since: float) -> None:
        await self._clock.sleep(max(since + self._seconds - self._clock.monotonic(), 0.0))
        self._told, self._timer = True, None
        self._lost(since, self._reason)
