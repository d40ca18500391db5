"""Every example runs as its docstring says, against the embedded backend."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Backend
from tests.e2e.conftest import backend as backend
from tests.support.amounts import patience

EXAMPLES = Path(__file__).parents[2] / "examples"

engine = pytest.mark.engine


def example(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True, text=True, check=False, timeout=patience(120),
        env={**os.environ, **environment},
    )  # fmt: skip


def interrupted(name: str, *, when: list[str]) -> tuple[int, str]:
    """Exit code and output of an example that gets SIGINT once it has printed all of ``when``."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), "--steps", "5000"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        while not all(part in said for part in when):
            line = process.stdout.readline()
            assert line, f"it ended early:\n{said}"
            said += line
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=patience(60))[0]
    finally:
        process.kill()
        process.wait()
    return process.returncode, said


def asked(backend: Backend, path: str) -> Any:
    token = (backend.data_dir / "local" / "token").read_text().strip()
    answer = httpx.get(
        f"{backend.url}{path}?orgSlug=local&projectSlug=demo-project",
        headers={"Authorization": f"Bearer {token}", "X-Arkor-Client": "arkor/0.0.3"},
    )
    return answer.raise_for_status().json()


def ends(backend: Backend) -> dict[str, str]:
    """Status by name, as the backend itself has them."""
    return {job["name"]: job["status"] for job in asked(backend, "/v1/jobs")["jobs"]}


# a script


@engine
def test_a_script(backend: Backend) -> None:
    done = example("script.py", "--steps", "10")
    assert done.returncode == 0, done.stderr
    assert "from-a-script: completed" in done.stdout
    assert re.search(r"^final loss \d+\.\d{3}$", done.stdout, re.M)
    assert ends(backend) == {"from-a-script": "completed"}


# CI


@engine
def test_a_smoke_test_in_ci_is_green_and_a_dry_run(backend: Backend) -> None:
    done = example("ci_smoke/smoke.py", ARKOR_SMOKE="1")
    assert done.returncode == 0, done.stderr
    assert "smoke: completed" in done.stdout
    [job] = asked(backend, "/v1/jobs")["jobs"]
    assert job["config"]["dryRun"] is True


@engine
def test_a_smoke_test_goes_red_when_the_run_fails(backend: Backend, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"messages": "no list of messages"}\n' * 5)
    done = example("ci_smoke/smoke.py", ARKOR_SMOKE="1", SMOKE_DATA=str(data))
    assert done.returncode == 1
    assert "The run 'smoke' failed: " in done.stderr
    assert "Traceback" not in done.stderr
    assert ends(backend) == {"smoke": "failed"}


@engine
def test_a_smoke_test_goes_red_when_the_backend_refuses(backend: Backend, tmp_path: Path) -> None:
    done = example("ci_smoke/smoke.py", ARKOR_SMOKE="1", SMOKE_DATA=str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert ends(backend) == {}


def test_only_the_flag_makes_it_a_dry_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag, wanted in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("ARKOR_SMOKE", flag)
        request = imported("ci_smoke.smoke").trainer.request().to_wire()
        assert request["config"]["dryRun"] is wanted


def test_the_workflow_runs_the_smoke_test() -> None:
    workflow = (EXAMPLES / "ci_smoke" / "workflow.yml").read_text()
    [script] = re.findall(r"run: python (\S+)", workflow)
    assert (EXAMPLES.parent / script).is_file()
    assert 'ARKOR_SMOKE: "1"' in workflow


# cron


@engine
def test_every_night_has_its_date(backend: Backend) -> None:
    before = date.today()
    done = example("nightly.py", "--steps", "6")
    assert done.returncode == 0, done.stderr
    names = {f"support-bot-{day:%Y-%m-%d}" for day in (before, date.today())}  # midnight may pass
    [(name, status)] = ends(backend).items()
    assert name in names
    assert status == "completed"
    assert f"{name}: completed" in done.stdout


def test_the_crontab_line_starts_what_is_there() -> None:
    nightly = imported("nightly")
    [line] = [line.split() for line in nightly.__doc__.splitlines() if "* * *" in line]
    assert [field.isdigit() or field == "*" for field in line[:5]] == [True] * 5
    assert any((EXAMPLES.parent / word).is_file() for word in line[5:])


# two runs


@engine
def test_two_runs_in_sequence(backend: Backend) -> None:
    done = example("sequence.py", "--steps", "5")
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("rank")]
    assert [line.split(" ")[:2] for line in said] == [
        ["rank-4:", "started"], ["rank-4:", "completed"],
        ["rank-16:", "started"], ["rank-16:", "completed"],
    ]  # fmt: skip


