"""Jobs from submission to their end."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.amounts import patience

from .conftest import Server, everything, frames, job, submit, until


async def test_a_run_from_queued_to_completed(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(
        client, script("started", "log 1", "log 2", "checkpoint 2", "complete", name="demo")
    )
    sent = await everything(client, job_id)
    assert [frame.event for frame in sent] == [
        "training.started",
        "training.log",
        "training.log",
        "checkpoint.saved",
        "training.completed",
        "end",
    ]
    assert [frame.id for frame in sent[:-1]] == ["1", "2", "3", "4", "5"]
    for frame in sent[:-1]:
        data = json.loads(frame.data)
        assert data["type"] == frame.event
        assert data["jobId"] == job_id
        assert data["timestamp"].endswith("Z")
    assert sent[-1].data == "{}"
    told = await job(client, job_id)
    assert told["status"] == "completed"
    assert told["name"] == "demo"
    assert told["startedAt"]
    assert told["completedAt"]
    assert told["error"] is None


async def test_resuming_gives_only_what_came_later(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(client, script("started", "log 1", "log 2", "complete"))
    whole = await everything(client, job_id)
    later = await everything(client, job_id, last="2")
    assert [(frame.id, frame.data) for frame in later if frame.event != "end"] == [
        (frame.id, frame.data) for frame in whole[2:-1]
    ]
    assert [frame.event for frame in await everything(client, job_id, last="4")] == ["end"]


@pytest.mark.parametrize("last", ["999", "not-a-number", "-1", "9" * 40])
async def test_an_id_that_is_not_ours_gives_the_whole_history(
    client: httpx.AsyncClient, script: Any, last: str
) -> None:
    job_id = await submit(client, script("started", "complete"))
    assert len(await everything(client, job_id)) == 3
    assert len(await everything(client, job_id, last=last)) == 3


async def test_history_and_live_meet_without_a_gap_or_a_repeat(
    client: httpx.AsyncClient, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    count = 1500
    lines = [f"log {step}" for step in range(1, count + 1)]
    job_id = await submit(
        client, script("started", *lines[:700], f"wait {go}", *lines[700:], "complete")
    )
    readers = [asyncio.ensure_future(everything(client, job_id)) for _ in range(8)]
    await until(client, job_id, "training.log")
    go.touch()
    for sent in await asyncio.gather(*readers):
        assert [int(frame.id) for frame in sent[:-1]] == list(range(1, count + 3))


async def test_a_quiet_stream_shows_that_it_lives(make_server: Any, script: Any) -> None:
    from .conftest import open_client

    server = make_server(ping_seconds=0.05)
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "wait /nowhere/at/all"))
        pings = [frame for frame in await until(client, job_id, "ping") if frame.event == "ping"]
        assert pings[0].data == "{}"
        await client.post(f"/v1/jobs/{job_id}/cancel")


async def test_cancelling_a_running_job(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(client, script("started", "unfinished", "log 1", "wait /nowhere"))
    await until(client, job_id, "training.log")
    begin = time.monotonic()
    response = await client.post(f"/v1/jobs/{job_id}/cancel")
    assert time.monotonic() - begin < patience(2)
    assert response.json()["job"]["status"] == "cancelled"
    sent = await everything(client, job_id)
    assert [frame.event for frame in sent[-2:]] == ["training.failed", "end"]
    assert json.loads(sent[-2].data)["error"] == "Job cancelled"
    again = await client.post(f"/v1/jobs/{job_id}/cancel")
    assert again.status_code == 200
    assert len(await everything(client, job_id)) == len(sent)


async def test_a_child_that_ignores_the_cancel_is_killed_in_time(
    client: httpx.AsyncClient, script: Any, server: Server
) -> None:
    request = script("started", "deaf", "unfinished", "log 1", "wait /nowhere")
    job_id = await submit(client, request)
    await until(client, job_id, "training.log")
    begin = time.monotonic()
    response = await client.post(f"/v1/jobs/{job_id}/cancel")
    assert time.monotonic() - begin < patience(2.5)
    assert response.json()["job"]["status"] == "cancelled"
    assert not list((server.data_dir / "jobs" / job_id / "checkpoints").glob(".tmp-*"))


async def test_cancelling_a_queued_job_and_then_the_running_one(
    client: httpx.AsyncClient, script: Any
) -> None:
    running = await submit(client, script("started", "wait /nowhere"))
    await until(client, running, "training.started")
    queued = await submit(client, script("started", "complete"))
    assert (await job(client, queued))["status"] == "queued"
    assert (await client.post(f"/v1/jobs/{queued}/cancel")).json()["job"]["status"] == "cancelled"
    assert (await client.post(f"/v1/jobs/{running}/cancel")).status_code == 200
    assert [frame.event for frame in await everything(client, queued)] == ["training.failed", "end"]


async def test_a_job_has_one_terminal_event_whoever_is_faster(
    client: httpx.AsyncClient, script: Any
) -> None:
    for _ in range(12):
        job_id = await submit(client, script("started", "log 1", "complete"))
        await asyncio.gather(
            until(client, job_id, "training.log"),
            *(client.post(f"/v1/jobs/{job_id}/cancel") for _ in range(3)),
            return_exceptions=True,
        )
        events = [frame.event for frame in await everything(client, job_id)]
        ended = [name for name in events if name in ("training.completed", "training.failed")]
        status = (await job(client, job_id))["status"]
        assert len(ended) == 1
        assert status == ("completed" if ended == ["training.completed"] else "cancelled")
        assert events[-1] == "end"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("die 7", ["exit code 7", "went wrong"]),
        ("kill", ["SIGKILL", "memory"]),
        ("fail the data is \x1b[31mbad", ["the data is bad"]),
    ],
)
async def test_a_child_that_fails_says_why(
    client: httpx.AsyncClient, script: Any, line: str, expected: list[str]
) -> None:
    job_id = await submit(client, script("started", line))
    sent = await everything(client, job_id)
    assert sent[-2].event == "training.failed"
    error = json.loads(sent[-2].data)["error"]
    assert all(text in error for text in expected)
    assert "\x1b" not in error
    assert (await job(client, job_id))["error"] == error


@pytest.mark.parametrize(
    "line", ["raw nonsense", "raw []", 'raw {"type": 5}', "raw null", 'raw {"no": "type"}', "raw "]
)
async def test_a_line_that_makes_no_sense_is_passed_over(
    client: httpx.AsyncClient, script: Any, line: str
) -> None:
    job_id = await submit(client, script("started", line, "log 1", "complete"))
    assert (await everything(client, job_id))[-2].event == "training.completed"


async def test_a_message_without_its_fields_fails_the_job_and_not_the_queue(
    client: httpx.AsyncClient, script: Any
) -> None:
    broken = await submit(client, script("started", 'raw {"type": "checkpoint"}', "wait /nowhere"))
    sent = await everything(client, broken)
    assert sent[-2].event == "training.failed"
    fine = await submit(client, script("started", "complete"))
    assert (await everything(client, fine))[-2].event == "training.completed"


async def test_json_never_holds_nan(client: httpx.AsyncClient, script: Any) -> None:
    job_id = await submit(client, script("started", "nan 1", "complete"))
    log = next(f for f in await everything(client, job_id) if f.event == "training.log")
    assert "NaN" not in log.data
    data = json.loads(log.data)
    assert data["loss"] is None
    assert data["nonFinite"] == {"loss": "nan"}


async def test_jobs_are_listed_newest_first_within_their_scope(
    client: httpx.AsyncClient, script: Any
) -> None:
    scope = {"orgSlug": "local", "projectSlug": "one"}
    ids = []
    for number in range(3):
        request = script("started", "complete", name=f"run-{number}")
        made = await client.post("/v1/jobs", params=scope, json=request)
        ids.append(made.json()["job"]["id"])
    listed = (await client.get("/v1/jobs", params=scope)).json()["jobs"]
    assert [each["id"] for each in listed] == ids[::-1]
    other = {**scope, "projectSlug": "two"}
    assert (await client.get("/v1/jobs", params=other)).json()["jobs"] == []


async def test_a_reader_that_leaves_disturbs_nobody(
    client: httpx.AsyncClient, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job_id = await submit(client, script("started", "log 1", f"wait {go}", "log 2", "complete"))
    async for _ in frames(client, job_id):
        break
    go.touch()
    assert len(await everything(client, job_id)) == 5


async def test_the_dataset_token_is_not_told(client: httpx.AsyncClient, server: Server) -> None:
    source = {"type": "blob", "url": "https://x.invalid/a.jsonl?sig=s3cret", "token": "t0ken"}
    request = {"name": "x", "config": {"model": "arkor-tui/tiny", "datasetSource": source}}
    made = await client.post("/v1/jobs", json=request)
    assert made.status_code == 201
    told = (await client.get("/v1/jobs")).text + made.text
    assert "t0ken" not in told
    assert "s3cret" not in told
    assert "https://x.invalid/a.jsonl" in told
