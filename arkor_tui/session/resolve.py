"""Which run is meant: one rule for every command and for the app.

``latest`` is the newest run of this folder's project. Any other text is looked for as a job id,
then as a name, then as the beginning of a job id; this folder's project goes first, and all others
count only where it has none. ``local:``, ``cloud:`` or ``import:`` before it says where to look. A
recording that was imported is meant only where no run is. What means several runs is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.archive.records import IMPORTED, RunIdentity, RunQuery, RunRecord, utc_time
from arkor_tui.config.local_backend import LOCAL_ORG
from arkor_tui.config.slugs import project_slug
from arkor_tui.config.state import read_state
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.text.sanitize import one_line

if TYPE_CHECKING:
    from arkor_tui.api.jobs import Job
    from arkor_tui.archive.store import Archive
    from arkor_tui.connect.connection import Connection

LATEST = "latest"
RUN_HELP = (
    "a job id, a run's name, the beginning of a job id, or `latest`, the newest run of this "
    "folder's project; `local:`, `cloud:` or `import:` before it says where"
)
_PLACES = ("local", "cloud", IMPORTED)
_MOST_SHOWN = 10
_ALL = "`arkor-tui runs` lists those of all projects."

Project = tuple[str, str]
"""Organisation and project."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run as its backend or the archive knows it."""

    identity: RunIdentity
    name: str
    status: str
    created_at: str
    record: RunRecord | None = None
    """None where the archive does not know it."""
    job: Job | None = None
    """None where its backend was not asked."""

    @property
    def is_imported(self) -> bool:
        """Whether it is a recording that was taken in."""
        return self.identity.backend == IMPORTED

    @property
    def project(self) -> Project:
        """Where it belongs to."""
        return self.identity.org, self.identity.project


class AmbiguousRunError(UsageError):
    """A text means several runs; the message lists them."""

    def __init__(self, text: str, runs: Sequence[Found]) -> None:
        lines = [_line(run) for run in runs[:_MOST_SHOWN]]
        if len(runs) > _MOST_SHOWN:
            lines.append(f"and {len(runs) - _MOST_SHOWN} more")
        super().__init__(
            "\n".join([f"{text!r} means {len(runs)} runs:", *lines]),
            hint="Write the job id of the one that is meant.",
        )
        self.runs = tuple(runs)


def _line(run: Found) -> str:
    identity = run.identity
    fields = (identity.job_id, run.name, run.status, run.created_at[:19], identity.where)
    return "  ".join(one_line(field, limit=80) for field in fields)


def projects_of(folder: Path) -> set[Project]:
    """The projects that a folder stands for: on the embedded backend, and where it was used."""
    here = folder.resolve()
    found = {(LOCAL_ORG, project_slug(here.name))}
    if (state := read_state(here)) is not None:
        found.add((state.org_slug, state.project_slug))
    return found


def archived_run(
    archive: Archive, text: str, folder: Path, *, backend: str | None = None
) -> RunRecord:
    """The archived run that is meant, without asking any backend.

    Raises:
        AmbiguousRunError: the text means several.
        UsageError: it means none.
        sqlite3.Error: the archive cannot be read.
    """
    here = projects_of(folder)
    found = choose(text, _archived(archive, text, here), here, backend)
    if found is None or found.record is None:
        newest = [_of_record(run) for run in archive.runs(RunQuery(live_first=False), limit=5)]
        raise _none(text, folder, "in the archive", newest)
    return found.record


