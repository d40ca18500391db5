"""A run that a command follows: archived like one of the app, its recipes run by one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from arkor_tui.api.events import step_of
from arkor_tui.api.stream import StreamEvent
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import NewEvent, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.trainer import Trainer

from .keeping import ArchiveKeeper, tell_past
from .monitor import identity_of
from .recipe_host import hosting, take_lock


@dataclass(slots=True)
class HeadlessRun:
    """A submitted run in the archive, on behalf of a command."""

    archive: AsyncArchive
    record: RunRecord
    trainer: Trainer

    async def keep_end(self) -> None:
        """Write how the run ended."""
        result, key = self.trainer.result, self.record.key
        if result is not None:
            job = result.job
            await self.archive.write(
                lambda a: a.set_status(key, job.status, job.error, reason=result.reason)
            )


async def register(archive: AsyncArchive, trainer: Trainer, *, origin: str) -> HeadlessRun:
    """Take a trainer's job into the archive; the trainer was started.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    job = trainer.job
    assert job is not None
    identity = identity_of(await trainer.connection(), job.id)
    file = str(trainer.file) if trainer.file is not None else None
    count = len(trainer.callbacks)

    def write(a: Archive) -> RunRecord | None:
        key = a.register(identity, job, trainer_file=file, origin=origin)
        if count:
            a.set_recipes(key, count, file)
        return a.run(key)

    record = await archive.write(write)
    assert record is not None
    return HeadlessRun(archive, record, trainer)


@asynccontextmanager
async def headless(
    trainer: Trainer,
    *,
    origin: str = "command",
    note: Callable[[str], None],
) -> AsyncIterator[HeadlessRun | None]:
    """Archive what a started trainer sees, each event before its callbacks.

    None where there is no archive that could be used: the run is followed all the same, and
    ``note`` gets the reason.
    """
    async with AsyncExitStack() as stack:
        try:
            archive = await AsyncArchive.open()
            stack.push_async_callback(archive.aclose)
            run = await register(archive, trainer, origin=origin)
        except ArkorTuiError as error:
            note(f"The run is not archived: {error}")
            yield None
            return
        if trainer.callbacks:
            lock = await take_lock(run.record)
            await stack.enter_async_context(hosting(lock, trainer, "command"))
        trainer.hooks.keeper = ArchiveKeeper(archive, run.record.key)
        if trainer.callbacks and run.record.events:
            await tell_past(archive, run.record.key, trainer)
        trainer.on_event = _archiving(run, note)
        yield run
        try:
            await run.keep_end()
        except ArkorTuiError as error:
            note(f"How the run ended is not archived: {error}")


def _archiving(
    run: HeadlessRun, note: Callable[[str], None]
) -> Callable[[StreamEvent], Awaitable[None]]:
    """Write each event; after a failure no more, so that the app can fill the gap later."""
    failed = False

    async def keep(item: StreamEvent) -> None:
        nonlocal failed
        if failed:
            return
        event, key = item.event, run.record.key
        new = NewEvent(item.id, event.type, step_of(event), event.timestamp, item.data)
        try:
            await run.archive.write(lambda a: a.append(key, [new]))
        except ArkorTuiError as error:
            failed = True
            note(
                f"The archive cannot be written any more ({error}); the app fills the gap later, "
                "as the backend keeps the events."
            )

    return keep
