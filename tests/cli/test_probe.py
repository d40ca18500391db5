"""``arkor-tui probe``: which targets, what is told, which exit code, and the report for CI."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .probed import JOB_ID, STEPS, Talker, archived, command, talking, the_run

PROMPTS = """
[[prompt]]
text = "I cannot log in"
name = "login"
[prompt.expect]
contains = "auth"
"""
HOSTILE = "\x1b[31m</system-out>&\x00\ufffe\u202e]]>auth\r\nend"


@pytest_asyncio.fixture
async def server(project: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talker]:
    (project / "prompts.toml").write_text(PROMPTS)
    async with talking() as server:
        archived(server, project, monkeypatch)
        yield server


async def probe(*options: str) -> int:
    return await command("probe", JOB_ID, "--prompts", "prompts.toml", *options)


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], ["final"]),
        (["--step", "20"], [20]),
        (["--step", "40", "--step", "10", "--step", "40"], [10, 40]),
        (["--base"], ["base"]),
        (["--final", "--base", "--step", "10"], [10, "base", "final"]),
        (["--all"], ["base", *STEPS, "final"]),
    ],
)
async def test_who_is_asked(server: Talker, options: list[str], asked: list[object]) -> None:
    await probe(*options)
    assert server.targets == asked


async def test_a_run_that_trains_is_asked_at_its_newest_step(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "prompts.toml").write_text(PROMPTS)
    async with talking() as server:
        archived(server, project, monkeypatch, status="running")
        await probe()
        assert server.targets == [50]
        assert await probe("--final") == 2
        assert "no final adapter" in capsys.readouterr().err


@pytest.mark.parametrize(("reply", "code"), [("auth", 0), ("billing", 1)])
async def test_the_exit_code_says_whether_all_passed(server: Talker, reply: str, code: int) -> None:
    server.says = {"final": reply}
    assert await probe() == code


async def test_what_cannot_be_asked_is_a_failure_and_the_rest_is_asked(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = dict.fromkeys(STEPS, "auth") | {"base": "auth", "final": "auth"}
    server.refused = {20}
    assert await probe("--all", "--json") == 1
    *samples, summary = told(capsys)
    assert [s["passed"] for s in samples] == [True, True, None, True, True, True, True]
    assert "the model is being loaded" in samples[2]["error"]
    assert summary == {"type": "summary", "answers": 7, "passed": 6, "failed": 1}


async def test_json_has_stable_keys(server: Talker, capsys: pytest.CaptureFixture[str]) -> None:
    server.says = {10: "no idea"}
    await probe("--step", "10", "--json")
    sample, _ = told(capsys)
    seconds = sample.pop("seconds")
    assert seconds >= 0
    assert sample == {
        "type": "sample", "target": "checkpoint", "step": 10, "prompt": 0, "name": "login",
        "text": "I cannot log in", "reply": "no idea", "passed": False, "verdict": "lacks 'auth'",
        "error": None,
    }  # fmt: skip


async def test_a_hostile_reply_is_told_harmlessly(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = {"final": HOSTILE.replace("auth", "")}
    await probe()
    out = capsys.readouterr().out
    assert "FAIL" in out
    assert not {"\x1b", "\x00", "\u202e"} & set(out)


async def test_the_report_has_a_suite_for_each_target(server: Talker, project: Path) -> None:
    server.says = {10: HOSTILE, 20: "auth\x0b", 30: "no"}
    server.refused = {40}
    await probe("--step", "10", "--step", "20", "--step", "30", "--step", "40", "--junit", "r.xml")
    suites = ET.fromstring((project / "r.xml").read_text("utf-8"))
    assert [
        (s.get("name"), s.get("tests"), s.get("failures"), s.get("errors")) for s in suites
    ] == [
        ("triage-run step 10", "1", "0", "0"),
        ("triage-run step 20", "1", "0", "0"),
        ("triage-run step 30", "1", "1", "0"),
        ("triage-run step 40", "1", "0", "1"),
    ]
    case = suites[0][0]
    assert case.get("name") == "login"
    said = case.findtext("system-out")
    assert said is not None
    assert "</system-out>&" in said
    assert "]]>auth\nend" in said
    assert not {"\x1b", "\x00", "\ufffe", "\u202e"} & set(said)
    failure = suites[2][0].find("failure")
    assert failure is not None
    assert failure.get("message") == "lacks 'auth'"


async def test_answers_are_kept_with_the_run(server: Talker) -> None:
    await probe("--base", "--step", "10")
    assert the_run()[1] == {
        ("probe", "base", None): "base", ("probe", "checkpoint", 10): "10"
    }  # fmt: skip


async def test_answers_to_other_prompts_are_not_replaced(server: Talker, project: Path) -> None:
    await probe("--step", "10")
    await probe("--step", "20")
    (project / "others.jsonl").write_text('"Hello"\n')
    for step in ("10", "20"):
        assert await command("probe", JOB_ID, "--prompts", "others.jsonl", "--step", step) == 0
    (project / "others.jsonl").write_text('"Good bye"\n')
    await command("probe", JOB_ID, "--prompts", "others.jsonl", "--step", "10")
    assert sorted((probe, step or 0) for probe, _, step in the_run()[1]) == [
        ("others", 10), ("others", 20), ("others 2", 10), ("probe", 10), ("probe", 20)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--step", "11"], "There are: 10, 20, 30, 40, 50."),
        (["--junit", "nowhere/r.xml"], "there is no folder nowhere"),
        (["--step", "x"], "invalid int value"),
    ],
)
async def test_wrong_use_asks_nobody(
    server: Talker, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await probe(*options) == 2
    assert said in capsys.readouterr().err
    assert server.targets == []


async def test_a_file_with_a_mistake_is_wrong_use(
    server: Talker, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "prompts.toml").write_text("[[prompt]]\ntxt = 1\n")
    assert await probe() == 2
    assert "prompts.toml, prompt 1: " in capsys.readouterr().err
