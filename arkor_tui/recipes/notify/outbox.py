"""The messages of one run to one destination, in order, beside the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from .delivery import TOTAL_SECONDS, TRIES, Attempt, Clock, Send, deliver, unusable
from .message import Message

END_SECONDS = 30.0
"""How long a destination that does not answer may hold up the end of a run."""
MOST_OPTIONAL = 20
"""Progress and samples that may wait for a slow destination; older ones are left out."""


@dataclass(slots=True)
class _Waiting:
    message: Message
    claimed: bool = False


class Outbox:
    """Sends what is put in, one message after another.

    ``begin`` runs :meth:`work` as a task of the run, ``claim`` says whether a message is still to
    be told, and ``tell`` hears how each one went.
    """

    def __init__(
        self,
        session: Callable[[], AbstractAsyncContextManager[Send]],
        *,
        begin: Callable[[], Callable[[], bool]],
        claim: Callable[[Message], Awaitable[bool]],
        tell: Callable[[Message, Attempt], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._session = session
        self._begin = begin
        self._claim = claim
        self._tell = tell
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._is_idle: Callable[[], bool] = lambda: True
        self._ends_at: float | None = None
        self._gave_up = False

    def put(self, message: Message) -> None:
        """Have a message sent; returns at once."""
        if message.is_optional:
            self._make_room(message)
        self._waiting.append(_Waiting(message))
        if self._is_idle():
            self._is_idle = self._begin()

    def end(self) -> None:
        """The run is over: what is left has to go soon."""
        if self._ends_at is None:
            self._ends_at = self._clock.monotonic() + END_SECONDS

    def _make_room(self, message: Message) -> None:
        """Old progress is of no use, and samples must not pile up."""
        optional = [one for one in self._waiting if one.message.is_optional and not one.claimed]
        steps = [one for one in optional if one.message.event == "step"]
        drop = steps if message.event == "step" else []
        if not drop and len(optional) >= MOST_OPTIONAL:
            drop = optional[:1]
        for one in drop:
            self._waiting.remove(one)

    async def work(self) -> None:
        """Send until nothing is left; never raises."""
        while self._waiting:
            try:
                async with self._session() as send:
                    await self._send_all(send)
            except Exception as error:
                await self._fail_all(unusable(error))

    async def _send_all(self, send: Send) -> None:
        while self._waiting:
            one = self._waiting[0]
            if not one.claimed:
                one.claimed = True
                if not await self._claim(one.message):
                    self._waiting.popleft()
                    continue
            attempt = await self._send(send, one.message)
            self._gave_up = not attempt.ok
            self._waiting.popleft()
            await self._tell(one.message, attempt)

    async def _fail_all(self, attempt: Attempt) -> None:
        while self._waiting:
            await self._tell(self._waiting.popleft().message, attempt)

    async def _send(self, send: Send, message: Message) -> Attempt:
        if message.is_optional and self._ends_at is not None and self._gave_up:
            return Attempt(False, "was not reached before the run ended")
        until = self._clock.monotonic() + TOTAL_SECONDS
        return await deliver(
            send,
            message,
            clock=self._clock,
            deadline=lambda: until if self._ends_at is None else min(until, self._ends_at),
            # a dead destination gets one try a message until one arrives
            tries=1 if self._gave_up else TRIES,
        )