async def find_run(
    text: str,
    folder: Path,
    *,
    read: Callable[[Callable[[Archive], list[Found]]], Awaitable[list[Found]]],
    connect: Callable[[], Awaitable[Connection]],
    backend: str | None = None,
) -> Found:
    """The run that is meant among those of the archive and those that the backend lists.

    The backend is asked unless the text is a whole job id that the archive knows; where it cannot
    be, what the archive knows has to do. Nothing is written. ``backend`` is the only one that
    counts, where it is given.

    Raises:
        AmbiguousRunError: the text means several.
        UsageError: it means none.
        ArkorTuiError: it means none in the archive, and the backend cannot be asked.
    """
    here = projects_of(folder)
    known = await read(lambda archive: _archived(archive, text, here))
    word = _parted(text)[1]
    if any(run.identity.job_id == word and not run.is_imported for run in known):
        found = choose(text, known, here, backend)
        if found is not None:
            return found
    try:
        connection = await connect()
        jobs = await connection.client.list_jobs(connection.scope)
    except ArkorTuiError:
        found = choose(text, known, here, backend)
        if found is None:
            raise
        return found
    here.add((connection.scope.org_slug, connection.scope.project_slug))
    listed = [_of_job(job, connection, known) for job in jobs]
    places = {run.identity for run in listed}
    rest = [run for run in known if run.identity not in places]
    found = choose(text, [*listed, *rest], here, backend)
    if found is None and word != LATEST:
        found = await _asked_for(word, connection)
    if found is None:
        scope = connection.scope
        where = f"at {connection.base_url} ({scope.org_slug}/{scope.project_slug})"
        raise _none(text, folder, where, sorted(listed, key=_age, reverse=True))
    return found


async def _asked_for(job_id: str, connection: Connection) -> Found | None:
    """A job that its backend does not list."""
    from arkor_tui.api.errors import ApiError

    try:
        job = (await connection.client.get_job(connection.scope, job_id)).job
    except ApiError as error:
        if error.status in (400, 404):
            return None
        raise
    return _of_job(job, connection, ())


def choose(
    text: str, runs: Iterable[Found], here: set[Project], backend: str | None = None
) -> Found | None:
    """The run that is meant among some; None where it is none of them.

    Raises:
        AmbiguousRunError: the text means several.
    """
    place, word = _parted(text)
    only = place or backend
    runs = list(runs)
    pool = [run for run in runs if only in (None, run.identity.backend)]
    if word == LATEST:
        return max(
            (run for run in pool if run.project in here),
            key=lambda run: (not run.is_imported, run.created_at),
            default=None,
        )
    if place is None and backend is not None:  # who asks a backend for a recording is told so
        pool += [run for run in runs if run.is_imported]
    rules: tuple[Callable[[Found], bool], ...] = (
        lambda run: run.identity.job_id == word,
        lambda run: run.name == word,
        lambda run: run.identity.job_id.startswith(word),
    )
    for rule in rules:
        for imported in (False, True):
            hits = [run for run in pool if run.is_imported == imported and rule(run)]
            hits = [run for run in hits if run.project in here] or hits
            if len({run.identity.job_id for run in hits}) > 1:
                raise AmbiguousRunError(text, sorted(hits, key=_age, reverse=True))
            if hits:  # a job that was seen at two addresses is one run
                return max(hits, key=_age)
    return None


def _parted(text: str) -> tuple[str | None, str]:
    """Where to look, and for what."""
    place, colon, word = text.partition(":")
    return (place, word) if colon and place in _PLACES else (None, text)


def _archived(archive: Archive, text: str, here: set[Project]) -> list[Found]:
    place, word = _parted(text)
    if not word:
        raise UsageError("Name a run.", hint=f"RUN is {RUN_HELP}.")
    if word != LATEST:
        return [_of_record(run) for run in archive.find(word)]
    queries = [RunQuery(backend=place, org=o, project=p, live_first=False) for o, p in here]
    return [_of_record(run) for query in queries for run in archive.runs(query, limit=50)]


def _of_record(run: RunRecord) -> Found:
    return Found(run.identity, run.name, run.status, run.created_at, record=run)


def _of_job(job: Job, connection: Connection, known: Iterable[Found]) -> Found:
    from arkor_tui.archive.sink import identity_of

    identity = identity_of(connection, job.id)
    record = next((run.record for run in known if run.identity == identity), None)
    return Found(identity, job.name, job.status, utc_time(job.created_at) or "", record, job)


def _age(run: Found) -> tuple[str, int]:
    return run.created_at, run.record.events if run.record is not None else 0


def _none(text: str, folder: Path, where: str, newest: Sequence[Found]) -> UsageError:
    what = (
        f"no run {text!r}" if _parted(text)[1] != LATEST else f"no run of the project in {folder}"
    )
    if not newest:
        return UsageError(f"There is {what} {where}.", hint=f"There are no runs there. {_ALL}")
    lines = "\n".join(_line(run) for run in newest[:5])
    return UsageError(
        f"There is {what} {where}.",
        hint=f"Newest runs there:\n{lines}\n{_ALL}",
    )
