"""Work that recipes do beside the stream, owned by the run that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .errors import CallbackError


class Background:
    """Tasks of one run: awaited at its end, cancelled where waiting for it is given up.

    What a task raises is kept in ``errors`` until somebody takes it.
    """

    def __init__(self) -> None:
        self.errors: list[CallbackError] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Begin a piece of work on the running event loop."""
        task = asyncio.get_running_loop().create_task(self._do(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # where it was cancelled before it began
        return task

    async def _do(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # the last two would end the event loop, and with it whoever follows the run
            self.errors.append(CallbackError(name, "work in the background", error))

    def take(self) -> list[CallbackError]:
        """Give what was raised since the last call."""
        errors, self.errors = self.errors, []
        return errors

    async def finish(self) -> None:
        """Wait for everything, also for what is begun meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)
            await asyncio.sleep(0)  # the callbacks of done tasks run in the loop's next turn

    async def cancel(self) -> None:
        """End everything now."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            await asyncio.sleep(0)
