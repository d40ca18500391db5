"""Recordings from anywhere: taken in, played and shown whatever they hold, or refused by line."""

from __future__ import annotations

import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.archive.export import FORMATS, export_run, import_run
from arkor_tui.archive.exporting import export_to_file
from arkor_tui.archive.recording import RecordingError, read_recording
from arkor_tui.archive.records import LogRow, NewEvent, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.cli import replay
from arkor_tui.session.replay import replay_trainer
from arkor_tui.tui.text import clock, duration, when
from arkor_tui.tui.widgets.eventlog import line_of
from tests.support.archive_material import IDENTITY, job
from tests.support.hostile_payloads import forbidden, hostile_text, json_values, numbers

from .test_wire import event_texts

times = (
    st.none()
    | st.sampled_from(
        ["2026-03-01T10:00:00Z", "2026-03-01T10:00:00", "0001-01-01T00:00:00+14:00", "x",
         "9999-12-31T23:59:59-14:00", "2026-03-01", "20260301T100000Z", "2026-W10-1", ""]
    )
    | hostile_text
)  # fmt: skip
few_numbers = st.none() | st.integers(0, 200) | numbers
event_data = event_texts() | hostile_text | st.sampled_from(["[" * 5_000, '{"loss": ' * 900])
lines = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("event"), "kind": hostile_text, "data": event_data},
        optional={"id": st.none() | hostile_text, "step": few_numbers, "at": times},
    ),
    st.builds(
        lambda line, kind: {**line, "kind": kind},
        st.fixed_dictionaries(
            {"type": st.just("event"), "data": event_data, "step": few_numbers, "at": times}
        ),
        st.sampled_from(["training.started", "training.log", "checkpoint.saved"]),
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("sample"), "probe": hostile_text, "prompt": few_numbers,
            "reply": hostile_text,
        },
        optional={
            "step": few_numbers, "passed": st.booleans() | st.none(), "verdict": hostile_text,
            "created_at": times, "target": st.sampled_from(["", "base", "final", "moon"]),
            "text": hostile_text, "seconds": few_numbers,
        },
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("exchange"), "target": st.sampled_from(["base", "final", "checkpoint"]),
            "model": hostile_text, "reply": hostile_text,
            "messages": st.lists(
                st.dictionaries(st.sampled_from(["role", "content"]) | hostile_text, json_values)
            ),
        },
        optional={
            "step": few_numbers, "settings": st.dictionaries(hostile_text, json_values),
            "tokens": few_numbers, "total_s": few_numbers, "verdict": st.none() | hostile_text,
            "error": st.none() | hostile_text, "group": st.none() | hostile_text,
            "created_at": times, "finish_reason": st.none() | hostile_text,
        },
    ),
    json_values.filter(lambda value: isinstance(value, dict)),
)  # fmt: skip
headers = st.fixed_dictionaries(
    {
        "identity": st.fixed_dictionaries(
            dict.fromkeys(("backend", "org", "project", "job_id"), hostile_text)
        ),
        "name": hostile_text,
        "model": hostile_text,
        "status": st.sampled_from(["queued", "running", "completed", "failed", "cancelled"]),
        "created_at": times.map(lambda value: value or ""),
    },
    optional={
        "dataset": hostile_text,
        "error": st.none() | hostile_text,
        "reason": st.none() | hostile_text,
        "started_at": times,
        "completed_at": times,
        "max_steps": few_numbers,
        "last_step": few_numbers,
        "last_loss": few_numbers,
        "config": st.dictionaries(
            st.sampled_from(["model", "datasetSource", "maxSteps", "loraR"]) | hostile_text,
            json_values,
        ),
        "tags": st.lists(hostile_text),
        "note": hostile_text,
    },
)


@st.composite
def recordings(draw: st.DrawFn) -> bytes:
    """A file whose first line is a run more often than not, and whose lines are anything."""
    header = {"type": "arkor-tui.run", "version": 1, "run": draw(headers)}
    content = [header, *draw(st.lists(lines, max_size=6))]
    text = "\n".join(json.dumps(line, ensure_ascii=draw(st.booleans())) for line in content)
    data = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 5)) == 0:  # torn off, or torn open
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(st.binary(max_size=6))
    return data


