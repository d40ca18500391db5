"""A disk without room: jobs wait for it, and none is lost or left between two states.

The limit on the size of files stands for the disk: it can be set and lifted from outside, anywhere.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from .conftest import Server, everything, job, open_client, submit, until

_NO_LIMIT = resource.RLIM_INFINITY


def limit_files(server: Server, size: int) -> None:
    """From now on no file of the server may grow beyond ``size`` bytes."""
    assert server.process is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, _NO_LIMIT))


def logged(server: Server, text: str) -> None:
    """Until the server's log holds this."""
    while text not in (server.data_dir / "server.log").read_text():
        time.sleep(0.02)


def full(server: Server) -> None:
    """Let nothing more be written: the -wal of the store has no room left."""
    limit_files(server, (server.data_dir / "backend.db-wal").stat().st_size)


def intact(server: Server) -> None:
    with closing(sqlite3.connect(server.data_dir / "backend.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_job_goes_on_once_there_is_room(
    server: Server, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    steps = [f"log {step}" for step in range(2, 200)]
    async with open_client(server) as client:
        request = script("started", "log 1", f"wait {go}", *steps, "checkpoint 200", "complete")
        job_id = await submit(client, request)
        seen = await until(client, job_id, "training.log")
        full(server)
        go.touch()
        # the log has room below the limit of the store's file
        logged(server, "its events cannot be stored")
        refused = await client.post("/v1/jobs", json=script("started"))
        assert refused.status_code == 507
        assert "free space" in refused.json()["error"]
        assert (await job(client, job_id))["status"] == "running"
        told = await until(client, job_id, "ping")
        assert json.loads(told[-1].data)["waits"].startswith("its events cannot be stored: ")
        limit_files(server, _NO_LIMIT)
        sent = await everything(client, job_id)
    sent = [frame for frame in sent if frame.event != "ping"]
    assert [frame.id for frame in sent[:-1]] == [str(n) for n in range(1, len(sent))]
    assert [frame.data for frame in sent[: len(seen)]] == [frame.data for frame in seen]
    numbers = [json.loads(f.data)["step"] for f in sent if f.event == "training.log"]
    assert numbers == list(range(1, 200))
    assert sent[-2].event == "training.completed"
    intact(server)


async def test_a_cancelled_job_is_cancelled_once_there_is_room(
    server: Server, script: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with open_client(server) as client:
        steps = [f"log {step}" for step in range(2, 200)]
        request = script("started", "log 1", f"wait {go}", *steps, "wait /nowhere")
        job_id = await submit(client, request)
        await until(client, job_id, "training.log")
        full(server)
        go.touch()
        logged(server, "its events cannot be stored")
        taken = await client.post(f"/v1/jobs/{job_id}/cancel")
        assert taken.status_code == 200
        # only what is on disk is told
        assert (await job(client, job_id))["status"] == "running"
        limit_files(server, _NO_LIMIT)
        sent = [f for f in await everything(client, job_id) if f.event != "ping"]
        assert (await job(client, job_id))["status"] == "cancelled"
        other = await submit(client, script("started", "complete"))
        assert (await everything(client, other))[-2].event == "training.completed"
    assert [frame.id for frame in sent[:-1]] == [str(n) for n in range(1, len(sent))]
    assert json.loads(sent[-2].data)["error"] == "Job cancelled"
    intact(server)


def test_a_store_that_cannot_be_opened_is_told(server: Server, make_server: Any) -> None:
    server.stop()
    file = server.data_dir / "backend.db"
    content = b"this is no database\n" * 100
    file.write_bytes(content)
    again = make_server()
    assert "cannot use its store" in again.first_line["error"]
    assert str(file) in again.first_line["error"]
    assert "begins a new one" in again.first_line["hint"]
    assert file.read_bytes() == content
