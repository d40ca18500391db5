"""With which system prompt ``chat``, ``probe`` and ``bisect`` ask, and that they say so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.probed_run import CHAT, JOB_ID, Talker, archived, command, talking
from tests.support.scripted import Reply, Request, stream

TRAINED = "You triage support tickets."
"""What the rows of the scripted job, which has a starter's name, begin with."""
PROMPTS = """
[[prompt]]
text = "I cannot log in"

[[prompt]]
text = "And I?"
system = "You are a pirate."

[[prompt]]
text = "Plain."
system = ""
"""


class Streaming(Talker):
    """Streams where that is asked for."""

    async def reply_to(self, request: Request) -> Reply:
        if request.path == CHAT and request.json["stream"]:
            return stream(b'data: {"choices": [{"delta": {"content": "hm"}}]}\n\n')
        return await super().reply_to(request)

    @property
    def systems(self) -> list[str | None]:
        """The system prompt of each question."""
        firsts = [request.json["messages"][0] for request in self.asked("POST", CHAT)]
        return [first["content"] if first["role"] == "system" else None for first in firsts]


@pytest_asyncio.fixture
async def server(project: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Streaming]:
    (project / "prompts.toml").write_text(PROMPTS)
    async with talking() as server:
        server.__class__ = Streaming
        assert isinstance(server, Streaming)
        archived(server, project, monkeypatch)
        yield server


COMMANDS = {
    "chat": ("chat", JOB_ID, "hi"),
    "bisect": ("bisect", JOB_ID, "--prompt", "hi", "--contains", "a", "--checks", "0"),
}


async def asking(server: Streaming, name: str, *options: str) -> int:
    return await command(*COMMANDS[name], "--backend", server.url, *options)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("options", "sent"),
    [((), TRAINED), (("--system", ""), None), (("--system", "Be brief."), "Be brief.")],
)
async def test_asked_as_in_training_unless_told_otherwise(
    server: Streaming, name: str, options: tuple[str, ...], sent: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """s2: also by ``chat`` and ``bisect``."""
    await asking(server, name, *options)
    assert set(server.systems) == {sent}
    shown = f"[system prompt, as in training: {TRAINED}]" in capsys.readouterr().err
    assert shown is (options == ())


async def test_each_golden_prompt_has_its_own_or_that_of_training(
    server: Streaming, capsys: pytest.CaptureFixture[str]
) -> None:
    """s2: golden prompts of a file."""
    await command("probe", JOB_ID, "--prompts", "prompts.toml")
    assert server.systems == [TRAINED, "You are a pirate.", None]
    assert TRAINED in capsys.readouterr().err
    await command("probe", JOB_ID, "--prompts", "prompts.toml", "--system", "")
    assert server.systems[3:] == [None, "You are a pirate.", None]
    assert TRAINED not in capsys.readouterr().err


async def test_json_tells_the_system_prompt(
    server: Streaming, capsys: pytest.CaptureFixture[str]
) -> None:
    """s2: a program can see what was asked."""
    await asking(server, "chat", "--json")
    out = capsys.readouterr()
    assert json.loads(out.out.splitlines()[-1])["system"] == TRAINED
    assert TRAINED not in out.err


async def test_options_of_sampling_are_those_of_the_one_table(
    server: Streaming, capsys: pytest.CaptureFixture[str]
) -> None:
    await asking(server, "chat", "--top-p", "0.5", "--stop", "x", "--stop", "y", "--seed", "3")
    await command("probe", JOB_ID, "--prompts", "prompts.toml", "--max-tokens", "7", "--top-p", "1")
    first, second, *_ = [request.json for request in server.asked("POST", CHAT)]
    assert (first["topP"], first["stop"], first["seed"]) == (0.5, ["x", "y"], 3)
    assert (second["topP"], second["maxTokens"], second["temperature"]) == (1, 7, 0)
    assert await asking(server, "chat", "--temperature", "3") == 2
    assert "'3' is not from 0 to 2" in capsys.readouterr().err


async def test_whom_chat_asks(server: Streaming, capsys: pytest.CaptureFixture[str]) -> None:
    for options in ((), ("--latest",), ("--final",), ("--step", "10"), ("--base",)):
        assert await asking(server, "chat", *options) == 0
    assert server.targets == ["final", "final", "final", 10, "base"]
    assert await asking(server, "chat", "--step", "11") == 2
    assert "There are: 10, 20, 30, 40, 50." in capsys.readouterr().err
    server.job = {**server.job, "status": "running"}
    assert await asking(server, "chat") == 0
    assert server.targets[-1] == 50
    assert await asking(server, "chat", "--step", "10", "--base") == 2
