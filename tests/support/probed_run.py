"""A run in the archive whose checkpoints answer as a test says, on a scripted server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import RunIdentity, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.cli import main
from tests.support.scripted import (
    JOB,
    JOB_ID,
    SCOPE,
    Answer,
    Reply,
    Request,
    Server,
    running_server,
)

CHAT = "/v1/inference/chat"
STEPS = (10, 20, 30, 40, 50)


@dataclass
class Talker(Server):
    """``says`` maps base, a step or final to what it answers; those in ``refused`` do not."""

    says: dict[object, str] = field(default_factory=dict)
    refused: set[object] = field(default_factory=set)

    @property
    def targets(self) -> list[object]:
        """Who was asked, in order."""
        return [_who(request) for request in self.asked("POST", CHAT)]

    async def reply_to(self, request: Request) -> Reply:
        if request.path == CHAT:
            who = _who(request)
            if who in self.refused:
                return Answer(503, {"error": "the model is being loaded"})
            message = {"role": "assistant", "content": self.says.get(who, f"{who}")}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return Answer(200, {"choices": [choice]})
        if (request.method, request.path) == ("GET", f"/v1/jobs/{self.job['id']}"):
            events = [{"type": "checkpoint.saved", "step": step} for step in STEPS]
            return Answer(200, {"job": self.job, "events": events})
        return await super().reply_to(request)


def _who(request: Request) -> object:
    adapter = request.json.get("adapter")
    return "base" if adapter is None else adapter.get("step", "final")


@asynccontextmanager
async def talking() -> AsyncIterator[Talker]:
    """The scripted server."""
    async with running_server() as server:
        server.__class__ = Talker
        assert isinstance(server, Talker)
        server.says, server.refused = {}, set()
        yield server


def archived(
    server: Talker, folder: Path, monkeypatch: pytest.MonkeyPatch, status: str = "completed"
) -> None:
    """The scripted job as a run of the archive, and a token with which its server is asked."""
    token = folder / "token"
    token.write_text("t" * 43)
    token.chmod(0o600)
    monkeypatch.setenv("ARKOR_TUI_TOKEN_FILE", str(token))
    server.job = {**JOB, "status": status}
    identity = RunIdentity(server.url, SCOPE.org_slug, SCOPE.project_slug, JOB_ID)
    with Archive.open() as archive:
        archive.register(identity, Job.model_validate(server.job))


def the_run() -> tuple[RunRecord, dict[tuple[str, str, int | None], str]]:
    """The run, and the reply of each sample by probe, target and step."""
    with Archive.open() as archive:
        run = archive.find(JOB_ID)[0]
        samples = archive.samples(run.key)
    return run, {(s.probe, s.target, s.step): s.reply for s in samples}


async def command(*arguments: str) -> int:
    """The exit code; the server of this test goes on answering meanwhile."""
    return await asyncio.to_thread(_main, list(arguments))


def _main(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as error:  # argparse leaves this way
        return int(error.code or 0)
