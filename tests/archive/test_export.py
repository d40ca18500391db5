"""Runs that leave the archive, and recordings that come into it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.archive.export import (
    FORMATS,
    Format,
    RecordingError,
    export_run,
    import_run,
    read_recording,
)
from arkor_tui.archive.records import Exchange, NewEvent, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.errors import UsageError
from tests.support.archive_material import IDENTITY, at, job, log, whole_run

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202e| `x` <b>\n=1+1 \ud83d"
SECRET = "hf_do-not-keep-me"


@pytest.fixture
def run(archive: Archive) -> int:
    """A completed run with everything that a run can have."""
    source = {"type": "blob", "url": f"https://h.example/a?sig={SECRET}", "token": SECRET}
    key = archive.register(
        IDENTITY, job(startedAt=at(0), config={"datasetSource": source}), trainer_file="t.py"
    )
    archive.append(key, whole_run(30))
    archive.append(key, [NewEvent(None, "odd", None, None, HOSTILE)])
    archive.set_tags(key, ["night"])
    archive.set_note(key, "first try\nsecond line")
    archive.save_sample(Sample(key, "login", 0, 10, HOSTILE, True, "ok", at(10)))
    archive.save_sample(Sample(key, "login", 0, None, "base", None, "", at(10)))
    archive.save_exchange(
        Exchange(
            key, "final", None, "m", ({"role": "user", "content": HOSTILE},), HOSTILE,
            {"temperature": 0}, created_at=at(40),
        )
    )  # fmt: skip
    return key


def exported(archive: Archive, key: int, format: Format) -> str:
    """What an export writes."""
    out = io.StringIO()
    export_run(archive, key, format, out)
    return out.getvalue()


@pytest.fixture
def recording(archive: Archive, run: int, tmp_path: Path) -> Path:
    """The run in a file."""
    path = tmp_path / "run.jsonl"
    path.write_text(exported(archive, run, "jsonl"))
    return path


def test_a_recording_begins_with_the_run_and_then_tells_its_events(
    archive: Archive, run: int
) -> None:
    lines = [json.loads(line) for line in exported(archive, run, "jsonl").splitlines()]
    header = lines[0]
    assert (header["type"], header["version"]) == ("arkor-tui.run", 1)
    assert header["run"]["identity"]["job_id"] == "job-1"
    events = [line for line in lines if line["type"] == "event"]
    assert [(line["id"], line["data"]) for line in events[:-1]] == [
        (event.id, event.data) for event in whole_run(30)
    ]
    assert [line["type"] for line in lines[-3:]] == ["sample", "sample", "exchange"]


def test_what_goes_out_comes_back(archive: Archive, run: int, recording: Path) -> None:
    key = import_run(archive, recording)
    assert key != run
    one, other = archive.run(run), archive.run(key)
    assert one is not None
    assert other is not None
    assert other.identity == replace(one.identity, backend="import")
    assert other == replace(
        one,
        key=key,
        identity=other.identity,
        trainer_file=None,
        origin="import",
    )
    assert archive.log(key) == archive.log(run)
    assert archive.checkpoints(key) == archive.checkpoints(run)
    assert archive.samples(key) == [replace(sample, run_key=key) for sample in archive.samples(run)]
    assert [replace(item, id=None) for item in archive.exchanges(key)] == [
        replace(item, id=None, run_key=key) for item in archive.exchanges(run)
    ]
    series = archive.load_series(run)
    for name, values in archive.load_series(key).items():
        assert list(values.values) == list(series[name].values)


def test_importing_again_changes_nothing(archive: Archive, recording: Path) -> None:
    key = import_run(archive, recording)
    before = (archive.run(key), archive.log(key), archive.exchanges(key), archive.samples(key))
    assert import_run(archive, recording) == key
    after = (archive.run(key), archive.log(key), archive.exchanges(key), archive.samples(key))
    assert after == before
    assert archive.count() == 2


def test_into_another_archive(recording: Path, tmp_path: Path) -> None:
    with Archive.open(tmp_path / "other.db") as other:
        run = other.run(import_run(other, recording))
        assert run is not None
        assert (run.status, run.last_loss, run.note) == (
            "completed",
            0.1,
            "first try\nsecond line",
        )


def test_a_run_that_was_recorded_while_it_ran_is_not_live(archive: Archive, tmp_path: Path) -> None:
    key = archive.register(IDENTITY, job(status="running"))
    archive.append(key, whole_run(5)[:-1])
    path = tmp_path / "run.jsonl"
    path.write_text(exported(archive, key, "jsonl"))
    run = archive.run(import_run(archive, path))
    assert run is not None
    assert (run.status, run.reason) == ("cancelled", "recorded before the run had ended")


def test_reading_a_recording_without_an_archive(recording: Path) -> None:
    found = read_recording(recording)
    assert found.run.name == "triage-run"
    assert found.run.identity == IDENTITY
    assert list(found.events)[:-1] == whole_run(30)
    assert list(found.events)[:-1] == whole_run(30)  # from the beginning each time


@pytest.mark.parametrize("format", FORMATS)
def test_no_secret_and_no_control_character_leaves(
    archive: Archive, run: int, format: Format
) -> None:
    text = exported(archive, run, format)
    assert SECRET not in text
    assert text.replace("\n", "").isprintable()


def test_a_secret_in_a_recording_is_not_taken_in(
    archive: Archive, recording: Path, tmp_path: Path
) -> None:
    header, *rest = recording.read_text().splitlines()
    content = json.loads(header)
    content["run"]["config"]["datasetSource"] = {
        "type": "blob",
        "url": "https://h",
        "token": SECRET,
    }
    recording.write_text("\n".join([json.dumps(content), *rest]))
    assert "token" not in read_recording(recording).run.config["datasetSource"]
    run = archive.run(import_run(archive, recording))
    assert run is not None
    assert run.config["datasetSource"] == {"type": "blob", "url": "https://h"}


def test_the_table_of_metrics(archive: Archive, key: int) -> None:
    archive.append(
        key,
        [
            log(1, 1, 3.0),
            log(2, 2, 2.0, evalLoss=2.5, **{"=1+1": 4}),
            log(3, 3, loss=None),
            log(4, 4, evalLoss=1e-7),
        ],
    )
    rows = list(csv.reader(io.StringIO(exported(archive, key, "csv"))))
    assert rows[0] == ["step", "loss", "evalLoss", "time", "'=1+1"]
    times = [str(1786096800.0 + step) for step in (1, 2, 3, 4)]
    assert rows[1:] == [
        ["1", "3.0", "", times[0], ""],
        ["2", "2.0", "2.5", times[1], "4.0"],
        ["3", "", "", times[2], ""],
        ["4", "", "1e-07", times[3], ""],
    ]


def test_the_report(archive: Archive, run: int) -> None:
    text = exported(archive, run, "markdown")
    assert text.startswith("# triage-run\n")
    for expected in (
        "| Status | completed |",
        "| Steps | 30 of 100 |",
        "> second line",
        "| Training loss | 30 | 0.1000 | 0.1000 |",
        "| 20 | 2026-08-07T10:00:20.000Z | 0.1500 | 0.1750 |",
        '| model | "arkor-tui/tiny" |',
    ):
        assert expected in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    (reply,) = [row for row in rows if "red" in row]
    assert len(re.findall(r"(?<!\\)\|", reply)) == 6  # the text's own bar is no column
    assert "<b>" not in reply.replace("\\<", "")


def test_a_report_of_a_run_that_did_nothing_yet(archive: Archive, key: int) -> None:
    text = exported(archive, key, "markdown")
    assert "| Steps | - of 100 |" in text
    assert "## Losses" not in text


def test_a_run_that_is_not_there(archive: Archive) -> None:
    with pytest.raises(UsageError):
        export_run(archive, 99, "csv", io.StringIO())


def changed(line: int, change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """What makes one line of a recording wrong."""

    def apply(text: str) -> str:
        lines = text.splitlines()
        content = json.loads(lines[line - 1])
        change(content)
        lines[line - 1] = json.dumps(content)
        return "\n".join(lines)

    return apply


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda text: "", None),
        (lambda text: "hello\n" + text, 1),
        (lambda text: "[]\n" + text, 1),
        (lambda text: text.partition("\n")[2], 1),
        (changed(1, lambda c: c.update(version=2)), 1),
        (changed(1, lambda c: c.update(version="1")), 1),
        (changed(1, lambda c: c["run"].update(status="great")), 1),
        (changed(1, lambda c: c["run"].update(config=[])), 1),
        (changed(1, lambda c: c["run"]["identity"].update(job_id="")), 1),
        (changed(3, lambda c: c.update(data={})), 3),
        (changed(3, lambda c: c.update(step="1")), 3),
        (changed(3, lambda c: c.update(step=10**30)), 3),
        (changed(3, lambda c: c.pop("type")), 3),
        (lambda text: text.replace("\n", "\n17\n", 1), 2),
        (lambda text: text + '{"type": "event"', 44),
        (lambda text: text + "\n" + "x" * 9_000_000, 45),
    ],
)
def test_a_mistake_is_named_with_its_line_and_nothing_is_changed(
    archive: Archive, recording: Path, damage: Callable[[str], str], line: int | None
) -> None:
    recording.write_text(damage(recording.read_text()))
    before = archive.db.total_changes
    with pytest.raises(RecordingError) as caught:
        import_run(archive, recording)
    assert caught.value.line == line
    assert str(recording) in caught.value.message
    assert archive.db.total_changes == before


def test_lines_of_a_later_version_are_left_out(archive: Archive, recording: Path) -> None:
    recording.write_text(recording.read_text() + '{"type": "tensor"}\n\n')
    assert archive.run(import_run(archive, recording)) is not None


def test_a_file_that_is_not_there(archive: Archive, tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(RecordingError, match="cannot be read"):
            import_run(archive, path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300), st.integers(0, 3000))
def test_any_damage_at_all_is_a_recording_error_or_none(
    archive: Archive, recording: Path, tmp_path: Path, junk: bytes, place: int
) -> None:
    content = recording.read_bytes()
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(content[:place] + junk + content[place + len(junk) :])
    try:
        key = import_run(archive, damaged)
    except RecordingError:
        return
    assert archive.run(key) is not None


def test_the_spread_of_one_value_is_a_dash(archive: Archive, key: int) -> None:
    archive.append(key, [log("1", 1, loss=1.5)])
    assert "| Training loss | 1 | 1.5000 | 1.5000 | 1.5000 | – | – |" in exported(
        archive, key, "markdown"
    )
