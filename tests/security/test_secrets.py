"""A whole session with secrets in every place that takes one: where do they turn up again?"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

from arkor_tui.config.credentials import OAuthCredentials, credentials_path, write_credentials
from arkor_tui.config.settings import settings_path
from arkor_tui.config.state import ProjectState, write_state
from arkor_tui.session.session import Session
from arkor_tui.terminal import Capabilities
from arkor_tui.tui.app import ArkorApp
from tests.e2e.test_app import Screen
from tests.support import planted_secrets as planted
from tests.support.amounts import patience
from tests.support.engine_places import Place, answered, authority
from tests.support.loopback import Loopback
from tests.support.planted_secrets import Processes, open_to_others, secrets_below, secrets_in

__all__ = ["authority"]

pytestmark = pytest.mark.engine

_DEADLINE = patience(90)  # seconds until what does not happen is a failure


class World:
    """One person's machine, with everything that was ever said on it."""

    def __init__(self, home: Path, project: Path, environment: dict[str, str]) -> None:
        self.home, self.project = home, project
        self.environment = {**os.environ, **environment}
        self.said: dict[str, bytes] = {}

    def command(self, *words: str, codes: tuple[int, ...] = (0,), **more: str) -> bytes:
        """Run a command; everything that it says is kept."""
        done = subprocess.run(
            [sys.executable, "-m", "arkor_tui", *words],
            capture_output=True,
            cwd=self.project,
            env={**self.environment, **more},
            check=False,
            timeout=patience(120),
        )
        self.said[" ".join(words)] = done.stdout + done.stderr
        assert done.returncode in codes, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def until(self, path: Path, word: str) -> None:
        """Wait until a file has this in it."""
        end = time.monotonic() + _DEADLINE
        while not (path.exists() and word in path.read_text()):
            assert time.monotonic() < end, f"{word!r} did not come into {path}"
            time.sleep(0.02)


@pytest.fixture
def stopped_at_the_end(home: Path) -> Iterator[None]:
    """Whatever embedded backend is started is stopped."""
    yield
    _stop_backend(home)


def _stop_backend(home: Path) -> None:
    info = home / "data" / "local" / "backend.json"
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = json.loads(info.read_text())["pid"]
        os.kill(pid, signal.SIGTERM)
        while info.exists():
            os.kill(pid, 0)
            time.sleep(0.02)


def _give_away(home: Path, project: Path, port: int) -> None:
    """The files that exist for secrets."""
    write_credentials(
        OAuthCredentials(
            access_token=planted.ACCESS, refresh_token=planted.REFRESH, expires_at=None,
            auth0_domain="issuer.example", audience="a", client_id="c", cloud_api_url=None,
        )
    )  # fmt: skip
    write_state(ProjectState("my-org", "my-project", "p-1"), project)
    path = settings_path()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(0o600)
    slack, query = planted.IN_SETTINGS
    path.write_text(
        f'[notify]\nslack = "http://127.0.0.1:{port}/services/{slack}"\n'
        f'webhook = "http://127.0.0.1:{port}/x?key={query}"\n'
    )
    named = home / "other-token"
    named.touch(0o600)
    named.write_text(planted.NAMED + "\n")


