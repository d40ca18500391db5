"""One followed run on its way into the archive: batches, retries, and what callbacks have heard.

It fulfils the protocol of ``arkor_tui.run.sink`` without knowing it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, Self

from arkor_tui.api.events import MalformedEventError, parse_event, step_of
from arkor_tui.api.jobs import Job
from arkor_tui.api.stream import StreamEvent
from arkor_tui.connect.connection import Connection
from arkor_tui.ended import Ended
from arkor_tui.errors import ArkorTuiError

from .async_archive import AsyncArchive
from .delivery import DeliveredMark
from .records import LogRow, NewEvent, RunIdentity, RunRecord, Sample
from .store import Archive

WRITE_SECONDS = 0.05
"""Between two batches, unless somebody waits for one."""
MOST_WAITING = 5_000
"""Events in memory that are not on disk yet; beyond it the stream has to wait."""
RETRY_SECONDS = 5.0
"""Between attempts to write to an archive that cannot be written."""
PAGE = 1_000
"""Archived events that are read at a time."""
EXPECTED = (ArkorTuiError, OSError)
"""What the archive or the disk may raise."""


class Found(Protocol):
    """What a recipe found, as ``arkor_tui.run.findings`` has it."""

    @property
    def kind(self) -> str:
        """``sample``, ``guard`` or ``notice``."""

    @property
    def name(self) -> str:
        """The recipe's."""

    @property
    def step(self) -> int | None:
        """Where the run was."""

    @property
    def data(self) -> dict[str, Any]:
        """JSON values."""


def identity_of(connection: Connection, job_id: str) -> RunIdentity:
    """Tell how the archive knows a job of this connection."""
    scope = connection.scope
    return RunIdentity(connection.name, scope.org_slug, scope.project_slug, job_id)


