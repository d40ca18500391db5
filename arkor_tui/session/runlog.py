"""The archived log of a run, in pages, filtered and searched."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LogRow


class RunLog:
    """Events of any run. Every call may raise :class:`~arkor_tui.archive.errors.ArchiveError`."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive

    async def count(self, key: int) -> int:
        """Count the events of a run."""
        return await self._archive.read(lambda a: a.count_events(key))

    async def page(self, key: int, *, after: int, limit: int) -> Sequence[LogRow]:
        """Give events with a number above ``after``."""
        return await self._archive.read(lambda a: a.log(key, after=after, limit=limit))

    async def matching(
        self, key: int, *, kinds: Collection[str] = (), text: str = ""
    ) -> Sequence[int]:
        """Number the events of these kinds that hold a text; no kind means every kind."""
        return await self._archive.read(lambda a: a.matching(key, kinds=kinds, text=text))

    async def count_matching(self, key: int, text: str) -> int:
        """Count the events that hold a text."""
        return await self._archive.read(lambda a: a.count_matching(key, text))

    async def rows(self, key: int, numbers: Sequence[int]) -> Sequence[LogRow]:
        """Give the events with these numbers."""
        return await self._archive.read(lambda a: a.rows_at(key, numbers))

    async def search(self, key: int, text: str, *, start: int, forward: bool) -> int | None:
        """Find the next event from ``start`` on that holds a text; None where none does."""
        return await self._archive.read(lambda a: a.search(key, text, start=start, forward=forward))

    async def of_step(self, key: int, step: int) -> int | None:
        """Find the number of the event that belongs to a step; None where none does."""
        return await self._archive.read(lambda a: a.row_of_step(key, step))