@pytest.mark.usefixtures("stopped_at_the_end")
async def test_no_secret_turns_up_where_it_does_not_belong(
    home: Path,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authority: tuple[Path, ssl.SSLContext],
) -> None:
    pytest.importorskip("torch")
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    content = b"\n".join(rows.read_bytes().splitlines()[:24]) + b"\n"
    asked: list[str] = []

    def data(target: str) -> bytes:
        asked.append(target)
        if len(asked) > 1:  # the second run is refused, with all that was asked in the answer
            return answered(target.encode(), status="403 Forbidden")
        return answered(content)

    def cloud(_: str) -> bytes:
        """A server that repeats what it was sent."""
        error = json.dumps({"error": f"no: {cloud_place.requests[-1]}"}).encode()
        return answered(error, status="400 Bad Request")

    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    with (
        Loopback() as receiver,
        Place(data, authority[1]) as data_place,
        Place(cloud) as cloud_place,
        Processes(home) as processes,
    ):
        _give_away(home, project, receiver.port)
        apprise = find_spec("apprise") is not None
        variables = planted.addresses(receiver, data_place.url, closed_port, apprise=apprise)
        variables["SSL_CERT_FILE"] = str(authority[0])
        world = World(home, project, variables)
        (project / "trainer.py").write_text(planted.TRAINER)

        # a run that ends well, whose notifiers partly fail
        receiver.statuses = [404, 302, 400]
        told = world.command("start", "--backend", "local", "--json", "--debug")
        job = json.loads(told.splitlines()[-1])["jobId"]
        # one in the hands of a supervisor, whose dataset is refused
        detached = world.command(
            "start", "--detach", "--backend", "local", "--json", RUN_NAME="refused"
        )
        failed = json.loads(detached.splitlines()[-1])["jobId"]
        world.command("attach", failed, "--backend", "local", "--json", "--debug", codes=(0, 1, 2))

        for form in ("jsonl", "csv", "markdown"):
            for run in (job, failed):
                out = str(project / f"{run}.{form}")
                world.command("runs", "export", run, "--format", form, "-o", out, "--debug")
        recording = str(project / f"{job}.jsonl")
        world.command("replay", recording, "--headless", "--json")
        for words in (
            ("runs", "--json"),
            ("runs", "show", failed, "--json"),
            ("runs", "show", job),
        ):
            world.command(*words)
        world.command("chat", job, "Hello", "--backend", "local", "--json", "--max-tokens", "3")
        world.command("chat", failed, "Hello", "--backend", "local", "--debug", codes=(1, 2))
        world.command("doctor", "--debug", codes=(0, 1))
        world.command("doctor", "--json", codes=(0, 1))
        world.command("notify")
        world.command("notify", "--json")
        receiver.statuses = [404, 500, 404]
        world.command("notify", "--test", "--debug", codes=(1,))
        world.command("notify", "--test", "webhook", "--env", "GONE_URL", "--json", codes=(1,))
        world.command("whoami", "--debug", codes=(0, 1), ARKOR_CLOUD_API_URL=cloud_place.url)
        world.command(
            "cancel", "job_x", "--backend", cloud_place.url, "--debug", codes=(1,),
            ARKOR_TUI_TOKEN_FILE=str(home / "other-token"),
        )  # fmt: skip
        world.command(
            "start", "--backend", "cloud", "--debug", codes=(1, 2),
            ARKOR_CLOUD_API_URL=cloud_place.url,
        )  # fmt: skip

        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        terminal = _in_the_app()
        picture = await _picture(project)
        processes.look()
        _stop_backend(home)

    # everything was used that could have been told
    sent = json.dumps([path for path, _ in receiver.requests])
    assert {"hushslackone", "hushdiscordtoken", "hushwebhookquery"} <= secrets_in(sent.encode())
    assert set(planted.IN_SETTINGS) <= secrets_in(sent.encode())
    assert data_place.authorizations() == [f"Bearer {planted.DATA_TOKEN}"] * len(asked)
    assert len(asked) == 2
    assert any(planted.ACCESS in request for request in cloud_place.requests)
    assert any(planted.NAMED in request for request in cloud_place.requests)
    assert any(planted.DATA_TOKEN in request for request in cloud_place.requests)

    token = (home / "data" / "local" / "token").read_text()
    for name, heard in {**world.said, "terminal": terminal, "picture": picture}.items():
        assert heard, name
        assert not secrets_in(heard), name
        assert token.encode() not in heard, name
    for line in processes.lines:
        assert not secrets_in(line), line
        assert token.encode() not in line
    in_files = {planted.ACCESS, planted.REFRESH, planted.NAMED, *planted.IN_SETTINGS, token}
    assert len(processes.lines) > 10
    for environment in processes.environments:  # it holds what the person put there, and no more
        assert not [secret for secret in in_files if secret.encode() in environment]

    assert secrets_below([tmp_path], [token]) == {
        str(credentials_path()): {planted.ACCESS, planted.REFRESH},
        str(settings_path()): set(planted.IN_SETTINGS),
        str(home / "other-token"): {planted.NAMED},
        str(home / "data" / "local" / "token"): {token},
    }
    for secret in (credentials_path(), settings_path(), home / "other-token"):
        assert secret.stat().st_mode & 0o077 == 0
    assert open_to_others(home / "data") == []


def _in_the_app() -> bytes:
    """Look at every view on a real terminal; the bytes that it got."""
    screen = Screen()
    try:
        screen.until("refused")
        screen.until("planted")
        screen.press("\r")
        screen.until("The run failed: Cannot fetch the dataset")
        screen.press("2")
        screen.until("learning rate")
        screen.press("\x11")  # ctrl+q, which no field takes
        assert screen.end() == 0
        return screen.raw + screen.text.encode()
    finally:
        screen.close()


async def _picture(project: Path) -> bytes:
    """Screenshots of the app: the runs, the one that failed, and Setup."""
    pictures = []
    async with Session.open(project, "local") as session:
        app = ArkorApp(session, capabilities=Capabilities())
        async with app.run_test(size=(140, 45)) as pilot:
            for keys in ((), ("enter",), ("2",)):
                await pilot.press(*keys)
                await pilot.pause()
                await app.workers.wait_for_complete()
                pictures.append(app.export_screenshot())
    return "\n".join(pictures).encode()
