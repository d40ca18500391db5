"""Commands that act on a run: which one is meant, and what they leave in the archive."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from arkor_tui.archive.export import export_run, import_run
from arkor_tui.archive.records import RunIdentity, RunRecord
from arkor_tui.archive.schema import archive_path
from arkor_tui.archive.store import Archive
from arkor_tui.cli import main
from tests.support.archive_material import job
from tests.support.scripted import BEARER, JOB, JOB_ID, Answer, Server

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "token"
    path.touch(0o600)
    path.write_text(BEARER)
    monkeypatch.setenv("ARKOR_TUI_TOKEN_FILE", str(path))


async def command(*words: str) -> int:
    """A command in a thread, where it may have a loop of its own."""
    return await asyncio.to_thread(main, list(words))


def running(server: Server, *ids: str) -> None:
    """Jobs of one name that run on the server."""
    server.job = {**JOB, "status": "running"}
    jobs = [{**server.job, "id": job_id} for job_id in ids]
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": jobs})


def archived() -> RunRecord:
    with Archive.open() as archive:
        return archive.find(JOB_ID)[0]


def told(capsys: Capture) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


async def test_a_cancelled_run_is_archived_at_once(server: Server, capsys: Capture) -> None:
    """r6: with who and why, although no process follows the run."""
    running(server, JOB_ID)
    server.obeys = True
    assert await command("cancel", "latest", "--backend", server.url, "--json") == 0
    assert told(capsys)["status"] == "cancelled"
    run = archived()
    assert run.status == "cancelled"
    assert run.ended is not None
    assert (run.ended.by, run.ended.sentence) == ("person", "Cancelled by `arkor-tui cancel`.")
    assert run.identity == RunIdentity(server.url, "local", "demo-project", JOB_ID)


async def test_a_name_that_means_two_runs_is_not_cancelled(server: Server, capsys: Capture) -> None:
    """s5: both are listed, and no request is sent."""
    running(server, JOB_ID, "job-2")
    assert await command("cancel", "triage-run", "--backend", server.url) == 2
    err = capsys.readouterr().err
    assert "'triage-run' means 2 runs:" in err
    assert "job-1  triage-run  running  2026-08-07T10:00:00" in err
    assert "job-2" in err
    assert server.cancellations == []


async def test_a_run_is_cancelled_without_an_archive(
    server: Server, capsys: Capture, home: Path
) -> None:
    """r6: a broken archive keeps nobody from stopping what costs money."""
    running(server, JOB_ID)
    server.obeys = True
    archive_path().mkdir()
    assert await command("cancel", "triage-run", "--backend", server.url) == 0
    out, err = capsys.readouterr()
    assert "cancelled" in out
    assert "It is not archived that the run has ended" in err
    assert len(server.cancellations) == 1


async def test_a_recording_says_that_it_is_one(
    server: Server, capsys: Capture, project: Path
) -> None:
    identity = RunIdentity("local", "local", "demo-project", JOB_ID)
    with Archive.open() as archive:
        key = archive.register(identity, job(status="completed"))
        with (project / "r.jsonl").open("w") as out:
            export_run(archive, key, "jsonl", out)
        import_run(archive, project / "r.jsonl")
    # both have one job id: the list tells them apart, and what is advised means the recording
    assert await command("cancel", f"import:{JOB_ID}", "--backend", "local") == 2
    assert f"`arkor-tui runs show import:{JOB_ID}`" in capsys.readouterr().err
    assert await command("runs") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.endswith("WHERE")
    assert sorted(row[head.index("WHERE") :] for row in rows) == [
        "imported recording",
        "local/local/demo-project",
    ]
    with Archive.open() as archive:
        archive.delete([key])
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": []})
    for words in (["cancel"], ["attach"], ["chat"]):
        prompt = ["hello"] if words == ["chat"] else []
        assert await command(*words, "triage-run", *prompt, "--backend", "local") != 0
        assert "is an imported recording" in capsys.readouterr().err


async def test_a_job_that_its_backend_has_forgotten(server: Server, capsys: Capture) -> None:
    identity = RunIdentity(server.url, "local", "demo-project", "job-8")
    with Archive.open() as archive:
        archive.register(identity, job("job-8"))
    server.answers["GET /v1/jobs/job-8"] = Answer(404, {"error": "no such job"})
    assert await command("cancel", "job-8", "--backend", server.url) == 1
    err = capsys.readouterr().err
    assert f"{server.url} does not know triage-run (job-8) any more" in err
    assert "arkor-tui runs show job-8" in err


async def test_a_moment_of_trouble_is_no_reason_to_leave_a_run_training(
    server: Server, capsys: Capture
) -> None:
    """r6: the request is repeated, and the job is asked again."""
    running(server, JOB_ID)
    job = {**server.job, "status": "running"}
    busy = Answer(503, {"error": "busy"})
    server.answers[f"POST /v1/jobs/{JOB_ID}/cancel"] = [busy, Answer(200, {"ok": True})]
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = [
        Answer(200, {"job": job}), busy, Answer(200, {"job": {**job, "status": "cancelled"}}),
    ]  # fmt: skip
    assert await command("cancel", JOB_ID, "--backend", server.url, "--json") == 0
    assert told(capsys)["status"] == "cancelled"
    assert archived().status == "cancelled"
    assert len(server.cancellations) == 2


async def test_a_run_that_does_not_end_in_time_is_not_called_cancelled(
    server: Server, capsys: Capture
) -> None:
    """r6: nothing is archived that nobody has said."""
    running(server, JOB_ID)
    code = await command("cancel", JOB_ID, "--backend", server.url, "--timeout", "0")
    assert code == 1
    err = capsys.readouterr().err
    assert "took the request but did not confirm within 0 s" in err
    assert f"arkor-tui attach {JOB_ID}" in err
