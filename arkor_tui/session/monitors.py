"""All runs that are looked at in this sitting, and the tasks that follow them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunRecord

from .updates import Update

# What talks to a backend is imported when it is needed: the list of runs is on screen before.
if TYPE_CHECKING:
    from arkor_tui.run.stopping import CancelState
    from arkor_tui.run.trainer import Trainer

    from .monitor import RunMonitor


class Monitors:
    """Owns a task for each run that is followed, and for each cancellation.

    An asynchronous context: leaving it stops following everything, while the runs go on.
    """

    def __init__(self, archive: AsyncArchive) -> None:
        self.archive = archive
        self.on_update: Callable[[RunMonitor, Update], None] = lambda _monitor, _update: None
        """Called on the event loop whenever a monitor has something new."""
        self._monitors: dict[int, RunMonitor] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._group = None
        for task in list(self._tasks):
            task.cancel()
        await self._stack.aclose()

    def __iter__(self) -> Iterator[RunMonitor]:
        return iter(list(self._monitors.values()))

    def get(self, key: int) -> RunMonitor | None:
        """The monitor of an archived run, if there is one."""
        return self._monitors.get(key)

    @property
    def live(self) -> list[RunMonitor]:
        """Monitors that follow a run that has not ended, newest first."""
        running = [m for m in self if m.following and m.record and not m.record.is_terminal]
        return sorted(running, key=lambda m: m.key, reverse=True)

    async def start(self, trainer: Trainer, *, trainer_file: str | None = None) -> RunMonitor:
        """Submit the trainer's job and follow it.

        Raises:
            ArkorTuiError: the backend refused, or could not be reached.
        """
        from .monitor import RunMonitor

        monitor = RunMonitor(self.archive, trainer, trainer_file=trainer_file)
        await monitor.open()
        self._add(monitor)
        self.follow(monitor)
        return monitor

    async def view(self, record: RunRecord) -> RunMonitor:
        """A monitor with everything that the archive knows of a run; follows nothing by itself."""
        known = self._monitors.get(record.key)
        if known is not None:
            return known
        from arkor_tui.run.trainer import Trainer

        from .monitor import RunMonitor

        monitor = RunMonitor(self.archive, Trainer.attach(record.identity.job_id), record=record)
        await monitor.load()
        return self._monitors.get(record.key) or self._add(monitor)

    def follow(self, monitor: RunMonitor) -> None:
        """Follow a run to its end; does nothing where that is done already."""
        if not monitor.following:
            self.own(monitor.follow(), name="follow")

    def cancel(self, monitor: RunMonitor, reason: str | None = None) -> asyncio.Task[CancelState]:
        """Cancel a run; goes on although nobody waits for it."""
        return self.own(monitor.cancel(reason), name="cancel")

    def _add(self, monitor: RunMonitor) -> RunMonitor:
        self._monitors[monitor.key] = monitor
        monitor.subscribe(lambda update: self.on_update(monitor, update))
        return monitor

    def own(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Do work that ends with this context at the latest."""
        if self._group is None:
            work.close()
            raise RuntimeError("the monitors are closed")
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
