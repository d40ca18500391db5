"""Stopping the local waiting for a run. The run itself goes on: only a cancel ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from arkor_tui.errors import ArkorTuiError


class AbortError(ArkorTuiError):
    """The waiting was aborted without an exception of the caller's own."""


class AbortSignal:
    """The listening half of an :class:`AbortController`; safe to use from any thread."""

    def __init__(self) -> None:
        # No lock: a signal handler may abort in the middle of anything of the same thread. Each
        # step below is one operation on a list or dict, so a listener is taken out exactly once.
        self._reasons: dict[str, BaseException] = {}
        self._listeners: list[Callable[[], None]] = []

    @property
    def aborted(self) -> bool:
        """Whether the controller has aborted."""
        return self.reason is not None

    @property
    def reason(self) -> BaseException | None:
        """What waiting raises; None before the abort."""
        return self._reasons.get("first")

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` once on abort, at once if that has happened; returns its removal."""
        self._listeners.append(listener)
        if self.reason is not None and self._forget(listener):
            listener()
        return lambda: self._forget_quietly(listener)

    def _forget(self, listener: Callable[[], None]) -> bool:
        """Take a listener out; False where the abort was faster."""
        try:
            self._listeners.remove(listener)
        except ValueError:
            return False
        return True

    def _forget_quietly(self, listener: Callable[[], None]) -> None:
        self._forget(listener)

    def _abort(self, reason: BaseException) -> None:
        if self._reasons.setdefault("first", reason) is not reason:
            return
        while True:
            try:
                listener = self._listeners.pop(0)
            except IndexError:
                return
            listener()


class AbortController:
    """Ends the local waiting of every trainer that holds its :attr:`signal`.

    Never cancels a job. For "stop and pay nothing": abort, then ``await trainer.cancel()``.
    """

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: BaseException | str | None = None) -> None:
        """Abort; only the first call counts. ``wait()`` then raises ``reason``.

        A text becomes an :class:`AbortError`. May be called from any thread or a signal handler.
        """
        if not isinstance(reason, BaseException):
            reason = AbortError(reason or "The waiting was aborted; the job itself goes on.")
        self.signal._abort(reason)


class interruptible:  # noqa: N801 reads as the statement that it is
    """``with interruptible(signal):`` lets an abort interrupt the awaits of the block.

    Raises the signal's reason, at once if it was aborted before. Nothing outside the block is ever
    interrupted, so a callback that aborts can finish its own work.
    """

    __slots__ = ("_fired", "_inside", "_loop", "_remove", "_signal", "_task")

    def __init__(self, signal: AbortSignal | None) -> None:
        self._signal = signal
        self._inside = False
        self._fired = False

    def __enter__(self) -> Self:
        if self._signal is None:
            return self
        if self._signal.reason is not None:
            raise self._signal.reason
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._inside, self._fired = True, False
        self._remove = self._signal.listen(self._interrupt_soon)
        return self

    def _interrupt_soon(self) -> None:
        with suppress(RuntimeError):  # the loop has closed meanwhile: nobody waits any more
            self._loop.call_soon_threadsafe(self._interrupt)

    def _interrupt(self) -> None:
        if self._inside and self._task is not None:
            self._fired = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._signal is None:
            return
        self._inside = False
        self._remove()
        if self._fired and self._task is not None:
            outside = self._task.uncancel() > 0
            if kind is asyncio.CancelledError and not outside:
                assert self._signal.reason is not None
                raise self._signal.reason from None
