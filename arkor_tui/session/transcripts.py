"""What was said to models: transcripts, the prompt library, samples of golden prompts."""

from __future__ import annotations

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.matrix import SampleMatrix
from arkor_tui.archive.records import Exchange, Prompt


class Transcripts:
    """Questions and answers. Calls may raise :class:`~arkor_tui.archive.errors.ArchiveError`."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive

    async def of_run(self, run_key: int | None, *, limit: int = 500) -> list[Exchange]:
        """List what was said to a run, or to anything; newest first."""
        return await self._archive.read(lambda a: a.exchanges(run_key, limit=limit))

    async def samples(self, run_key: int) -> SampleMatrix:
        """Lay out the answers to golden prompts: prompts by checkpoints."""
        return SampleMatrix(await self._archive.read(lambda a: a.samples(run_key)))


class PromptLibrary:
    """Prompts that were kept. Calls may raise ArchiveError, as those of :class:`Transcripts`."""

    def __init__(self, archive: AsyncArchive) -> None:
        self._archive = archive

    async def all(self) -> list[Prompt]:
        """List the kept prompts."""
        return await self._archive.read(lambda a: a.prompts())

    async def keep(self, prompt: Prompt) -> None:
        """Keep a prompt; one of the same name is replaced."""
        await self._archive.write(lambda a: a.save_prompt(prompt))
