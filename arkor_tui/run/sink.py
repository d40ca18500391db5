"""Where a run is kept while it is followed: what an archive fulfils without importing this."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from arkor_tui.api.jobs import Job
from arkor_tui.api.stream import StreamEvent
from arkor_tui.ended import Ended

from .findings import Finding


class Keeper(Protocol):
    """Keep what recipes find and remember over restarts. Raises for no disk."""

    async def keep(self, finding: Finding) -> None:
        """Keep a finding."""

    async def mark(self, mark: str) -> bool:
        """Set a mark; False where it was set before."""

    async def was_marked(self, mark: str) -> bool:
        """Tell whether a mark is set."""


class Sink(Keeper, Protocol):
    """Take one run's events in their order. Nothing here raises for a disk that is full.

    With ``resumes`` the source goes on after ``last_event_id``, as what came before is kept.
    """

    resumes: bool
    last_event_id: str | None

    def past(self) -> AsyncGenerator[list[tuple[StreamEvent, bool]], None]:
        """Give the kept events, a page at a time, each with whether callbacks had heard it."""

    async def put(self, events: Sequence[StreamEvent]) -> None:
        """Take events to be written soon; wait only while there is no room."""

    async def flush(self) -> bool:
        """Write what was put; False where that cannot be done at the moment."""

    def heard(self) -> None:
        """Remember that callbacks have heard the next event, of those of the past and then put."""

    async def end(self, job: Job, ended: Ended | None) -> None:
        """Write how the run ended, after everything that was put; None leaves what is known."""