_NUMBERS = itertools.count()
one_file = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    with Archive.open(tmp_path / "history.db") as archive:
        yield archive


def shown_everywhere(archive: Archive, record: RunRecord) -> None:
    """What the views and commands make of a run fails for none, and is harmless."""
    rows = archive.log(record.key, limit=1_000)
    for row in rows:
        text = "".join(part for part, _ in line_of(row))
        assert forbidden(text) == set()
        assert len(text) < 20_000
        assert isinstance(clock(row.at) + when(row.at), str)
    assert isinstance(duration(record.duration), str)
    archive.checkpoints(record.key)
    archive.load_series(record.key)
    for exchange in archive.exchanges(record.key):
        assert isinstance(exchange.messages, tuple)


@one_file
@given(recordings())
def test_any_recording_is_taken_in_or_refused_by_line(
    archive: Archive, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    before = archive.db.total_changes
    try:
        key = import_run(archive, path)
    except RecordingError as error:
        assert archive.db.total_changes == before
        words = f"{error.message} {error.hint}"
    else:
        record = archive.run(key)
        assert record is not None
        shown_everywhere(archive, record)
        words = record.name
        goes_out_and_comes_back(archive, key, tmp_path)
    assert forbidden(words) == set()
    assert len(words) < 5_000


def goes_out_and_comes_back(archive: Archive, key: int, folder: Path) -> None:
    for format in FORMATS:
        out = io.StringIO(newline="")
        export_run(archive, key, format, out)
        assert forbidden(out.getvalue()) == set()
        out.getvalue().encode()
        if format == "jsonl":
            path = folder / "again.jsonl"
            path.write_text(out.getvalue(), encoding="utf-8")
            assert import_run(archive, path) == key
    record = archive.run(key)
    assert record is not None
    for kind in ("transcripts.md", "transcripts.jsonl", "csv"):
        path = export_to_file(archive, record, kind, folder)
        assert path.parent == folder
        assert path.name.isprintable()
        assert forbidden(path.read_text("utf-8")) == set()
        path.unlink()


@one_file
@given(recordings())
async def test_any_recording_is_played_or_refused_by_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    try:
        recording = read_recording(path)
        result = await replay_trainer(recording, speed=1e12).wait()
    except RecordingError:
        return
    assert result.job.is_terminal


@one_file
@given(recordings(), st.booleans())
def test_any_recording_is_printed_or_refused_by_line(
    tmp_path: Path, content: bytes, json_lines: bool
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr("sys.stdout", out)
        try:
            replay._print(read_recording(path), json_lines=json_lines)
        except RecordingError:
            return
    assert forbidden(out.getvalue()) == set()
    if json_lines:
        assert all(json.loads(line)["type"] for line in out.getvalue().splitlines())


@given(st.lists(st.tuples(hostile_text, few_numbers, times, event_data), max_size=6))
def test_any_events_of_a_backend_can_be_archived(
    events: list[tuple[str, Any, str | None, str]],
) -> None:
    with Archive.open() as archive:
        key = archive.register(replace(IDENTITY, job_id=str(next(_NUMBERS))), job())
        archive.append(
            key,
            [
                NewEvent(str(n), kind, step if type(step) is int else None, at, data)
                for n, (kind, step, at, data) in enumerate(events)
            ],
        )
        record = archive.run(key)
        assert record is not None
        assert record.events == len(events)
        shown_everywhere(archive, record)


@given(event_data, st.none() | st.integers(-5, 200))
def test_every_row_has_a_line(data: str, step: int | None) -> None:
    for kind in ("training.log", "training.failed", "checkpoint.saved", "odd"):
        text = "".join(part for part, _ in line_of(LogRow(1, None, kind, step, None, data)))
        assert forbidden(text) == set()
        assert "\n" not in text
