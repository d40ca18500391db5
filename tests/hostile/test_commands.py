"""Commands on a terminal, over a hostile archive and a hostile server: their bytes are judged."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.config.credentials import AnonymousCredentials, write_credentials
from arkor_tui.config.state import ProjectState, write_state
from tests.support.frames import END, checkpoint, event, frame
from tests.support.hostile_payloads import EVERY, hostile_strings
from tests.support.raw_terminal import RawTerminal, shapes
from tests.support.scripted import JOB, Answer, Server, running_server, stream

from .test_screens import fill, harmless_strings

SPOOFS = ("root@host", "[sudo]", "Leave it running", "job_0000")


def output(*arguments: str) -> tuple[set[str], str]:
    """What a command writes to a terminal: the shapes of its sequences, and its text."""
    terminal = RawTerminal(120, 40, *arguments)
    terminal.emulated = False
    terminal.press("n\n")  # to whatever is asked
    try:
        terminal.end()
        with suppress(OSError):
            while terminal._read(0.05):
                pass
        found, _, raw = shapes(terminal.raw)
    finally:
        terminal.close()
    assert raw == set()
    return set(found), terminal.since(0)


def spoofed(text: str) -> list[str]:
    """Lines that begin as if another program, or another part of ours, had written them."""
    return [line for line in text.splitlines() if line.lstrip("\r").startswith(SPOOFS)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "list", "--limit", "100"),
        ("runs", "show", "job the log", "latest"),
        ("runs", "delete", "job the log"),
        ("runs", "show", "".join(EVERY[:5]).replace("\0", "").encode("utf-8", "ignore").decode()),
        ("replay", "small.jsonl", "--headless"),
        ("what-if", "job the log", "--ceiling", "1"),
    ],
)
def test_commands_over_a_hostile_archive(project: Path, arguments: tuple[str, ...]) -> None:
    fill(project, hostile_strings(600))
    found, text = output(*arguments)
    assert found == set(), "these commands write no sequences at all"
    assert spoofed(text) == []
    assert len(text) > 20


@contextmanager
def hostile_server(strings: list[str]) -> Iterator[Server]:
    """A server in a thread of its own that says these texts wherever it can."""
    ready, done = threading.Event(), threading.Event()
    found: list[Server] = []

    def run() -> None:
        async def serve() -> None:
            async with running_server() as server:
                found.append(server)
                ready.set()
                await asyncio.to_thread(done.wait)

        asyncio.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        done.set()
        thread.join()


def job(text: str, status: str, number: int = 0) -> dict[str, Any]:
    config = {"model": text, "maxSteps": 1e400 if number else 10, text or "x": text}
    return {**JOB, "id": JOB["id"], "name": text, "status": status, "error": text, "config": config}


def events(strings: list[str]) -> list[bytes]:
    frames = [event("training.started", "s", metadata={"steps": 10**300, "x": strings[0]})]
    for number, text in enumerate(strings):
        fields = {"nonFinite": {text: text, "loss": text}, text or "x": text, "loss": 1.0}
        frames.append(
            event("training.log", f"{text}{number}".replace("\n", ""), step=number, **fields)
        )
        frames.append(frame({"type": text, "step": text}, f"o{number}", event=""))
        frames.append(frame(text.replace("\r", ""), f"j{number}"))
    frames += [checkpoint(5), event("training.failed", "done", error="\n".join(strings)), END]
    return [
        frame.encode("utf-8", "replace") if isinstance(frame, str) else frame for frame in frames
    ]


def at(url: str) -> None:
    """Sign in there, as somebody whose project it is."""
    write_credentials(
        AnonymousCredentials(token="t", anonymous_id="a", cloud_api_url=url, org_slug="anon-7-org")
    )
    write_state(ProjectState("anon-7-org", "demo", "p-1"))


def followed(strings: list[str], *arguments: str) -> tuple[set[str], str]:
    with hostile_server(strings) as server:
        at(server.url)
        server.job = job(strings[-1], "failed")
        server.answers["GET /v1/jobs"] = Answer(200, {"jobs": [job(strings[-1], "failed")]})
        server.script(stream(*events(strings)), stream(*events(strings)))
        return output("attach", "job-1", "--backend", server.url, *arguments)


def test_following_a_hostile_run() -> None:
    usual, _ = followed(harmless_strings(20))
    for some in (hostile_strings(200), [*EVERY]):
        found, text = followed([text.encode("utf-8", "replace").decode() for text in some])
        assert found <= usual
        assert spoofed(text) == []
        assert "failed" in text


def test_following_a_hostile_run_in_json() -> None:
    some = [text.encode("utf-8", "replace").decode() for text in hostile_strings(200)]
    found, text = followed(some, "--json")
    assert found == set()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert lines[-1]["type"] == "result"
    assert len(lines) > 400


@pytest.mark.parametrize("status", [400, 404, 500])
def test_errors_in_the_words_of_a_hostile_server(status: int) -> None:
    text = "".join(EVERY).encode("utf-8", "replace").decode()
    with hostile_server([]) as server:
        at(server.url)
        body = {"error": text, "code": text, "message": text, "hint": text, "fields": {text: text}}
        server.answers["GET /v1/jobs/job-1"] = Answer(status, body)
        server.answers["GET /v1/jobs"] = Answer(status, text.encode())
        found, shown = output("attach", "job-1", "--backend", server.url)
    assert found == set()
    assert spoofed(shown) == []
    assert "error" in shown
