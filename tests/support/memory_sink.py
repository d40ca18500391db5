"""Where a run is kept in a test: a list of events, and marks that outlive trainers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from arkor_tui import Trainer
from arkor_tui.api.jobs import Job
from arkor_tui.api.stream import StreamEvent
from arkor_tui.ended import Ended
from arkor_tui.run.findings import Finding
from arkor_tui.run.sink import Keeper


class MemorySink:
    """Keeps everything in memory. Callbacks have heard all of ``past``."""

    def __init__(self, past: Iterable[StreamEvent] = (), keeper: Keeper | None = None) -> None:
        self.resumes = True
        self.last_event_id: str | None = None
        self.events = list(past)
        self.count_heard = len(self.events)
        self.findings: list[Finding] = []
        self.marks: set[str] = set()
        self.ends: list[tuple[Job, Ended | None]] = []
        self.keeper: Keeper = keeper or self

    def use(self, trainer: Trainer) -> MemorySink:
        """Have the trainer's run kept here."""

        @asynccontextmanager
        async def opened(_: Trainer) -> AsyncIterator[MemorySink]:
            yield self

        trainer.open_sink = opened
        return self

    async def past(self) -> AsyncGenerator[list[tuple[StreamEvent, bool]], None]:
        heard = self.count_heard
        yield [(event, number < heard) for number, event in enumerate(self.events)]

    async def put(self, events: Sequence[StreamEvent]) -> None:
        self.events += [event for event in events if event not in self.events]

    async def flush(self) -> bool:
        return True

    def heard(self) -> None:
        self.count_heard += 1

    async def end(self, job: Job, ended: Ended | None) -> None:
        self.ends.append((job, ended))

    async def keep(self, finding: Finding) -> None:
        if self.keeper is self:
            self.findings.append(finding)
        else:
            await self.keeper.keep(finding)

    async def mark(self, mark: str) -> bool:
        if self.keeper is not self:
            return await self.keeper.mark(mark)
        is_new = mark not in self.marks
        self.marks.add(mark)
        return is_new

    async def was_marked(self, mark: str) -> bool:
        if self.keeper is not self:
            return await self.keeper.was_marked(mark)
        return mark in self.marks