@engine
def test_an_abort_of_a_sequence_stops_the_run_and_begins_no_other(backend: Backend) -> None:
    code, said = interrupted("sequence.py", when=["rank-4: started"])
    assert code == 130, said
    assert "rank-4: The backend says that the run is cancelled." in said
    assert ends(backend) == {"rank-4": "cancelled"}


@engine
def test_two_runs_side_by_side(backend: Backend) -> None:
    done = example("parallel.py", "--steps", "5")
    assert done.returncode == 0, done.stderr
    assert "rank-4: completed" in done.stdout
    assert "rank-16: completed" in done.stdout


@engine
def test_one_abort_stops_both_on_the_backend(backend: Backend) -> None:
    code, said = interrupted("parallel.py", when=["rank-4: job", "rank-16: job"])
    assert code == 130, said
    assert said.count("The backend says that the run is cancelled.") == 2
    assert ends(backend) == {"rank-4": "cancelled", "rank-16": "cancelled"}


# a web route


def imported(name: str) -> Any:
    """A module of the examples, fresh; neither it nor the path stays behind."""
    sys.path.insert(0, str(EXAMPLES.parent))
    try:
        return importlib.import_module(f"examples.{name}")
    finally:
        sys.path.remove(str(EXAMPLES.parent))
        for known in [known for known in sys.modules if known.split(".")[0] == "examples"]:
            del sys.modules[known]


@pytest.fixture
def app() -> Any:
    pytest.importorskip("starlette")
    return imported("web_route").app


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again, as a client of the route would."""
    deadline = time.monotonic() + patience(60)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@engine
def test_a_web_route(backend: Backend, app: Any) -> None:
    from starlette.testclient import TestClient

    with TestClient(app) as client:
        first = client.post("/runs", json={"name": "for-anna", "steps": 8})
        second = client.post("/runs", json={"name": "for-ben", "steps": 5000})
        assert (first.status_code, second.status_code) == (201, 201)
        anna, ben = (f"/runs/{answer.json()['id']}" for answer in (first, second))
        assert anna != ben

        until(lambda: client.get(anna).json()["status"] == "completed")
        assert client.get(anna).json()["loss"] > 0
        assert client.delete(anna).status_code == 409
        until(lambda: client.get(ben).json()["status"] == "running")
        assert client.delete(ben).json()["stopped"] is True
        until(lambda: client.get(ben).json()["status"] == "cancelled")
    assert ends(backend) == {"for-anna": "completed", "for-ben": "cancelled"}


@engine
def test_when_the_server_goes_down_waiting_ends_and_the_run_goes_on(
    backend: Backend, app: Any
) -> None:
    from starlette.testclient import TestClient

    with TestClient(app) as client:
        run = f"/runs/{client.post('/runs', json={'steps': 5000}).json()['id']}"
        until(lambda: client.get(run).json()["status"] == "running")
    # leaving would hang here if a task outlived the lifespan
    assert ends(backend) == {"run": "running"}


def test_the_web_route_refuses_what_it_cannot_read_and_starts_nothing(app: Any) -> None:
    from starlette.testclient import TestClient

    bodies = ["{", "[]", '{"steps": "many"}', '{"steps": 0}', '{"steps": true}', '{"name": ""}']
    with TestClient(app) as client:
        for body in bodies:
            answer = client.post("/runs", content=body)
            assert answer.status_code == 400, body
            assert answer.json()["error"]
        assert client.get("/runs/none").status_code == 404
        assert client.delete("/runs/none").status_code == 404


def test_the_web_route_says_why_nothing_was_started(
    app: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    from starlette.testclient import TestClient

    (home / "config").mkdir()
    (home / "config" / "settings.toml").write_text("this is no settings file")
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", "/dev/null/no-folder")
    with TestClient(app) as client:
        answer = client.post("/runs", json={})
    assert answer.status_code == 502
    assert answer.json()["error"]


# the data


def test_the_data_is_what_a_chat_dataset_is() -> None:
    rows = (EXAMPLES / "data" / "tickets.jsonl").read_text().splitlines()
    assert len(rows) == 60
    assert all(json.loads(row)["messages"][-1]["role"] == "assistant" for row in rows)
