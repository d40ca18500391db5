"""Events reach the archive once each, whatever a server sends and however often."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.archive.records import NewEvent
from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, at, event, job, log, whole_run


def test_what_is_new_is_numbered_without_holes(archive: Archive, key: int) -> None:
    first = archive.append(key, [log("a", 1, 3.0), log("b", 2, 2.5)])
    second = archive.append(key, [log("b", 2, 2.5), log("c", 3, 2.0)])
    assert [row.seq for row in first.added] == [1, 2]
    assert [(row.seq, row.id) for row in second.added] == [(3, "c")]
    assert (first.repeats, second.repeats) == (0, 1)


def test_a_whole_history_again_changes_nothing(archive: Archive, key: int) -> None:
    events = whole_run()
    archive.append(key, events)
    before, rows = archive.run(key), archive.log(key)
    again = archive.append(key, events)
    assert again.added == ()
    assert again.repeats == len(events)
    assert archive.run(key) == before
    assert archive.log(key) == rows


def test_a_repeat_within_one_batch(archive: Archive, key: int) -> None:
    result = archive.append(key, [log("a", 1, 3.0), log("a", 1, 3.0)])
    assert len(result.added) == 1
    assert result.repeats == 1


def test_events_without_id_are_known_by_their_content(archive: Archive, key: int) -> None:
    events = [log(None, 1, 3.0), log(None, 2, 2.5)]
    archive.append(key, events)
    replayed = archive.append(key, [*events, log(None, 3, 2.0)])
    assert [row.step for row in replayed.added] == [3]
    run = archive.run(key)
    assert run is not None
    assert run.last_event_id is None  # a content is no place to resume from
    assert [row.id for row in archive.log(key)] == [None, None, None]


def test_a_server_may_call_its_events_anything(archive: Archive, key: int) -> None:
    ids = ["~1", "", " ", "07", "7", "2026-08-07T10:00:00Z", "ü", "'; DROP TABLE events; --"]
    archive.append(key, [log(name, step, 1.0) for step, name in enumerate(ids, 1)])
    assert [row.id or "" for row in archive.log(key)] == ids
    run = archive.run(key)
    assert run is not None
    assert run.last_event_id == ids[-1]


def test_two_runs_with_the_same_event_ids(archive: Archive, key: int) -> None:
    other = archive.register(type(IDENTITY)("cloud", "org", "project", "job-1"), job())
    archive.append(key, [log("1", 1, 3.0)])
    assert len(archive.append(other, [log("1", 1, 2.0)]).added) == 1


def test_what_was_written_is_there_after_a_restart(path: Path) -> None:
    events = whole_run()
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())
        archive.append(key, events[:17])
        before = archive.run(key)
    with Archive.open(path) as archive:
        assert archive.run(key) == before
        result = archive.append(key, events[10:])
        assert result.repeats == 7
        assert [row.data for row in archive.log(key)] == [item.data for item in events]


def test_the_summary_follows_the_events(archive: Archive, key: int) -> None:
    archive.append(key, whole_run(30))
    run = archive.run(key)
    assert run is not None
    assert run.status == "completed"
    assert (run.started_at, run.completed_at) == (at(0), at(31))
    assert run.duration == 31.0
    assert (run.last_step, run.max_steps) == (30, 100)
    assert (run.last_loss, run.best_loss) == (0.1, 0.1)
    assert (run.last_eval_loss, run.best_eval_loss) == (0.1167, 0.1167)
    assert run.checkpoints == 3
    assert run.events == len(whole_run(30))
    assert run.last_event_id == str(run.events)


def test_the_best_loss_is_not_the_last(archive: Archive, key: int) -> None:
    archive.append(key, [log(1, 1, 2.0), log(2, 2, 1.0), log(3, 3, 1.5)])
    run = archive.run(key)
    assert run is not None
    assert (run.last_loss, run.best_loss) == (1.5, 1.0)


def test_a_run_begins_with_its_first_event(archive: Archive, key: int) -> None:
    archive.append(key, [event(1, "training.started", time=at(3))])
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.started_at) == ("running", at(3))


@pytest.mark.parametrize(
    ("error", "status"), [("Job cancelled", "cancelled"), ("out of memory", "failed")]
)
def test_how_a_run_ends_badly(archive: Archive, key: int, error: str, status: str) -> None:
    archive.append(key, [event(1, "training.failed", time=at(9), error=error)])
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.error, run.completed_at) == (status, error, at(9))


def test_an_ended_run_does_not_start_again(archive: Archive, key: int) -> None:
    archive.append(key, [event(1, "training.failed", time=at(9), error="no")])
    archive.append(key, [event(2, "training.started", time=at(10)), log(3, 1, 2.0)])
    run = archive.run(key)
    assert run is not None
    assert run.status == "failed"


def test_a_late_event_does_not_overrule_the_backend(archive: Archive, key: int) -> None:
    archive.register(IDENTITY, job(status="cancelled", completedAt=at(5)))
    archive.append(key, [event(1, "training.completed", time=at(9))])
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.completed_at) == ("cancelled", at(5))


@pytest.mark.parametrize(
    "hostile",
    [
        NewEvent("x", "training.log", 1, at(1), "no json"),
        NewEvent("x", "training.log", 1, at(1), "[" * 100_000),
        NewEvent("x", "training.log", 1, at(1), "null"),
        NewEvent("x", "training.log", None, None, "{}"),
        NewEvent("x", "training.log", 10**40, "soon", '{"loss": 1}'),
        NewEvent("x", "training.log", -(10**40), "soon", '{"loss": 1}'),
        NewEvent("x", "training.log", 1, "9" * 5000, '{"loss": ' + "9" * 5000 + "}"),
        NewEvent("x", "training.log", 1, at(1), '{"loss": 1e999, "evalLoss": -1e999}'),
        NewEvent("x", "training.log", 1, at(1), '{"": 1, "' + "n" * 5000 + '": 2}'),
        NewEvent("x", "training.log", 1, at(1), '{"loss": true, "nonFinite": {"loss": 3}}'),
        NewEvent("x", "training.log", 1, at(1), '{"nonFinite": ["loss"]}'),
        NewEvent("x\udc00", "training.log\ud800", 1, "\udfff", '{"\ud800": 1, "a": "\udc00"}'),
        NewEvent("x", "training.log", 1, at(1), '{"\\ud800": 1}'),
        NewEvent("x\0", "training.log\0", 1, "\0", '{"a\0": 1}'),
        NewEvent("x", "checkpoint.saved", None, None, "{}"),
        NewEvent("x", "training.failed", None, None, "no json"),
        NewEvent("x", "training.failed", None, None, '{"error": ["\\ud800"]}'),
        NewEvent("x", "training.failed", None, None, '{"error": "\\ud800"}'),
        NewEvent("x", "", None, None, ""),
    ],
    ids=repr,
)
def test_nothing_that_a_server_sends_stops_the_rest(
    archive: Archive, key: int, hostile: NewEvent
) -> None:
    result = archive.append(key, [log("before", 1, 2.0), hostile, log("after", 3, 1.0)])
    assert [row.seq for row in result.added] == [1, 2, 3]
    assert len(archive.log(key)) == 3
    assert archive.load_series(key)["loss"].last == 1.0
    assert archive.run(key) is not None
    assert archive.append(key, [hostile]).repeats == 1


def test_a_server_cannot_make_a_series_of_every_event(archive: Archive, key: int) -> None:
    archive.append(key, [log(step, step, 1.0, **{f"metric{step}": step}) for step in range(1, 500)])
    names = archive.load_series(key)
    assert len(names) <= 100
    assert {"loss", "time"} <= set(names)
    assert len(names["loss"]) == 499


texts = st.text(st.characters(exclude_categories=()), max_size=12)  # lone surrogates too


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.builds(
            NewEvent,
            st.none() | texts,
            st.sampled_from(["training.log", "checkpoint.saved", "training.failed"]) | texts,
            st.none() | st.integers(),
            st.none() | texts,
            texts,
        ),
        max_size=6,
    )
)
def test_any_events_at_all_can_be_appended(archive: Archive, events: list[NewEvent]) -> None:
    key = archive.register(IDENTITY, job())
    before = archive.count_events(key)
    result = archive.append(key, events)
    assert len(result.added) + result.repeats == len(events)
    assert archive.count_events(key) == before + len(result.added)
    assert archive.append(key, events).added == ()


def test_events_of_a_run_that_is_not_there(archive: Archive) -> None:
    assert archive.append(99, [log(1, 1, 1.0)]).added == ()


def test_the_sparkline_stays_short_and_keeps_its_order(archive: Archive, key: int) -> None:
    for start in range(1, 2001, 137):
        end = min(start + 137, 2001)
        archive.append(key, [log(step, step, 5000.0 - step) for step in range(start, end)])
    run = archive.run(key)
    assert run is not None
    line = [value for value in run.sparkline if value is not None]
    assert 12 <= len(line) <= 48
    assert line == sorted(line, reverse=True)
    assert line[0] >= 4900
    assert line[-1] <= 3100
    gaps = [one - other for one, other in pairwise(line)]
    assert max(gaps) <= 1.5 * min(gaps)  # evenly
