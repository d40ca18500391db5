"""What survives the server's end."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent

from .conftest import Server, everything, frames, job, open_client, submit, until


async def test_after_a_kill_a_job_resumes_from_its_last_checkpoint(
    make_server: Any, script: Any, tmp_path: Path
) -> None:
    server = make_server()
    go = tmp_path / "go"
    request = script(
        "started", "log 1", "checkpoint 1", "log 2", "checkpoint 2", "log 3", f"wait {go}", "log 4",
        "complete",
    )  # fmt: skip
    async with open_client(server) as client:
        job_id = await submit(client, request)
        waiting = await submit(client, script("started", "complete"))
        before = await first(client, job_id, 6)
    server.kill()
    go.touch()
    server.start()
    async with open_client(server) as client:
        after = await everything(client, job_id)
        assert [(f.id, f.data) for f in after[: len(before)]] == [(f.id, f.data) for f in before]
        assert [int(frame.id) for frame in after[:-1]] == list(range(1, len(after)))
        assert [frame.event for frame in after].count("training.started") == 1
        resumed = [json.loads(f.data) for f in after if f.event == "training.resumed"]
        assert [(event["step"], event["metadata"]["steps"]) for event in resumed] == [(2, 100)]
        assert after[-2].event == "training.completed"
        order = json.loads((server.data_dir / "jobs" / job_id / "order.json").read_text())
        assert order["resume"].endswith("step-000002")
        assert (await everything(client, waiting))[-2].event == "training.completed"


async def test_a_job_that_waits_when_the_server_ends_begins_at_the_next_start(
    server: Server, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    request = script("started", "log 1", "checkpoint 1", f"wait {go}", "log 2", "complete")
    async with open_client(server) as client:
        running = await submit(client, request)
        waiting = await submit(client, script("started", "log 1", "complete"))
        await until(client, running, "checkpoint.saved")
    code, _ = server.stop()
    assert code == 0
    assert not (server.data_dir / "jobs" / waiting).exists(), "it has not begun in the end"
    go.touch()
    server.start()
    async with open_client(server) as client:
        for job_id in (running, waiting):
            assert (await everything(client, job_id))[-2].event == "training.completed"


async def first(client: httpx.AsyncClient, job_id: str, count: int) -> list[ServerSentEvent]:
    seen: list[ServerSentEvent] = []
    async for frame in frames(client, job_id):
        seen.append(frame)
        if len(seen) == count:
            break
    return seen


async def test_after_a_kill_a_job_without_a_checkpoint_fails_with_the_reason(
    server: Server, script: Any
) -> None:
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "log 1", "wait /nowhere"))
        await until(client, job_id, "training.log")
    server.kill()
    server.start()
    async with open_client(server) as client:
        sent = await everything(client, job_id)
        assert sent[-2].event == "training.failed"
        assert "before this job had saved a checkpoint" in json.loads(sent[-2].data)["error"]
        assert (await job(client, job_id))["status"] == "failed"


async def test_sigterm_ends_cleanly_with_streams_jobs_and_chats_open(
    server: Server, script: Any, tmp_path: Path
) -> None:
    marker = tmp_path / "stopped"
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "checkpoint 1", "wait /nowhere"))
        chat = {
            "messages": [{"role": "user", "content": f"!until={marker}"}],
            "baseModel": "arkor-tui/tiny",
        }
        async with client.stream("POST", "/v1/inference/chat", json=chat) as reply:
            async for _ in reply.aiter_bytes():
                break
            seen = []
            stopping: list[tuple[int, str]] = []
            async for frame in frames(client, job_id):
                seen.append(frame.event)
                if frame.event == "checkpoint.saved":
                    thread = threading.Thread(target=lambda: stopping.append(server.stop()))
                    thread.start()
        thread.join()
    assert stopping[0] == (0, "")
    assert "end" not in seen, "the job has not ended: a client must come back"
    assert not (server.data_dir / "backend.json").exists()
    assert "Traceback" not in (server.data_dir / "server.log").read_text()
    server.start()
    async with open_client(server) as client:
        assert (await job(client, job_id))["status"] == "running"
        await client.post(f"/v1/jobs/{job_id}/cancel")


async def test_the_orphaned_child_of_a_killed_server_ends(server: Server, script: Any) -> None:
    async with open_client(server) as client:
        job_id = await submit(client, script("started", "log 1", "wait /nowhere"))
        await until(client, job_id, "training.log")
    children = _children(server)
    assert len(children) == 2
    server.kill()
    for pid in children:
        while not _is_gone(pid):
            os.sched_yield()


def _children(server: Server) -> list[int]:
    assert server.process is not None
    task = Path(f"/proc/{server.process.pid}/task")
    if not task.exists():
        pytest.skip("needs /proc")
    return [
        int(pid) for thread in task.iterdir() for pid in (thread / "children").read_text().split()
    ]


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_everything_on_disk_is_the_owners_alone(server: Server) -> None:
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in server.data_dir.iterdir()
        if path.is_file()
    }
    assert {"token", "backend.db", "backend.json", "lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert len(server.token) >= 32


def test_the_token_is_kept_over_a_restart(server: Server) -> None:
    token = server.token
    server.stop()
    server.start()
    assert server.token == token


def test_a_second_server_on_the_same_folder_is_refused(server: Server, make_server: Any) -> None:
    second = make_server()
    assert "already serves" in second.first_line["error"]
    assert server.url in second.first_line["error"]
    assert second.first_line["hint"]


def test_a_taken_port_is_named(server: Server, make_server: Any) -> None:
    port = int(server.url.rpartition(":")[2])
    second = make_server("other", port=port)
    assert f"127.0.0.1:{port}" in second.first_line["error"]
    assert "--port" in second.first_line["hint"]


async def test_no_log_holds_the_token(server: Server, script: Any) -> None:
    async with open_client(server) as client:
        await everything(client, await submit(client, script("started", "die 1")))
        await client.get("/v1/jobs", headers={"Authorization": "Bearer wrong-token"})
    server.stop()
    for path in server.data_dir.rglob("*.log"):
        text = path.read_text()
        assert server.token not in text
        assert "wrong-token" not in text
