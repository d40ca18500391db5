"""What leaves the program: sanitised lines, JSON that every parser takes, the three views."""

from __future__ import annotations

import io
import json

import pytest

from arkor_tui.api.events import parse_event
from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.api.stream import StreamEvent
from arkor_tui.cli.output import CallbackOutput, dump_line, event_record
from arkor_tui.cli.present import (
    BarPresenter,
    JsonPresenter,
    LinePresenter,
    Presenter,
    clock,
    finding_line,
)
from arkor_tui.run.findings import Finding

EVIL = "\x1b]52;c;aGk=\x07\x9b31mred\u202e[bold]x[/bold]"


def item(number: int = 1, **fields: object) -> StreamEvent:
    data = json.dumps({"jobId": "job_1", "timestamp": "2026-01-01T00:00:00Z", **fields})
    return StreamEvent(str(number), parse_event(data), data)


def job(**changes: object) -> Job:
    return Job.model_validate(
        {
            "id": "job_1",
            "orgId": "o",
            "projectId": "p",
            "name": EVIL,
            "status": "queued",
            "config": {"model": "m", "maxSteps": 100},
            "createdAt": None,
            **changes,
        }
    )


def test_what_a_trainer_file_prints_is_sanitised_line_by_line() -> None:
    lines: list[str] = []
    out = CallbackOutput(lines.append)
    print(f"reply: {EVIL}", "and", 2, file=out)
    print("no line break", end="", file=out)
    assert lines == ["reply: red\N{REPLACEMENT CHARACTER}[bold]x[/bold] and 2"]
    out.finish()
    assert lines[1:] == ["no line break"]
    assert out.lines == 2


def test_an_infinite_loss_becomes_null_and_is_named() -> None:
    data = '{"type":"training.log","jobId":"j","step":3,"loss":1e309,"evalLoss":-1e309}'
    record = event_record(StreamEvent("7", parse_event(data), data))
    assert record["loss"] is None
    assert record["nonFinite"] == {"loss": "inf", "evalLoss": "-inf"}
    assert json.loads(dump_line(record))["eventId"] == "7"


def test_json_lines_are_ascii() -> None:
    line = dump_line({"type": "x", "text": EVIL + "é"})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["text"] == EVIL + "é"


def test_json_view_gives_events_in_their_own_names(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    view = JsonPresenter(out)
    view.created(job(), attached=False)
    view.line("from a callback")
    view.event(item(type="training.log", step=5, loss=0.5, samplesPerSecond=9.0), spoke=True)
    view.finished(job(status="failed", error="out of memory"), 0)
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [record["type"] for record in records] == ["job.created", "training.log", "result"]
    assert records[0]["jobId"] == "job_1"
    assert records[1]["step"] == 5
    assert records[1]["loss"] == 0.5
    assert records[1]["samplesPerSecond"] == 9.0
    assert records[2]["status"] == "failed"
    assert capsys.readouterr().err == "from a callback\n"


def test_line_view_speaks_only_where_the_trainer_file_did_not() -> None:
    out = io.StringIO()
    view = LinePresenter(out)
    view.created(job(), attached=False)
    view.event(item(type="training.started", metadata={"steps": 40}), spoke=False)
    view.event(item(2, type="training.log", step=10, loss=0.25), spoke=False)
    view.event(item(3, type="training.log", step=20, loss=0.125), spoke=True)
    view.event(item(4, type="checkpoint.saved", step=20), spoke=False)
    view.finished(job(status="completed"), 1)
    text = out.getvalue()
    assert "step 10/40  loss 0.2500" in text
    assert "step 20/40" not in text
    assert "checkpoint 20 saved" in text
    assert "completed (job_1)" in text
    assert "\x1b" not in text


def test_time_left_is_told_by_the_backends_clock() -> None:
    out = io.StringIO()
    view = LinePresenter(out)
    view.created(job(), attached=True)
    for step, second in ((10, 10), (20, 30), (30, 50)):  # all at once, as history comes
        at = f"2026-01-01T00:00:{second}Z"
        view.event(item(step, type="training.log", step=step, loss=1.0, timestamp=at), spoke=False)
    first, *later = out.getvalue().splitlines()[1:]
    assert "eta" not in first
    assert [line.rpartition("eta ")[2] for line in later] == ["2:40", "2:20"]


class Terminal(io.StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_bar_view_holds_lines_back_while_a_question_is_open() -> None:
    out = Terminal()
    view = BarPresenter(out)
    view.created(job(), attached=False)
    view.pause()
    before = out.getvalue()
    view.line("from a callback")
    assert out.getvalue() == before
    view.resume()
    assert "from a callback" in out.getvalue()
    view.close()


def test_bar_view_shows_step_loss_and_name_as_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    view = BarPresenter(out)
    view.created(job(), attached=False)
    view.event(item(type="training.started", metadata={"steps": 40}), spoke=False)
    view.event(item(2, type="training.log", step=10, loss=0.25, evalLoss=0.5), spoke=False)
    view.line(f"[red]{EVIL}[/red]")
    view.finished(job(status="failed", error=EVIL), 0)
    view.close()
    text = out.getvalue()
    assert "[red]red" in text
    assert "step 10/40" in text
    assert "loss 0.2500  eval 0.5000" in text
    for control in ("\x1b]52", "\x9b", "\u202e", "\x07"):
        assert control not in text


@pytest.mark.parametrize(
    ("states", "text"),
    [
        (
            [StreamState("reconnecting", 2, 1.5, "the connection broke")],
            "connection lost (the connection broke); reconnecting, attempt 2, in 1.5 s",
        ),
        (
            [StreamState("live", reason=why) for why in ("", "the disk is full", "")],
            "the run waits: the disk is full. Check the free space of the backend's",
        ),
    ],
)
@pytest.mark.parametrize("make", [LinePresenter, BarPresenter, JsonPresenter])
def test_every_view_tells_once_why_no_events_come(
    make: type[LinePresenter | BarPresenter | JsonPresenter],
    states: list[StreamState],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    view: Presenter = make(out)
    view.created(job(), attached=True)
    for state in states:
        view.state(state)
    view.close()
    said = " ".join((out.getvalue() + capsys.readouterr().err).split())
    assert said.count(text) == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (38, "0:38"), (61.6, "1:02"), (3723, "1:02:03")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_what_recipes_find_is_told_in_a_line() -> None:
    armed = {"guard": "patience", "phase": "armed", "reason": f"no better\n{EVIL}", "message": ""}
    line = finding_line(Finding("guard", "EarlyStopping", 40, armed))
    assert line.startswith("the guard stops the run at the next checkpoint: no better")
    assert "\n" not in line
    assert "\x1b" not in line
    refused = {**armed, "phase": "failed", "reason": "why", "message": "the backend said no"}
    line = finding_line(Finding("guard", "EarlyStopping", 40, refused))
    assert line == "the guard could not stop the run: why; the backend said no"

    data = {"target": "checkpoint", "text": "I can't log in.", "name": "login", "reply": "{}"}
    failed = Finding("sample", "probe", 25, {**data, "passed": False, "verdict": "lacks 'auth'"})
    assert finding_line(failed) == "FAIL    step 25  login  {}  (lacks 'auth')"
    base = Finding(
        "sample", "probe", None, {**data, "target": "base", "name": None, "passed": None}
    )
    assert finding_line(base) == " --        base  I can't log in.  {}"
    assert finding_line(Finding("notice", "SlackNotifier", 25, {"ok": True})) == ""
