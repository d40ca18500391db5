"""``arkor-tui bisect``: what it finds, how it says so, and which exit code."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.probed_run import JOB_ID, STEPS, Talker, archived, command, talking

TARGETS = ("base", *STEPS, "final")


@pytest_asyncio.fixture
async def server(project: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talker]:
    async with talking() as server:
        archived(server, project, monkeypatch)
        yield server


async def bisect(*options: str) -> int:
    return await command("bisect", JOB_ID, "--prompt", "I cannot log in", *options)


def from_(first: object, before: str = "billing", after: str = "auth") -> dict[object, str]:
    at = TARGETS.index(first)
    return {who: before if place < at else after for place, who in enumerate(TARGETS)}


def last(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


@pytest.mark.parametrize("first", TARGETS[1:])
@pytest.mark.parametrize("begins", [True, False])
async def test_the_change_is_found(
    server: Talker, first: object, begins: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = ("billing", "auth") if begins else ("auth", "billing")
    server.says = from_(first, *replies)
    assert await bisect("--contains", "auth", "--json", "--checks", "0") == 0
    found = last(capsys)
    before = TARGETS[TARGETS.index(first) - 1]
    labels = [f"step {who}" if isinstance(who, int) else who for who in (first, before)]
    assert found["result"] == ("began to pass" if begins else "began to fail")
    assert [found["first"], found["before"]] == labels
    assert server.targets[:2] == ["base", "final"]
    assert len(server.targets) == found["asked"] <= 5


async def test_what_is_said(server: Talker, capsys: pytest.CaptureFixture[str]) -> None:
    server.says = from_(30)
    assert await bisect("--contains", "auth", "--checks", "0") == 0
    assert capsys.readouterr().out.splitlines() == [
        "FAIL       base  billing",
        "pass      final  auth",
        "pass    step 30  auth",
        "FAIL    step 10  billing",
        "FAIL    step 20  billing",
        "It began to pass at step 30; step 20 was the last before. "
        "One change is assumed: 2 were not asked.",
    ]


async def test_a_long_answer_is_cut_with_a_mark(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = from_(30, "billing", "auth " * 40)
    assert await bisect("--contains", "auth", "--checks", "0") == 0
    final = capsys.readouterr().out.splitlines()[1]
    assert final.startswith("pass      final  auth auth")
    assert final.endswith("…")


async def test_a_contradiction_is_told(server: Talker, capsys: pytest.CaptureFixture[str]) -> None:
    server.says = {**from_(20), 50: "billing"}
    assert await bisect("--contains", "auth", "--json") == 0
    found = last(capsys)
    assert (found["first"], found["contradictions"]) == ("step 20", ["step 50"])


async def test_ends_that_agree_are_no_find(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = dict.fromkeys(TARGETS, "auth")
    assert await bisect("--contains", "auth", "--json") == 1
    found = last(capsys)
    assert (found["result"], found["first"]) == ("always passes", None)


@pytest.mark.parametrize(
    ("options", "after"),
    [
        (["--regex", r"^\d+$"], "12"),
        (["--not-contains", "billing"], "auth"),
        (["--schema", "s.json"], '{"category": "auth"}'),
        (["--equals", "category=auth", "--equals", "sure=true"], '{"category":"auth","sure":true}'),
        (["--equals", "a.b=1"], '{"a": {"b": 1}}'),
    ],
)
async def test_each_assertion(
    server: Talker, project: Path, options: list[str], after: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (project / "s.json").write_text('{"type": "object", "required": ["category"]}')
    server.says = from_(40, after=after)
    assert await bisect(*options, "--json") == 0
    assert last(capsys)["first"] == "step 40"


async def test_a_target_that_cannot_be_asked_ends_the_search(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says, server.refused = from_(30), {30}
    assert await bisect("--contains", "auth") == 1
    assert "step 30: could not be asked" in capsys.readouterr().err


async def test_system_and_base(server: Talker) -> None:
    server.says = from_(30)
    await bisect("--contains", "auth", "--system", "Be short.", "--no-base")
    assert "base" not in server.targets
    messages = server.asked("POST", "/v1/inference/chat")[0].json["messages"]
    assert messages == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "I cannot log in"},
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Nothing is expected"),
        (["--equals", "category"], "not of the form FIELD=VALUE"),
        (["--equals", "=1"], "not of the form FIELD=VALUE"),
        (["--regex", "("], "is wrong"),
        (["--schema", "gone.json"], "Cannot read gone.json: No such file or directory."),
        (["--schema", "list.json"], "list.json: the schema is not a JSON object"),
        (["--schema", "cut.json"], "cut.json, line 1: not JSON"),
        (["--contains", "a", "--max-tokens", "0"], "is not from 1 to 1,000,000"),
        (["--contains", "a", "--checks", "-1"], "at least 0"),
    ],
)
async def test_wrong_use_asks_nobody(
    server: Talker, project: Path, options: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (project / "list.json").write_text("[]")
    (project / "cut.json").write_text("{")
    assert await bisect(*options) == 2
    assert said in capsys.readouterr().err
    assert server.targets == []
