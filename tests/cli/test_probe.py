"""``arkor-tui probe``: which targets, what is told, which exit code, and the report for CI."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import RunIdentity
from arkor_tui.archive.store import Archive
from tests.support.probed_run import JOB_ID, STEPS, Talker, archived, command, talking, the_run
from tests.support.scripted import JOB, Answer

PROMPTS = """
[[prompt]]
text = "I cannot log in"
name = "login"
[prompt.expect]
contains = "auth"
"""
HERE = "demo-project"
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
        (["--final", "--base", "--step", "10"], ["base", 10, "final"]),
        (["--latest", "--final"], ["final"]),
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
        "text": "I cannot log in", "system": "You triage support tickets.", "reply": "no idea",
        "passed": False, "verdict": "lacks 'auth'",
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
        (["--step", "x"], "is not the step of a checkpoint"),
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
    (project / "prompts.toml").write_text("[[prompt]]\ntxt = 1\n[prompt.expect]\ncontain = 1\n")
    assert await probe() == 2
    told = capsys.readouterr().err
    assert "prompts.toml, prompt 1: text: it is missing; " in told
    assert "txt: there is no such field" in told
    assert "expect.contain: there is no such field" in told
    assert "Fields of a golden prompt: text, system, name, expect, schema, choice, " in told
    assert "Of its expect: contains, not_contains, " in told


async def test_latest_is_the_newest_of_this_project(
    server: Talker, capsys: pytest.CaptureFixture[str]
) -> None:
    later = {**JOB, "id": "job-2", "createdAt": "2026-08-08T10:00:00.000Z"}
    with Archive.open() as archive:
        archive.register(
            RunIdentity(server.url, "local", "elsewhere", "job-2"), Job.model_validate(later)
        )
    options = ["latest", "--prompts", "prompts.toml", "--backend", server.url, "--step", "20"]
    for jobs, code in (([server.job], 1), ([], 2)):
        with Archive.open() as archive:
            archive.delete([run.key for run in archive.runs() if run.identity.project == HERE])
        server.answers["GET /v1/jobs"] = Answer(200, {"jobs": jobs})
        assert await command("probe", *options) == code, capsys.readouterr().err
        (asked,) = server.asked("GET", "/v1/jobs")
        assert asked.query == {"orgSlug": "local", "projectSlug": HERE}
        server.requests.clear()
    told = capsys.readouterr().err
    assert "There is no run of the project in" in told
    assert "`arkor-tui runs` lists those of all projects" in told


async def test_a_run_is_asked_although_a_recording_of_it_was_imported(
    server: Talker, project: Path
) -> None:
    assert await command("runs", "export", JOB_ID, "-o", "r.jsonl") == 0
    assert await command("runs", "import", "r.jsonl") == 0
    for ref in (JOB_ID, JOB_ID[:4], "triage-run"):
        assert await command("probe", ref, "--prompts", "prompts.toml", "--step", "10") == 1
    assert server.targets == [10, 10, 10]


@pytest.mark.parametrize("words", [["probe", "--prompts", "prompts.toml"], ["chat", "hello"]])
async def test_a_recording_alone_cannot_be_asked_and_that_is_said(
    server: Talker, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    await command("runs", "export", JOB_ID, "-o", "r.jsonl")
    await command("runs", "import", "r.jsonl")
    with Archive.open() as archive:
        archive.delete([run.key for run in archive.find(JOB_ID) if not run.is_imported])
    server.job = {**JOB, "id": "another"}
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": []})
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(404, {"error": "no such job"})
    capsys.readouterr()
    name, *options = words
    if name == "chat":  # that there is none there is the backend's to say
        options += ["--backend", server.url]
    assert await command(name, JOB_ID, *options) == 2
    told = capsys.readouterr().err
    assert f"triage-run ({JOB_ID}) is an imported recording" in told
    assert f"`arkor-tui replay import:{JOB_ID}` plays it" in told
    assert "Unknown backend" not in told
