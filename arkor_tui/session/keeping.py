"""From a trainer's recipes into the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from arkor_tui.api.events import MalformedEventError, parse_event
from arkor_tui.api.stream import StreamEvent
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import LogRow, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.run.findings import Finding
from arkor_tui.run.trainer import Trainer

PAGE = 1_000
"""Archived events that are read at a time."""


class ArchiveKeeper:
    """Keeps findings and marks of one run; ``on_kept`` is called when a finding is on disk."""

    def __init__(
        self, archive: AsyncArchive, key: int, on_kept: Callable[[Finding], None] = lambda _: None
    ) -> None:
        self._archive = archive
        self._key = key
        self._on_kept = on_kept

    async def keep(self, finding: Finding) -> None:
        """Keep a finding; a sample replaces an earlier one of the same prompt and target."""
        key = self._key
        if finding.kind == "sample":
            sample = sample_of(key, finding)
            await self._archive.write(lambda a: a.save_sample(sample))
        else:
            await self._archive.write(
                lambda a: a.save_finding(
                    key, finding.kind, finding.name, finding.step, finding.data
                )
            )
        self._on_kept(finding)

    async def mark(self, mark: str) -> bool:
        """Set a mark; False where it was set before, by whichever process."""
        return await self._archive.write(lambda a: a.set_mark(self._key, mark))

    async def was_marked(self, mark: str) -> bool:
        """Whether a mark is set."""
        return await self._archive.read(lambda a: a.is_marked(self._key, mark))


def sample_of(key: int, finding: Finding) -> Sample:
    """A finding of kind ``sample`` as the archive keeps it."""
    data = finding.data
    target = str(data.get("target", "checkpoint"))
    return Sample(
        run_key=key,
        probe=finding.name,
        prompt=int(data.get("prompt", 0)),
        step=None if target == "base" else finding.step,
        reply=str(data.get("reply", "")),
        passed=data.get("passed"),
        verdict=str(data.get("verdict", "")),
        target=target,
        text=str(data.get("text", "")),
        seconds=data.get("seconds"),
    )


async def tell_past(archive: AsyncArchive, key: int, trainer: Trainer) -> None:
    """Tell a trainer's recipes what was archived of its run before this process watched it.

    Raises:
        ArkorTuiError: the job cannot be asked for.
        CallbackError: a recipe raised (unless errors are only reported).
    """
    await trainer.start()
    after = 0
    while rows := await archive.read(partial(_page, key, after)):
        trainer.replay(_events(rows))
        after = rows[-1].seq


def _page(key: int, after: int, archive: Archive) -> list[LogRow]:
    return archive.log(key, after=after, limit=PAGE)


def _events(rows: Sequence[LogRow]) -> Iterator[StreamEvent]:
    for row in rows:
        with suppress(MalformedEventError):
            yield StreamEvent(row.id, parse_event(row.data), row.data)
