"""Archived runs as screens ask for them: lists, one run, its curves, what people change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import (
    LIVE_STATUSES,
    CheckpointRow,
    FindingRow,
    RunQuery,
    RunRecord,
)
from arkor_tui.archive.series import Series

if TYPE_CHECKING:
    from arkor_tui.recipes.whatif import GuardSettings, WhatIf

CURVES = ("loss", "evalLoss")


class Runs:
    """Runs of the archive. Every call may raise :class:`~arkor_tui.archive.errors.ArchiveError`."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive

    # finding

    async def page(
        self, query: RunQuery | None = None, *, limit: int = 100, offset: int = 0
    ) -> list[RunRecord]:
        """Give a page of the runs that match."""
        return await self._archive.read(lambda a: a.runs(query, limit=limit, offset=offset))

    async def next_name(self, name: str) -> str:
        """Give the next name that no run has: ``orders-2``, then ``orders-3``, and so on."""
        head, _, tail = name.rpartition("-")
        is_numbered = bool(head) and tail.isdecimal() and len(tail) < 6
        head, first = (head, int(tail) + 1) if is_numbered else (name, 2)
        taken = await self._archive.read(lambda a: a.names(f"{head}-"))
        return next(found for n in count(first) if (found := f"{head}-{n}") not in taken)

    async def count(self, query: RunQuery | None = None) -> int:
        """Count the runs that match."""
        return await self._archive.read(lambda a: a.count(query))

    async def first_page(self, query: RunQuery, *, limit: int = 100) -> tuple[int, list[RunRecord]]:
        """Count the runs that match and give the first, read at one moment."""
        return await self._archive.read(lambda a: (a.count(query), a.runs(query, limit=limit)))

    async def live(self, backend: str, *, limit: int = 10) -> list[RunRecord]:
        """Give the runs of a backend that have not ended."""
        return await self.page(RunQuery(statuses=LIVE_STATUSES, backend=backend), limit=limit)

    async def get(self, key: int) -> RunRecord | None:
        """Give one run; None where there is none, or it was deleted."""
        return await self._archive.read(lambda a: a.run(key))

    async def fresh(self, record: RunRecord) -> RunRecord:
        """Read a run once more; the same where it is gone."""
        return await self.get(record.key) or record

    async def known(self, keys: Sequence[int]) -> list[RunRecord]:
        """Give those of some runs that exist, in the same order."""
        return await self._archive.read(lambda a: [run for key in keys if (run := a.run(key))])

    async def among(self, keys: Sequence[int], query: RunQuery) -> list[int]:
        """Give those of some runs that match, ascending."""
        return await self._archive.read(lambda a: a.among(keys, query)) if keys else []

    # one run

    async def curves(self, key: int, names: Sequence[str] = CURVES) -> dict[str, Series]:
        """Read metrics of a run by name; one that was never logged is empty."""
        return await self._archive.read(lambda a: a.load_series(key, names))

    async def checkpoints(self, key: int) -> list[CheckpointRow]:
        """List the checkpoints of a run, oldest first."""
        return await self._archive.read(lambda a: a.checkpoints(key))

    async def findings(self, key: int, kind: str | None = None) -> list[FindingRow]:
        """List what recipes found about a run; of one kind where it is given."""
        return await self._archive.read(lambda a: a.findings(key, kind))

    async def what_if(self, key: int, settings: GuardSettings) -> WhatIf:
        """Run the log of a run through other guard settings."""
        from arkor_tui.recipes.whatif import what_if

        from .whatif import observations

        return await self._archive.read(lambda a: what_if(observations(a, key), settings))

    # what people change

    async def tag(self, key: int, tags: Iterable[str]) -> None:
        """Replace the tags of a run."""
        await self._archive.write(lambda a: a.set_tags(key, tags))

    async def note(self, key: int, note: str) -> None:
        """Replace the note of a run."""
        await self._archive.write(lambda a: a.set_note(key, note))

    async def delete(self, keys: Sequence[int]) -> None:
        """Hide runs; they can be brought back for seven days. Touches no backend."""
        await self._archive.write(lambda a: a.delete(keys))

    async def undelete(self, keys: Sequence[int]) -> None:
        """Bring deleted runs back."""
        await self._archive.write(lambda a: a.undelete(keys))
