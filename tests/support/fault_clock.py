"""Time that passes only when nothing else can happen."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_STUCK = 20.0  # real seconds


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as everybody waits for one.

    A minute of waiting takes no time, and its length can be asserted exactly. While a thread of an
    executor works, the clock stands still. ``grace`` is for how long, in real seconds, sockets may
    be silent before the clock jumps: bytes may be on their way through the kernel.
    """

    def __init__(self, grace: float = 0.0) -> None:
        self.now = 0.0
        self.at_work = 0
        super().__init__(_Patient(self, grace))

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self.at_work += 1
        future.add_done_callback(self._one_less)
        return future

    def _one_less(self, _: object) -> None:
        self.at_work -= 1


class _Patient(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: VirtualLoop, grace: float) -> None:
        super().__init__()
        self._loop = loop
        self._grace = grace

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self._loop.at_work:
            return super().select(None)
        if timeout is None:
            ready = super().select(_STUCK)
            assert ready, "everybody waits, and nothing is left that could happen"
            return ready
        ready = super().select(self._grace)
        if not ready:
            self._loop.now += timeout
        return ready


def run(main: Coroutine[Any, Any, T], grace: float = 0.0) -> T:
    """Run ``main`` in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(grace)) as runner:
        return runner.run(main)
