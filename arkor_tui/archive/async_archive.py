"""The archive for the event loop: one thread writes, another reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .schema import failed
from .store import Archive

T = TypeVar("T")


class AsyncArchive:
    """``await archive.read(lambda a: a.run(key))`` and ``await archive.write(…)``.

    A long search in the reading thread holds up no event on its way to disk.
    """

    def __init__(self, writer: Archive, reader: Archive) -> None:
        self.notice = writer.notice
        self.path = writer.path
        self._writer, self._reader = writer, reader
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="archive-write")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="archive-read")

    @classmethod
    async def open(cls, path: Path | None = None) -> AsyncArchive:
        """Open the archive at ``path``, by default the user's.

        Raises:
            ArchiveError: it is from a newer version, or cannot be opened or made.
        """

        def both() -> AsyncArchive:
            writer = Archive.open(path)
            try:
                return cls(writer, Archive.open(writer.path))
            except BaseException:
                writer.close()
                raise

        return await asyncio.to_thread(both)

    async def read(self, work: Callable[[Archive], T]) -> T:
        """Run ``work``, which only reads, in the reading thread.

        Raises:
            ArchiveError: the file cannot be read.
        """
        return await self._run(self._reading, work, self._reader)

    async def write(self, work: Callable[[Archive], T]) -> T:
        """Run ``work`` in the writing thread; what was begun is finished even if nobody waits.

        Raises:
            ArchiveError: the file cannot be written, for want of space for instance.
        """
        return await self._run(self._writing, work, self._writer)

    async def _run(
        self, thread: ThreadPoolExecutor, work: Callable[[Archive], T], archive: Archive
    ) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, work, archive)
        except sqlite3.Error as error:
            raise failed(self.path, error) from error

    async def aclose(self) -> None:
        """Wait for what was begun, then close."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self._writer.close()
        self._reader.close()
