"""Every example runs as its docstring says, against the embedded backend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.e2e.conftest import Backend
from tests.e2e.conftest import backend as backend

pytestmark = pytest.mark.engine

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_a_script(backend: Backend) -> None:
    done = example("script.py", "--steps", "10")
    assert done.returncode == 0, done.stderr
    assert "from-a-script: completed" in done.stdout
    assert "final loss " in done.stdout


def test_a_smoke_test_in_ci_is_green_and_short(backend: Backend) -> None:
    done = example("ci_smoke.py", ARKOR_SMOKE="1")
    assert done.returncode == 0, done.stderr
    assert "smoke: completed" in done.stdout


def test_a_smoke_test_goes_red(backend: Backend, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"messages": "no list of messages"}\n' * 5)
    done = example("ci_smoke.py", ARKOR_SMOKE="1", SMOKE_DATA=str(data))
    assert done.returncode == 1
    assert "failed" in done.stderr


def test_every_night_has_its_date(backend: Backend) -> None:
    done = example("nightly.py", "--steps", "6")
    assert done.returncode == 0, done.stderr
    assert f"support-bot-{date.today():%Y-%m-%d}: completed" in done.stdout


def test_two_runs_in_sequence(backend: Backend) -> None:
    done = example("two_runs.py", "sequence", "--steps", "5")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("rank")] == [
        "rank-4: completed", "rank-16: completed"
    ]  # fmt: skip


def test_two_runs_side_by_side(backend: Backend) -> None:
    done = example("two_runs.py", "parallel", "--steps", "5")
    assert done.returncode == 0, done.stderr
    assert "rank-4: completed" in done.stdout
    assert "rank-16: completed" in done.stdout


def test_one_abort_stops_both_on_the_backend(backend: Backend) -> None:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "two_runs.py"), "parallel", "--steps", "5000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: sum(job["status"] in ("queued", "running") for job in jobs(backend)) == 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out.count("The backend says that the run is cancelled.") == 2
    assert {job["status"] for job in jobs(backend)} == {"cancelled"}


def jobs(backend: Backend) -> list[dict[str, str]]:
    """As the backend's own database has them."""
    import httpx

    token = (backend.data_dir / "local" / "token").read_text().strip()
    answer = httpx.get(
        f"{backend.url}/v1/jobs?orgSlug=local&projectSlug=demo-project",
        headers={"Authorization": f"Bearer {token}", "X-Arkor-Client": "arkor/0.0.3"},
    )
    found: list[dict[str, str]] = answer.json()["jobs"]
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_web_route(backend: Backend) -> None:
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    sys.path.insert(0, str(EXAMPLES.parent))
    try:
        from examples.web_route import app
    finally:
        sys.path.remove(str(EXAMPLES.parent))

    with TestClient(app) as client:
        first = client.post("/runs", json={"name": "for-anna", "steps": 8})
        second = client.post("/runs", json={"name": "for-ben", "steps": 5000})
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] != second.json()["id"]

        def status(answer: object) -> str:
            told: str = client.get(f"/runs/{answer}").json()["status"]
            return told

        until(lambda: status(first.json()["id"]) == "completed")
        assert client.get(f"/runs/{first.json()['id']}").json()["loss"] > 0
        stopped = client.delete(f"/runs/{second.json()['id']}")
        assert stopped.json()["stopped"] is True
        until(lambda: status(second.json()["id"]) == "cancelled")
        assert client.get("/runs/none").status_code == 404


def test_the_workflow_runs_the_smoke_test() -> None:
    workflow = (EXAMPLES / "ci_smoke.yml").read_text()
    assert "python examples/ci_smoke.py" in workflow
    assert 'ARKOR_SMOKE: "1"' in workflow


def test_the_data_is_what_a_chat_dataset_is() -> None:
    rows = (EXAMPLES / "data" / "tickets.jsonl").read_text().splitlines()
    assert len(rows) == 60
    assert all(json.loads(row)["messages"][-1]["role"] == "assistant" for row in rows)
