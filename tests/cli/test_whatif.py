"""``arkor-tui what-if``: what it prints, what it takes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.archive.records import RunIdentity
from arkor_tui.archive.store import Archive
from arkor_tui.cli import main
from arkor_tui.config.state import ProjectState, write_state
from tests.support.archive_material import event, job

Capture = pytest.CaptureFixture[str]
HERE = ("local", "demo-project")
EVALS = (2.0, 1.0, 1.5, 1.6, 1.7)


def archived(
    job_id: str, fields: Sequence[dict[str, Any]], where: tuple[str, str] = HERE, **more: Any
) -> None:
    events = [
        event(step, "training.log", step=step, time=f"2026-08-07T10:00:{step:02d}.000Z", **row)
        for step, row in enumerate(fields, 1)
    ]
    with Archive.open() as archive:
        key = archive.register(RunIdentity("local", *where, job_id), job(job_id, **more))
        archive.append(key, events)


def told(capsys: Capture, *words: str) -> dict[str, Any]:
    assert main(["what-if", *words, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture(autouse=True)
def run(home: object) -> None:
    archived("job-7", [{"loss": 9.0 if step > 6 else 1.0} for step in range(1, 11)])


def test_as_json(capsys: Capture) -> None:
    assert told(capsys, "job-7", "--ceiling", "5") == {
        "type": "what-if", "jobId": "job-7", "step": 7, "guard": "ceiling",
        "reason": "the loss 9 is above 5", "lastStep": 10, "savedSteps": 3, "savedShare": 0.3,
        "bestBefore": 1.0, "bestAfter": 9.0, "tooEarly": False,
    }  # fmt: skip


def test_for_people(capsys: Capture) -> None:
    assert main(["what-if", "latest", "--ceiling", "5", "--window", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "It would have stopped at step 8: the mean loss of the last 2, 9, is above 5.",
        "That saves 2 of 10 steps (20%).",
    ]
    assert main(["what-if", "job-7"]) == 0
    out = capsys.readouterr().out
    assert "would not have stopped: all 10 steps" in out
    assert "Only losses that are no number were looked for" in out


def test_patience_and_what_counts_as_better(capsys: Capture) -> None:
    archived("job-8", [{"loss": 1 - step / 1_000} for step in range(1, 11)])
    assert told(capsys, "job-8", "--patience", "3")["step"] is None
    found = told(capsys, "job-8", "--patience", "3", "--min-delta", "0.1")
    assert (found["step"], found["guard"]) == (4, "patience")


def test_latest_is_the_newest_of_this_project_on_any_backend(
    capsys: Capture, project: Path
) -> None:
    archived("elsewhere", [{"loss": 1.0}], ("local", "other"), createdAt="2027-01-02T00:00:00Z")
    archived("on-cloud", [{"loss": 1.0}], ("org", "bot"), createdAt="2027-01-01T00:00:00Z")
    assert told(capsys, "latest", "--ceiling", "5")["jobId"] == "job-7"
    write_state(ProjectState("org", "bot", "prj"))
    assert told(capsys, "latest", "--ceiling", "5")["jobId"] == "on-cloud"
    main(["runs", "export", "job-7", "-o", "r.jsonl"])
    main(["runs", "import", "r.jsonl"])
    assert told(capsys, "job-7", "--ceiling", "5")["step"] == 7


def test_latest_where_this_project_has_no_run(
    capsys: Capture, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert main(["what-if", "latest", "--ceiling", "5"]) == 2
    err = capsys.readouterr().err
    assert f"There is no run of the project in {home} in the archive" in err
    assert "`arkor-tui runs`" in err


def test_the_eval_loss(capsys: Capture) -> None:
    archived("job-9", [{"loss": 1 / step, "evalLoss": v} for step, v in enumerate(EVALS, 1)])
    assert told(capsys, "job-9", "--patience", "2")["step"] is None
    found = told(capsys, "job-9", "--patience", "2", "--metric", "eval_loss")
    assert found["reason"] == "the eval loss has not improved for 2 values (best 1 at step 2)"


def test_gaps_are_no_values_but_several_are_a_sign(capsys: Capture) -> None:
    archived("job-10", [{"loss": 1.0}, *[{"loss": None}] * 5, {"loss": 1.0}, {"loss": 1.0}])
    found = told(capsys, "job-10", "--patience", "2")
    assert (found["step"], found["reason"]) == (6, "5 log events in a row carry no loss")
    found = told(capsys, "job-10", "--patience", "2", "--no-non-finite")
    assert (found["step"], found["guard"]) == (8, "patience")


def test_what_has_no_meaning_is_wrong_use(capsys: Capture) -> None:
    for words in (
        ["nothing"],
        ["job-7", "--window", "3"],
        ["job-7", "--patience", "0"],
        ["job-7", "--ceiling", "nan"],
        ["job-7", "--ceiling", "5", "--min-delta", "-1", "--patience", "2"],
    ):
        assert main(["what-if", *words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
