"""Where a command's or a script's run is kept: the archive, and the right to run its callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunRecord
from arkor_tui.archive.sink import EXPECTED, ArchiveSink, register
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.run.trainer import Trainer

from .recipe_host import hosting, take_lock

Note = Callable[[str], None]


@asynccontextmanager
async def archived(
    trainer: Trainer, *, origin: str, note: Note, own_callbacks: bool
) -> AsyncIterator[ArchiveSink | None]:
    """Archive what a started trainer sees, while it is followed.

    None where there is no archive that could be used: the run is followed all the same, and
    ``note`` gets the reason, once. ``own_callbacks``: the trainer's callbacks are those of the run,
    which one process at a time runs, and which go on after the last event that they heard.

    Raises:
        AlreadyHostedError: another process runs the callbacks of the run.
    """
    hears = own_callbacks and bool(trainer.callbacks)
    async with AsyncExitStack() as stack:
        try:
            archive = await AsyncArchive.open()
            stack.push_async_callback(archive.aclose)
            record = await register_run(archive, trainer, origin=origin, hears=hears)
        except EXPECTED as error:
            note(f"The run is not archived: {error}")
            yield None
            return
        if hears:
            try:
                lock = await take_lock(record)
            except WriteFailedError as error:  # nobody can hold it, and the run costs money
                note(f"Other processes cannot see that this one runs the callbacks: {error}")
            else:
                await stack.enter_async_context(hosting(lock, trainer, "command"))
        sink = ArchiveSink(archive, record, resumes=hears, hears=hears, patient=False)
        sink.on_trouble = _Once(note)
        yield await stack.enter_async_context(sink)


async def register_run(
    archive: AsyncArchive, trainer: Trainer, *, origin: str, hears: bool = True
) -> RunRecord:
    """Take a started trainer's job into the archive, with the callbacks that watch over it.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    job = trainer.job
    assert job is not None
    return await register(
        archive,
        await trainer.connection(),
        job,
        trainer_file=str(trainer.file) if trainer.file is not None else None,
        origin=origin,
        recipes=len(trainer.callbacks) if hears else 0,
    )


class _Once:
    """Say once that the archive cannot be written, whatever comes of it."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._said = False

    def __call__(self, error: Exception | None) -> None:
        if error is not None and not self._said:
            self._said = True
            self._note(
                f"The archive cannot be written ({error}). The run goes on; the app fills the gap "
                "later, as the backend keeps the events."
            )