class ArchiveSink:
    """Keep one run. An asynchronous context that owns the task that writes.

    ``resumes``: what is archived is not asked of the backend again. ``hears``: the callbacks are
    the run's own, so that they go on after the last event that they heard, and what they heard is
    remembered. ``patient``: a disk that is full is waited for, as in the app; otherwise the sink
    gives up, once too much waits or the run has ended. ``on_rows`` hears of what is on disk, with
    the run as it is then, ``on_kept`` of findings that are, and ``on_trouble`` of why nothing can
    be written (None: it can again).
    """

    def __init__(
        self,
        archive: AsyncArchive,
        record: RunRecord,
        *,
        resumes: bool,
        hears: bool,
        patient: bool,
    ) -> None:
        self.archive = archive
        self.key = record.key
        self.resumes = resumes
        self.last_event_id = record.last_event_id
        self.on_rows: Callable[[tuple[LogRow, ...], RunRecord | None], None] = lambda *_: None
        self.on_kept: Callable[[Any], None] = lambda _: None
        self.on_trouble: Callable[[Exception | None], None] = lambda _: None
        self._hears = hears
        self._patient = patient
        self._last_seq = record.events
        self._mark = DeliveredMark(archive.path, record.key)
        self._pending: deque[NewEvent] = deque()
        self._findings: deque[Found] = deque()
        self._seqs: deque[int] = deque()  # of written events that callbacks have not heard
        self._heard = 0  # of the events to come: callbacks were faster than the disk
        self._trouble: Exception | None = None
        self._gave_up = False
        self._closing = False
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._tried = asyncio.Event()
        self._leave = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._hears:
            await self.archive.write(self._mark.open)
        self._writing = asyncio.create_task(self._write(), name="archive writer")
        self._writing.add_done_callback(lambda _: self._tried.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what waits, with one try, and stop."""
        self._stop_writing()
        writing = self._writing
        assert writing is not None
        try:
            await writing
        finally:
            if self._hears:
                with suppress(*EXPECTED):
                    await self.archive.write(self._mark.keep)
                self._mark.close()

    def _wake(self) -> None:
        self._hurry.set()
        self._arrived.set()

    def _stop_writing(self) -> None:
        self._closing = True
        self._leave.set()
        self._wake()

    # what the loop that follows a run asks

    async def past(self) -> AsyncGenerator[list[tuple[StreamEvent, bool]], None]:
        """Give what is archived, a page at a time, and whether callbacks had heard it."""
        after, heard = 0, self._mark.seq
        while rows := await self.archive.read(partial(_page, self.key, after)):
            page: list[tuple[StreamEvent, bool]] = []
            for row in rows:
                with suppress(MalformedEventError):
                    event = StreamEvent(row.id, parse_event(row.data), row.data)
                    page.append((event, row.seq <= heard))
                    if row.seq > heard:
                        self._seqs.append(row.seq)
            after = rows[-1].seq
            yield page

    async def put(self, events: Sequence[StreamEvent]) -> None:
        """Take events to be written soon; wait only while too many do."""
        if self._gave_up:
            return
        for item in events:
            event = item.event
            self._pending.append(
                NewEvent(item.id, event.type, step_of(event), event.timestamp, item.data)
            )
        self._arrived.set()
        while len(self._pending) >= MOST_WAITING and not self._gave_up:
            if self._trouble is not None and not self._patient:
                self._give_up()
                return
            self._room.clear()
            self._hurry.set()
            await self._room.wait()

    async def flush(self) -> bool:
        """Write what was put; False where that cannot be done at the moment."""
        while self._pending and self._trouble is None and not self._is_over():
            self._tried.clear()
            self._wake()
            await self._tried.wait()
        return not self._pending and not self._gave_up

    def heard(self) -> None:
        """Remember that callbacks have heard the next event."""
        if self._hears:
            self._heard += 1
            self._note_heard()

    def _note_heard(self) -> None:
        seq = 0
        while self._heard and self._seqs:
            seq = self._seqs.popleft()
            self._heard -= 1
        if seq:
            self._mark.set(seq)

    async def keep(self, finding: Found) -> None:
        """Keep a finding; a sample replaces an earlier one of the same prompt and target."""
        self._findings.append(finding)
        while finding in self._findings and self._trouble is None and not self._is_over():
            self._tried.clear()
            self._wake()
            await self._tried.wait()

    async def mark(self, mark: str) -> bool:
        """Set a mark; False where it was set before, by whichever process."""
        if not self._hears:  # callbacks of their own, beside those of the run
            return True
        try:
            return await self.archive.write(lambda a: a.set_mark(self.key, mark))
        except EXPECTED as error:
            self._tell_trouble(error)
            return True

    async def was_marked(self, mark: str) -> bool:
        """Whether a mark is set."""
        if not self._hears:
            return False
        try:
            return await self.archive.read(lambda a: a.is_marked(self.key, mark))
        except EXPECTED as error:
            self._tell_trouble(error)
            return False

    async def end(self, job: Job, ended: Ended | None) -> None:
        """Write how the run ended, after everything that was put."""
        while self._pending and not self._is_over():
            if not await self.flush() and not self._patient:
                break
            if self._pending:
                self._tried.clear()
                await self._tried.wait()
        while True:
            try:
                await self.archive.write(partial(write_end, self.key, job, ended))
            except EXPECTED as error:
                self._tell_trouble(error)
                if not self._patient:
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if not self._pending:
                    self._tell_trouble(None)
                return

    # the task that writes

    def _is_over(self) -> bool:
        writing = self._writing
        if writing is not None and writing.done() and not writing.cancelled():
            writing.result()  # a fault of ours must not look like a disk that is slow
        return self._gave_up or writing is None or writing.done()

    async def _write(self) -> None:
        """Put on disk what arrived, then tell; at most every ``WRITE_SECONDS``."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._hurry.clear()
            try:
                await self._write_pending()
            except EXPECTED as error:
                self._tell_trouble(error)
            self._tried.set()
            if self._closing:
                return
            if self._trouble is not None:
                await _pause(RETRY_SECONDS, self._leave)
                self._arrived.set()
            else:
                await _pause(WRITE_SECONDS, self._hurry)

    async def _write_pending(self) -> None:
        while self._pending:
            batch = list(self._pending)
            rows, seqs, record = await self.archive.write(partial(self._append, batch))
            for _ in batch:
                self._pending.popleft()
            self._room.set()
            if self._hears:
                self._seqs.extend(seqs)
                self._note_heard()
            self._tell_trouble(None)
            if rows:
                self._last_seq = rows[-1].seq
                self.on_rows(rows, record)
        while self._findings:
            finding = self._findings[0]
            await self.archive.write(partial(_keep, self.key, finding))
            self._findings.popleft()
            self._tell_trouble(None)
            self.on_kept(finding)

    def _append(
        self, batch: Sequence[NewEvent], archive: Archive
    ) -> tuple[tuple[LogRow, ...], Sequence[int], RunRecord | None]:
        """Archive a batch; all that is new, whichever process wrote it, and the batch's seqs."""
        result = archive.append(self.key, batch)
        if self._hears:
            self._mark.keep(archive)
        rows, last = list(result.added), self._last_seq
        if len(rows) != len(batch) or rows[0].seq != last + 1:
            rows = []
            while page := archive.log(self.key, after=rows[-1].seq if rows else last, limit=PAGE):
                rows += page
        return tuple(rows), result.seqs, archive.run(self.key) if rows else None

    def _give_up(self) -> None:
        """Let the run go on without its archive: another sitting fills the gap from the backend."""
        self._gave_up = True
        self._pending.clear()
        self._stop_writing()
        self._room.set()

    def _tell_trouble(self, error: Exception | None) -> None:
        if str(error) != str(self._trouble):
            self._trouble = error
            self.on_trouble(error)


async def register(
    archive: AsyncArchive,
    connection: Connection,
    job: Job,
    *,
    trainer_file: str | None = None,
    origin: str = "app",
    recipes: int = 0,
) -> RunRecord:
    """Take a job into the archive, with how many callbacks watch over it.

    Raises:
        ArchiveError: the archive cannot be written.
    """
    identity = identity_of(connection, job.id)

    def write(a: Archive) -> RunRecord | None:
        key = a.register(identity, job, trainer_file=trainer_file, origin=origin)
        if recipes:
            a.set_recipes(key, recipes, trainer_file)
        return a.run(key)

    record = await archive.write(write)
    assert record is not None
    return record


async def _pause(seconds: float, until: asyncio.Event) -> None:
    """Wait, but not while somebody waits for what comes next."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()


def _page(key: int, after: int, archive: Archive) -> list[LogRow]:
    return archive.log(key, after=after, limit=PAGE)


def write_end(key: int, job: Job, ended: Ended | None, archive: Archive) -> None:
    """Keep how a run ended; why, where neither its status nor its error tells."""
    if ended is None or ended.by == "backend":  # as the status and the error tell
        archive.set_status(key, job.status, job.error)
    else:
        archive.set_end(key, job.status, job.error, ended)


def _keep(key: int, finding: Found, archive: Archive) -> None:
    if finding.kind == "sample":
        archive.save_sample(sample_of(key, finding))
    else:
        archive.save_finding(key, finding.kind, finding.name, finding.step, finding.data)


def sample_of(key: int, finding: Found) -> Sample:
    """Make a finding of kind ``sample`` what the archive keeps."""
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
