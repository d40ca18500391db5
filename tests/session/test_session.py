"""One sitting: which backend it talks to, what it keeps of others, and what it takes up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from arkor_tui.api.errors import ApiError, ConnectionFailedError
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.scope import Scope
from arkor_tui.archive.records import IMPORTED, RunIdentity, RunRecord
from arkor_tui.chat.target import Target
from arkor_tui.config.folders import config_dir
from arkor_tui.connect import connection as connecting
from arkor_tui.connect import embedded
from arkor_tui.connect.connection import Connection
from arkor_tui.errors import UsageError
from arkor_tui.session import supervision
from arkor_tui.session.asking import targets_of
from arkor_tui.session.recipe_host import lock_path_of, take_lock
from arkor_tui.session.session import Session
from arkor_tui.session.supervision import Supervisor, SupervisorError
from arkor_tui.session.updates import Problem
from tests.support.archive_material import job
from tests.support.frames import END, completed, started
from tests.support.scripted import JOB, Answer, Server, stream
from tests.support.trainers import Recorder, attached, unconnected

SCOPE = Scope("local", "demo-project")


@pytest_asyncio.fixture
async def session(server: Server, project: Path, token: None) -> AsyncIterator[Session]:
    """A session that has been told to use the scripted server."""
    async with Session.open(project, server.url) as opened:
        yield opened


async def registered(session: Session, backend: str, job_id: str = "job-1") -> RunRecord:
    identity = RunIdentity(backend, SCOPE.org_slug, SCOPE.project_slug, job_id)
    key = await session.archive.write(lambda a: a.register(identity, job(job_id, "running")))
    return await record_of(session, key)


async def record_of(session: Session, key: int) -> RunRecord:
    found = await session.archive.read(lambda a: a.run(key))
    assert found is not None
    return found


async def test_a_backend_is_connected_to_once_and_kept(server: Server, session: Session) -> None:
    assert session.backend_name == server.url
    first = await session.connect()
    assert (first.base_url, first.scope) == (server.url, SCOPE)
    assert await session.connect() is first
    assert await session.connect(server.url) is first
    assert session.problem is None


async def test_several_who_ask_at_once_share_a_connection(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Connection] = []

    async def connect(*_args: Any, **_options: Any) -> Connection:
        made.append(server.connection())
        await asyncio.sleep(0)
        return made[-1]

    monkeypatch.setattr(connecting, "connect", connect)
    record = await registered(session, server.url)
    asked = [session.connect(), session.connection_for(record), session.connect()]
    assert {id(one.client) for one in await asyncio.gather(*asked)} == {id(made[0].client)}
    assert len(made) == 1


async def test_another_backend_is_used_from_now_on_and_the_old_one_is_kept(
    server: Server, session: Session
) -> None:
    first = await session.connect()
    other = server.url.replace("127.0.0.1", "localhost")
    assert (await session.connect(other)).base_url == other
    assert session.backend_name == other
    record = await registered(session, server.url)
    assert await session.connection_for(record) is first
    session.enter(session.folder)
    assert await session.connection_for(record) is first
    assert session.backend == other


async def test_a_run_of_a_backend_that_was_not_used_yet_gets_a_connection_beside(
    server: Server, session: Session
) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    record = await registered(session, other)
    beside = await session.connection_for(record)
    assert beside.base_url == other
    assert session.connection is None
    assert await session.connection_for(record) is beside
    # the one that is chosen is this sitting's own
    chosen = await session.connection_for(await registered(session, server.url, "job-2"))
    assert session.connection is chosen
    elsewhere = await registered(session, server.url, "job-3")
    identity = RunIdentity(server.url, "my-org", "mine", "job-4")
    key = await session.archive.write(lambda a: a.register(identity, job("job-4")))
    scoped = await session.connection_for(await record_of(session, key))
    assert scoped.scope == Scope("my-org", "mine")
    assert scoped.client is chosen.client
    assert await session.connection_for(elsewhere) is chosen


async def test_nobody_is_asked_about_an_imported_recording(session: Session) -> None:
    record = await registered(session, IMPORTED)
    with pytest.raises(UsageError, match="is an imported recording, and no backend"):
        await session.connection_for(record)


async def test_what_keeps_it_from_a_backend_is_kept_until_it_works(
    server: Server, session: Session
) -> None:
    with pytest.raises(UsageError):
        await session.connect("nonsense")
    assert session.problem == Problem(
        "Unknown backend 'nonsense'.",
        "Use `local`, `cloud`, or a URL that starts with http:// or https://.",
    )
    await session.connect(server.url)
    assert session.problem is None


async def test_the_list_of_jobs_comes_into_the_archive(server: Server, session: Session) -> None:
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": [JOB, {**JOB, "id": "job-9"}]})
    await session.refresh()
    runs = await session.archive.read(lambda a: a.runs())
    assert {run.identity.job_id for run in runs} == {"job-1", "job-9"}
    server.answers["GET /v1/jobs"] = Answer(500, {"error": "no database"})
    with pytest.raises(ApiError):
        await session.refresh()
    assert session.problem is not None
    assert session.problem.message == "no database"
    assert session.connection is not None


@pytest.mark.parametrize("kind", ["local", "url"])
async def test_an_embedded_backend_that_is_gone_is_looked_for_again(
    server: Server, session: Session, kind: Any
) -> None:
    connection = await session.connect()
    connection.kind, connection.base_url = kind, "http://127.0.0.1:1"
    with pytest.raises(ConnectionFailedError):
        await session.refresh()
    assert (session.connection is None) == (kind == "local")


async def test_settings_that_are_wrong_are_told_and_settle_nothing(home: Path) -> None:
    async with Session.open(home) as session:
        await session.settle()
        assert session.backend_name == "local"
        (config_dir() / "settings.toml").write_text("backend = 7\n")
        await session.settle()
        assert session.problem is not None
        assert "settings" in session.problem.message
        assert session.backend_name == "local"


async def test_following_again_wakes_an_embedded_backend_that_does_not_answer(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []

    async def ensure(*, after_stop: bool, **_options: Any) -> None:
        woken.append("after a stop too" if after_stop else "after a crash")

    monkeypatch.setattr(embedded, "ensure_embedded_backend", ensure)
    server.job = {**JOB, "status": "running"}
    server.script(stream(started(), asyncio.Event()))
    monitor = await session.view(await registered(session, server.url))
    assert await session.view(monitor.record) is monitor  # type: ignore[arg-type]
    await session.follow(monitor)
    await server.asked_for("/events/stream")
    assert session.monitors.live == [monitor]
    await session.follow(monitor)
    monitor.state = StreamState("reconnecting", 1)
    await session.follow(monitor)
    assert woken == []
    (await monitor.trainer.connection()).kind = "local"
    await session.follow(monitor)
    await session.follow(monitor, asked=True)
    # r15: the app by itself undoes no stop, and a person may
    assert woken == ["after a crash", "after a stop too"]
    assert len(server.openings) == 1


async def test_each_target_is_asked_as_what_it_is(server: Server, session: Session) -> None:
    run = await registered(session, server.url)
    reply = {"choices": [{"message": {"role": "assistant", "content": "x"}}]}
    server.answers["POST /v1/inference/chat"] = Answer(200, reply)
    await session.infer(None, Target("base", model="org/model"))("hi")
    known = await targets_of(session, run)
    for target in (known.at("base"), known.at("final"), known.at("checkpoint", 25)):
        await session.infer(run, target)("hi")
    sent = [request.json for request in server.asked("POST", "/v1/inference/chat")]
    assert [body.get("baseModel") for body in sent[:2]] == ["org/model", "arkor-tui/tiny"]
    assert [body["adapter"] for body in sent[2:]] == [
        {"kind": "final", "jobId": "job-1"},
        {"kind": "checkpoint", "jobId": "job-1", "step": 25},
    ]


async def test_what_is_done_after_the_end_of_a_sitting_is_refused(session: Session) -> None:
    async def work() -> None:
        raise AssertionError("never begun")

    async with Session.open(session.folder) as other:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        other.monitors.own(work(), name="late")


# the hands that recipes are in


def a_recipe_file(record: RunRecord) -> None:
    """What the recipes of a run can be loaded from."""
    lock_path_of(record).with_suffix(".py").write_text("")


def outcome(monkeypatch: pytest.MonkeyPatch, *outcomes: Supervisor | Exception) -> None:
    """How the starts of supervisors come out."""
    left = list(outcomes)

    async def start(_record: RunRecord, _archive: Path) -> Supervisor:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(supervision, "start_supervisor", start)


async def handed_over(session: Session) -> None:
    for task in asyncio.all_tasks():
        if task.get_name() == "hand over":
            await task


async def test_callbacks_of_a_trainer_file_are_handed_over(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    file = project / "trainer.py"
    file.touch()
    outcome(monkeypatch, Supervisor(7, 2))
    server.script(stream(started(), asyncio.Event()))
    trainer = unconnected(Recorder(), Recorder())
    monitor = await session.start(trainer, trainer_file=str(file))
    await handed_over(session)
    assert trainer.callbacks == []
    record = await record_of(session, monitor.key)
    assert (record.recipes, record.trainer_file) == (2, str(file))
    lost = await session.supervision.lost(server.url)
    assert [one.key for one in lost] == [record.key]  # its first events may come meanwhile
    assert await session.supervision.lost("local") == []


async def test_recipes_that_were_typed_are_written_down_and_recalled(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome(monkeypatch, SupervisorError("no room", hint="Make some."))
    server.script(stream(started(), completed(), END))
    trainer = unconnected()
    source = '# set up in arkor-tui: {"guard_ceiling": "5.0"}\n'
    monitor = await session.start(trainer, recipe_source=source)
    await handed_over(session)
    assert monitor.problems == [
        Problem("Guards, probes and notifications of this run do not work: no room", "Make some.")
    ]
    record = await record_of(session, monitor.key)
    assert record.recipes == 1
    assert await session.supervision.recalled(record) == {"guard_ceiling": "5.0"}
    assert await session.supervision.printed(record) == []
    log = lock_path_of(record).with_suffix(".log")
    log.write_bytes(b"first\nl\xffst\n")
    assert await session.supervision.printed(record) == ["first", "l\ufffdst"]


async def test_callbacks_without_a_file_stay_where_they_are(
    server: Server, session: Session
) -> None:
    server.script(stream(started(), completed(), END))
    trainer = unconnected(seen := Recorder())
    monitor = await session.start(trainer)
    await handed_over(session)
    assert trainer.callbacks == [seen]
    assert (await record_of(session, monitor.key)).recipes == 0
    assert await session.supervision.recalled(monitor.record) == {}  # type: ignore[arg-type]


async def test_callbacks_of_a_script_that_was_killed_are_not_looked_for_for_ever(
    server: Server, session: Session
) -> None:
    """r17: they are in no file, so that nobody can run them again."""
    record = await registered(session, server.url)
    await session.archive.write(lambda a: a.set_recipes(record.key, 1, None))
    assert await session.supervision.lost(server.url) == []
    a_recipe_file(record)
    assert [run.key for run in await session.supervision.lost(server.url)] == [record.key]


async def test_a_run_that_is_being_watched_is_not_lost(server: Server, session: Session) -> None:
    record = await registered(session, server.url)
    a_recipe_file(record)
    await session.archive.write(lambda a: a.set_recipes(record.key, 1, None))
    assert [run.key for run in await session.supervision.lost(server.url)] == [record.key]
    lock = await take_lock(record)
    assert await session.supervision.lost(server.url) == []
    assert await session.supervision.host(record) is not None
    assert not await session.supervision.stop(record)  # not a supervisor that could be ended
    lock.release()
    assert await session.supervision.stop(record)
    assert (await record_of(session, record.key)).recipes == 0


async def test_what_is_being_started_is_not_lost_either(
    server: Server, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await registered(session, server.url)
    await session.archive.write(lambda a: a.set_recipes(record.key, 1, None))
    a_recipe_file(record)
    lost: list[list[RunRecord]] = []

    async def start(_record: RunRecord, _archive: Path) -> Supervisor:
        lost.append(await session.supervision.lost(server.url))
        raise SupervisorError("not now")

    monkeypatch.setattr(supervision, "start_supervisor", start)
    with pytest.raises(SupervisorError):
        await session.supervision.start(record)
    assert lost == [[]]
    assert len(await session.supervision.lost(server.url)) == 1


async def test_services_that_are_none_or_not_set_up_are_told(session: Session) -> None:
    told = await session.supervision.test_notify(["pigeon", "slack"])
    assert told[0] == ("pigeon", False, "not one of slack, discord, webhook, apprise, bell")
    name, ok, text = told[1]
    assert (name, ok) == ("slack", False)
    assert "slack" in text.lower()


async def test_a_cancellation_goes_on_though_nobody_waits_for_it(
    server: Server, session: Session
) -> None:
    server.obeys = True
    server.job = {**JOB, "status": "running"}
    monitor = await session.view(await registered(session, server.url))
    asked = asyncio.create_task(session.cancel(monitor, "by hand"))
    await server.cancelled.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    state = await session.cancel(monitor)
    assert state.confirmed
    assert len(server.cancellations) == 1
    assert monitor.trainer.stop_reason == "by hand"


async def test_a_complete_run_is_known(server: Server, session: Session) -> None:
    server.script(stream(started(), completed(), END))
    monitor = await session.monitors.start(attached(server))
    for task in asyncio.all_tasks():
        if task.get_name() == "follow":
            await task
    assert monitor.record is not None
    assert await session.is_complete(monitor.record)
    assert not await session.is_complete(await registered(session, "local", "job-5"))
    assert session.monitors.get(monitor.key) is monitor
    assert session.monitors.live == []
