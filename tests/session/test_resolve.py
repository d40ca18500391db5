"""Which run is meant: by id, name, beginning or `latest`, in the archive and on a backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from arkor_tui.api.errors import ConnectionFailedError
from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunIdentity
from arkor_tui.archive.store import Archive
from arkor_tui.config.state import ProjectState, write_state
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import UsageError
from arkor_tui.session.resolve import (
    AmbiguousRunError,
    Found,
    archived_run,
    choose,
    find_run,
    projects_of,
)
from arkor_tui.session.session import Session
from tests.support.archive_material import job
from tests.support.scripted import JOB, SCOPE, Answer, Server

HERE = {("local", "here")}


def run(
    job_id: str,
    name: str = "orders",
    *,
    backend: str = "local",
    project: str = "here",
    day: int = 1,
) -> Found:
    at = f"2026-08-{day:02d}T10:00:00.000Z"
    return Found(RunIdentity(backend, "local", project, job_id), name, "running", at)


RUNS = [
    run("job_a1", "orders", day=1),
    run("job_a2", "triage", day=2),
    run("job_a2", "triage", backend="import", day=9),
    run("job_b1", "orders", project="elsewhere", day=8),
    run("job_b2", "faq", project="elsewhere", day=7),
    run("job_b3", "faq", project="elsewhere", backend="cloud", day=6),
    run("job_c1", "job_a1", day=1),
    run("job_d1", "old", backend="import", day=5),
    run("job_d1x", "old-2", day=1),
]


@pytest.mark.parametrize(
    ("text", "job_id", "backend"),
    [
        ("latest", "job_a2", "local"),  # neither a newer recording nor another project's run
        ("import:latest", "job_a2", "import"),
        ("job_a1", "job_a1", "local"),  # an id goes before a name
        ("orders", "job_a1", "local"),  # this project's run goes before others of that name
        ("triage", "job_a2", "local"),  # a run goes before its recording
        ("import:triage", "job_a2", "import"),
        ("cloud:faq", "job_b3", "cloud"),
        ("job_b2", "job_b2", "local"),  # an id is found wherever it is
        ("job_c", "job_c1", "local"),
        ("job_d1", "job_d1", "import"),  # a whole id goes before the beginning of another
        ("old", "job_d1", "import"),
    ],
)
def test_one_run_is_meant(text: str, job_id: str, backend: str) -> None:
    found = choose(text, RUNS, HERE)
    assert found is not None
    assert (found.identity.job_id, found.identity.backend) == (job_id, backend)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("faq", ["job_b2", "job_b3"]), ("job_b", ["job_b1", "job_b2", "job_b3"])],
)
def test_what_means_several_is_refused_with_the_list(text: str, ids: list[str]) -> None:
    """s5: ids, names, statuses and times of those that could be meant, the newest first."""
    with pytest.raises(AmbiguousRunError) as refused:
        choose(text, RUNS, HERE)
    first, *lines = refused.value.message.splitlines()
    assert first == f"{text!r} means {len(ids)} runs:"
    assert [line.split()[0] for line in lines] == ids
    assert all("running" in line and "2026-08-0" in line for line in lines)
    assert "job id" in (refused.value.hint or "")


def test_a_long_list_is_cut_and_says_so() -> None:
    with pytest.raises(AmbiguousRunError, match="and 2 more"):
        choose("orders", [run(f"job_{n}") for n in range(12)], HERE)


@pytest.mark.parametrize("text", ["nothing", "import:faq", "local:job_b3"])
def test_none_is_meant(text: str) -> None:
    assert choose(text, RUNS, HERE) is None


def test_only_one_backend_counts_where_it_is_named() -> None:
    found = choose("faq", RUNS, HERE, "cloud")
    assert found is not None
    assert found.identity.job_id == "job_b3"
    assert choose("latest", RUNS, HERE, "cloud") is None
    recording = choose("old", RUNS, HERE, "cloud")
    assert recording is not None
    assert recording.is_imported


def test_a_job_that_was_seen_at_two_addresses_is_one_run() -> None:
    twice = [run("job_1"), run("job_1", backend="http://127.0.0.1:8000", day=2)]
    found = choose("orders", twice, HERE)
    assert found is not None
    assert found.identity.backend == "http://127.0.0.1:8000"


def test_a_folder_stands_for_its_projects(project: Path) -> None:
    assert projects_of(project) == {("local", "demo-project")}
    write_state(ProjectState("org", "bot", "prj"), project)
    assert projects_of(project) == {("local", "demo-project"), ("org", "bot")}


def test_what_the_archive_does_not_know_is_told_with_what_it_knows(
    tmp_path: Path, project: Path
) -> None:
    with Archive.open(tmp_path / "history.db") as archive:
        with pytest.raises(UsageError, match="no run 'orders' in the archive") as refused:
            archived_run(archive, "orders", project)
        assert (refused.value.hint or "").startswith("There are no runs there.")
        archive.register(RunIdentity("local", "org", "project", "job-1"), job())
        with pytest.raises(UsageError, match="no run of the project in") as refused:
            archived_run(archive, "latest", project)
        assert "job-1  triage-run" in (refused.value.hint or "")
        with pytest.raises(UsageError, match="Name a run"):
            archived_run(archive, "", project)
        with pytest.raises(UsageError, match="Name a run"):
            archived_run(archive, "local:", project)


@pytest_asyncio.fixture
async def found(
    server: Server, archive: AsyncArchive, project: Path
) -> AsyncIterator[Callable[..., object]]:
    connection = server.connection()

    async def connect() -> Connection:
        return connection

    async def find(text: str) -> str:
        run = await find_run(text, project, read=archive.read, connect=connect)
        return run.identity.job_id

    yield find
    await connection.aclose()


def listed(server: Server, *jobs: tuple[str, str, int]) -> None:
    """What the backend lists: ids, names and days."""
    server.answers["GET /v1/jobs"] = Answer(
        200,
        {
            "jobs": [
                {**JOB, "id": job_id, "name": name, "createdAt": f"2026-08-{day:02d}T00:00:00Z"}
                for job_id, name, day in jobs
            ]
        },
    )


async def test_archive_and_backend_count_alike(
    server: Server, archive: AsyncArchive, found: Callable[..., object]
) -> None:
    """s5: another machine has started a run of the same name meanwhile."""
    identity = RunIdentity(server.url, SCOPE.org_slug, SCOPE.project_slug, "job-1")
    await archive.write(lambda a: a.register(identity, job()))
    listed(server, ("job-1", "triage-run", 7))
    assert await found("triage-run") == "job-1"  # known twice, one run
    listed(server, ("job-1", "triage-run", 7), ("job-2", "triage-run", 9))
    assert await found("latest") == "job-2"
    with pytest.raises(AmbiguousRunError, match="means 2 runs"):
        await found("triage-run")
    server.requests.clear()
    assert await found("job-1") == "job-1"
    assert server.requests == []  # a whole id needs nobody's word


async def test_a_job_that_is_not_listed_is_asked_for(
    server: Server, found: Callable[..., object]
) -> None:
    listed(server)
    assert await found("job-1") == "job-1"
    with pytest.raises(UsageError, match=f"no run 'job-9' at {server.url}"):
        await found("job-9")
    with pytest.raises(UsageError, match="no run of the project in"):
        await found("latest")


async def test_where_the_backend_is_away_the_archive_has_to_do(
    server: Server, archive: AsyncArchive, project: Path
) -> None:
    identity = RunIdentity("local", "local", "demo-project", "job-1")
    await archive.write(lambda a: a.register(identity, job()))

    async def away() -> Connection:
        raise ConnectionFailedError("away")

    for text in ("latest", "triage-run", "job-"):
        run = await find_run(text, project, read=archive.read, connect=away)
        assert run.identity == identity
    with pytest.raises(ConnectionFailedError):
        await find_run("unknown", project, read=archive.read, connect=away)


async def test_a_session_takes_in_what_only_the_backend_knows(
    server: Server, archive: AsyncArchive, project: Path, token: None
) -> None:
    listed(server, ("job-1", "triage-run", 7))
    async with Session.open(project, server.url, archive_path=archive.path) as session:
        record = await session.find_run("latest")
        assert record.identity.job_id == "job-1"
        assert (await session.find_run("triage-run")).key == record.key
