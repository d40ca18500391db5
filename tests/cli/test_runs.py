"""The archive from the command line, and replays of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from arkor_tui.api.jobs import JobStatus
from arkor_tui.archive.export import read_recording
from arkor_tui.archive.records import NewEvent, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.cli import main
from arkor_tui.cli.checks import check_callbacks
from arkor_tui.config.run_lock import HostState, take_run_lock
from arkor_tui.ended import Ended
from arkor_tui.session.recipe_host import lock_path_of
from arkor_tui.session.replay import replaying
from arkor_tui.session.updates import Update
from tests.support.recorded_runs import HOSTILE, add_run, event, fill, time_of, triage_events

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def keys(home: Path) -> dict[str, int]:
    """Three archived runs."""
    (home / "data").mkdir(mode=0o700)
    return fill(home / "data" / "history.db")


def lines(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_list_shows_every_run_and_nothing_hostile(capsys: Capture) -> None:
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "triage-run" in out
    assert "other-run" in out
    assert HOSTILE not in out
    assert "\x1b" not in out


def test_an_empty_list_says_so(capsys: Capture) -> None:
    assert main(["runs", "--tag", "nowhere"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "No run is like that." in err
    with Archive.open() as archive:
        archive.delete([run.key for run in archive.runs()])
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "No runs yet" in err
    assert main(["runs", "--json"]) == 0
    assert capsys.readouterr() == ("", "")


def test_list_is_narrowed_and_sorted(capsys: Capture) -> None:
    assert main(["runs", "list", "--status", "cancelled", "--json"]) == 0
    found = [json.loads(line) for line in lines(capsys)]
    assert [run["name"] for run in found] == ["other-run"]
    assert found[0]["type"] == "run"
    assert main(["runs", "--sort", "name", "--json", "--text", "run"]) == 0
    assert [json.loads(line)["name"] for line in lines(capsys)] == ["other-run", "triage-run"]


def test_an_unknown_status_is_refused_and_the_known_ones_named(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runs", "list", "--status", "done"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(status in told for status in get_args(JobStatus))
    for status in get_args(JobStatus):
        assert main(["runs", "--status", status, "--json"]) == 0


def test_show_gives_settings_and_checkpoints(capsys: Capture) -> None:
    assert main(["runs", "show", "triage-run", "--json"]) == 0
    (found,) = [json.loads(line) for line in lines(capsys)]
    assert found["config"]["loraR"] == 16
    assert [point["step"] for point in found["savedCheckpoints"]] == [25, 50, 75, 100]


def test_show_is_for_people(capsys: Capture, keys: dict[str, int]) -> None:
    with Archive.open() as archive:
        key = keys["good"]
        armed = {"guard": "ceiling", "reason": "the loss 7.1 is above 5", "phase": "stopped"}
        archive.save_finding(key, "guard", "EarlyStopping", 40, armed)
        for number, passed in enumerate((True, True, False, None)):
            archive.save_sample(
                Sample(key, "probe", number, 25, "a reply", passed, "", time_of(25), text="hi")
            )
        for ok, error in ((True, None), (False, "Slack hooks.slack.com/…1a2b status 404")):
            told = {"service": "slack", "event": "step", "ok": ok, "error": error}
            archive.save_finding(key, "notice", "SlackNotifier", 40, told)
    assert main(["runs", "show", "triage-run"]) == 0
    shown = lines(capsys)
    assert "guard          stopped at step 40: the loss 7.1 is above 5" in shown
    assert "samples        2 passed, 1 failed, 1 without a verdict" in shown
    (notices,) = [line for line in shown if line.startswith("notices")]
    assert notices.endswith(
        "1 of 2 arrived; the last that did not: Slack hooks.slack.com/…1a2b status 404"
    )
    assert "duration       99.0 s" in shown
    (data,) = [line for line in shown if "datasetSource" in line]
    assert json.loads(data.split(maxsplit=1)[1])["name"] == "arkorlab/triage-demo"


def test_a_live_run_whose_callbacks_nobody_runs_is_told(capsys: Capture) -> None:
    with Archive.open() as archive:
        lone = add_run(archive, "lone-run", triage_events()[:4], status="running")
        archive.set_recipes(lone, 3, None)
        add_run(archive, "bare-run", triage_events()[:4], status="running")
        record = archive.run(lone)
    assert record is not None
    assert main(["runs"]) == 0
    told = capsys.readouterr().err
    assert told.count("nobody runs its") == 1
    assert "lone-run: nobody runs its 3 callbacks" in told
    assert "attach job_lone-run --take-over" in told
    assert main(["runs", "show", "lone-run", "--json"]) == 0
    (found,) = [json.loads(line) for line in lines(capsys)]
    assert (found["callbacks"], found["watcher"], found["unwatched"]) == (3, None, True)
    (check,) = check_callbacks()
    assert check.status == "warn"
    assert check.detail.startswith("lone-run: nobody runs its 3 callbacks")
    assert check.hint is not None

    watch = take_run_lock(lock_path_of(record))
    assert watch is not None
    try:
        watch.tell(HostState(4711, "supervisor", 1.0, callbacks=3))
        assert main(["runs", "show", "lone-run"]) == 0
        assert "callbacks      3 callbacks in process 4711 (a supervisor)" in lines(capsys)
        assert main(["runs", "show", "lone-run", "--json"]) == 0
        (found,) = [json.loads(line) for line in lines(capsys)]
        assert found["watcher"] == {"pid": 4711, "kind": "supervisor"}
        assert [check.status for check in check_callbacks()] == ["ok"]
        assert main(["runs"]) == 0
        assert capsys.readouterr().err == ""
    finally:
        watch.release()


def test_what_callbacks_raised_is_shown_with_file_and_line(
    capsys: Capture, keys: dict[str, int]
) -> None:
    """r7: wherever they ran."""
    message = "Diary.on_log raised on training.log: ValueError: no\x1b[2Jink (trainer.py, line 7)"
    place = {"file": "/x/trainer.py", "line": 7, "traceback": "trainer.py:7 in on_log"}
    with Archive.open() as archive:
        data = {"event": "training.log", "message": message, **place}
        archive.save_finding(keys["good"], "error", "Diary.on_log", 5, data)
    assert main(["runs", "show", "triage-run"]) == 0
    out = capsys.readouterr().out
    assert "raised         step 5: Diary.on_log raised on training.log: ValueError: no" in out
    assert "(trainer.py, line 7)" in out
    assert "\x1b" not in out
    assert "trainer.py:7 in on_log" not in out
    assert main(["runs", "show", "triage-run", "--debug"]) == 0
    assert "trainer.py:7 in on_log" in capsys.readouterr().out
    assert main(["runs", "show", "triage-run", "--json"]) == 0
    (error,) = json.loads(lines(capsys)[0])["callbackErrors"]
    assert (error["callback"], error["step"], error["line"]) == ("Diary.on_log", 5, 7)
    assert error["file"] == "/x/trainer.py"


def test_an_archive_that_is_damaged_within_says_what_to_do(capsys: Capture) -> None:
    with Archive.open() as archive:
        path = archive.path
        table = "SELECT rootpage FROM sqlite_master WHERE name = 'events'"
        page = archive.db.execute(table).fetchone()[0]
        size = archive.db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert main(["runs"]) == 0  # the list of runs is whole
    assert main(["runs", "export", "triage-run"]) == 1
    told = capsys.readouterr().err
    assert "is damaged within" in told
    assert f"mv {path} {path}.damaged" in told


def test_an_unknown_run_and_an_ambiguous_one_say_what_to_do(capsys: Capture) -> None:
    assert main(["runs", "show", "nothing"]) == 2
    assert "arkor-tui runs" in capsys.readouterr().err
    assert main(["runs", "show", "job_"]) == 2
    assert "'job_' means 3 runs:" in capsys.readouterr().err


def test_export_overwrites_only_when_told(capsys: Capture, project: Path) -> None:
    assert main(["runs", "export", "triage-run", "--format", "csv", "-o", "run.csv"]) == 0
    first = (project / "run.csv").read_text()
    assert first.startswith("step,loss,evalLoss")
    assert main(["runs", "export", "other-run", "--format", "csv", "-o", "run.csv"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (project / "run.csv").read_text() == first
    assert main(["runs", "export", "other-run", "--format", "csv", "-o", "run.csv", "--force"]) == 0
    assert (project / "run.csv").read_text() != first


def test_delete_asks_and_undelete_brings_back(capsys: Capture) -> None:
    assert main(["runs", "delete", "triage-run"]) == 2  # nobody is here to be asked
    assert main(["runs", "delete", "triage-run", "--yes"]) == 0
    capsys.readouterr()
    main(["runs", "--json"])
    assert "triage-run" not in {json.loads(line)["name"] for line in lines(capsys)}
    assert main(["runs", "undelete", "triage-run"]) == 2
    assert "job_triage-run  triage-run" in capsys.readouterr().err  # its id stands nowhere else
    assert main(["runs", "undelete", "job_triage-run"]) == 0
    main(["runs", "--json"])
    assert "triage-run" in {json.loads(line)["name"] for line in lines(capsys)}


def test_what_is_done_to_runs_is_told_as_json(capsys: Capture, project: Path) -> None:
    for name in ("triage-run", "other-run"):
        main(["runs", "export", name, "-o", f"{name}.jsonl"])
    done = {
        "delete": ["triage-run", "other-run", "--yes"],
        "undelete": ["job_triage-run", "job_other-run"],
        "import": ["triage-run.jsonl", "other-run.jsonl"],
    }
    capsys.readouterr()
    for action, words in done.items():
        assert main(["runs", action, *words, "--json"]) == 0
        out, err = capsys.readouterr()
        found = [json.loads(line) for line in out.splitlines()]
        assert [(one["type"], one["action"], one["jobId"]) for one in found] == [
            ("run", action, "job_triage-run"), ("run", action, "job_other-run")
        ]  # fmt: skip
        assert err == ""
        assert {one["backend"] == "import" for one in found} == {action == "import"}
    main(["runs", "--json"])
    listed = [json.loads(line) for line in lines(capsys)]
    for one in found:
        one.pop("action")
        assert one in listed


def test_a_run_goes_before_its_recording_unless_it_is_deleted(
    capsys: Capture, project: Path
) -> None:
    main(["runs", "export", "other-run", "-o", "run.jsonl"])
    main(["runs", "import", "run.jsonl"])
    capsys.readouterr()

    def backend(*words: str) -> str:
        assert main(["runs", *words, "--json"]) == 0
        return str(json.loads(lines(capsys)[0])["backend"])

    for ref in ("job_other-run", "other-run"):
        assert backend("show", ref) != "import"
    assert backend("show", "import:other-run") == "import"
    assert backend("delete", "job_other-run", "--yes") != "import"
    assert backend("delete", "job_other-run", "--yes") == "import"


def test_what_was_emptied_is_not_said_to_be_back(capsys: Capture, keys: dict[str, int]) -> None:
    main(["runs", "delete", "triage-run", "--yes"])
    with Archive.open() as archive:
        archive.db.execute("UPDATE runs SET deleted_at = 1 WHERE key = ?", (keys["good"],))
    capsys.readouterr()
    assert main(["runs", "undelete", "job_triage-run"]) == 2
    assert "None of these was deleted lately" in capsys.readouterr().err


def test_a_recording_goes_out_and_comes_in(capsys: Capture, project: Path) -> None:
    main(["runs", "export", "triage-run", "-o", "run.jsonl"])
    assert main(["runs", "import", "run.jsonl"]) == 0
    assert "26 events" in capsys.readouterr().err
    with Archive.open() as archive:
        assert len(archive.find("job_triage-run")) == 2


def test_replay_without_the_app_prints_the_events(capsys: Capture) -> None:
    assert main(["replay", "triage-run", "--headless"]) == 0
    out = lines(capsys)
    assert out[0] == "replay: triage-run"
    assert len(out) == 27
    assert "step=25" in out[6]


def test_replay_refuses_what_is_no_recording(capsys: Capture, project: Path) -> None:
    (project / "odd.jsonl").write_text('{"type": "something"}\n')
    assert main(["replay", "odd.jsonl", "--headless"]) == 1
    assert "line 1" in capsys.readouterr().err


async def test_a_replay_plays_every_event_into_an_archive_of_its_own(project: Path) -> None:
    from arkor_tui.errors import UsageError

    main(["runs", "export", "triage-run", "-o", "run.jsonl"])
    recording = read_recording(project / "run.jsonl")
    updates: list[Update] = []
    async with replaying(recording, speed=100_000) as session:
        monitor = next(iter(session.monitors))
        import asyncio

        ended = asyncio.Event()
        monitor.subscribe(lambda update: (updates.append(update), update.ended and ended.set()))
        await ended.wait()
        assert monitor.record is not None
        assert (monitor.record.name, monitor.record.status) == ("replay: triage-run", "completed")
        assert monitor.record.events == 26
        with pytest.raises(UsageError, match="replay"):
            await session.connect()
        outcome = await session.cancel(monitor)
        assert outcome.phase == "failed"
        assert "replay" in outcome.message
    with Archive.open() as archive:
        assert archive.count() == 3  # the user's own archive was not touched


def test_show_says_which_guard_stopped_a_run(capsys: Capture, keys: dict[str, int]) -> None:
    """r16: in words and as JSON, from the same record."""
    guard = Ended("guard", "the loss is not a number", "non-finite", 12, 10)
    with Archive.open() as archive:
        archive.set_end(keys["cancelled"], "cancelled", "Job cancelled", guard)
        odd = event("training.log", 99, loss=None, nonFinite={"loss": "nan"})
        archive.append(keys["cancelled"], [NewEvent("99", *odd[:2], time_of(99), odd[2])])
    assert main(["runs", "show", "other-run"]) == 0
    shown = lines(capsys)
    assert f"ended          {guard}" in shown
    assert "oddLoss        NaN at step 99" in shown
    assert not [line for line in shown if line.startswith(("reason", "error", "lastLoss"))]
    assert main(["runs", "show", "other-run", "--json"]) == 0
    (found,) = [json.loads(line) for line in lines(capsys)]
    assert found["ended"] == guard.as_dict()
    assert (found["reason"], found["lastLoss"]) == (guard.sentence, None)
    assert found["oddLoss"] == {"value": "NaN", "step": 99}
