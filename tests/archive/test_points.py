"""Metric points: what counts as one, and that each lies at its step whatever the order."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.archive.points import CHUNK, iterate, metric_points, values_before, write_points
from arkor_tui.archive.schema import transaction
from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, at, event, job, log


def points(**fields: object) -> dict[str, float | None]:
    """The metric points of a log event, without its time."""
    item = event("1", "training.log", step=7, **fields)
    return {name: value for name, _, value in metric_points(item.kind, 7, None, item.data)}


def test_every_number_of_a_log_event_is_a_point() -> None:
    item = log(1, 7, 2.5, evalLoss=2.6, learningRate=2e-4, gradNorm=3)
    assert set(metric_points(item.kind, item.step, item.at, item.data)) == {
        ("loss", 7, 2.5),
        ("evalLoss", 7, 2.6),
        ("learningRate", 7, 2e-4),
        ("gradNorm", 7, 3.0),
        ("time", 7, 1786096807.0),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"loss": None}, {"loss": None}),
        ({"loss": None, "nonFinite": {"loss": "nan"}}, {"loss": None}),
        ({"evalLoss": 2.0, "loss": None}, {"evalLoss": 2.0}),
        ({"loss": 2.0, "evalLoss": None}, {"loss": 2.0}),
        ({"loss": None, "evalLoss": None, "nonFinite": {"evalLoss": "inf"}}, {"evalLoss": None}),
        ({"loss": 2.0, "nonFinite": {"gradNorm": "nan"}}, {"loss": 2.0, "gradNorm": None}),
        ({"loss": 10**400}, {"loss": None}),
        ({"loss": "2.0", "note": "x", "flag": True, "more": {"a": 1}}, {}),
        ({"jobId": 3, "timestamp": 4, "type": 5}, {}),
        ({}, {}),
    ],
    ids=str,
)
def test_what_is_a_value_and_what_a_gap(
    fields: dict[str, object], expected: dict[str, float | None]
) -> None:
    assert points(**fields) == expected


def test_infinity_as_json_writes_it_is_a_gap() -> None:
    assert metric_points("training.log", 1, None, '{"loss": 1e309}') == [("loss", 1, None)]
    assert metric_points("training.log", 1, None, '{"loss": NaN}') == []


def test_only_log_events_have_points() -> None:
    assert metric_points("checkpoint.saved", 1, at(1), '{"loss": 1}') == []


def test_the_same_step_again_replaces_and_a_gap_does_not(archive: Archive, key: int) -> None:
    archive.append(key, [log(1, 1, 3.0), log(2, 2, 2.0)])
    archive.append(key, [log(3, 1, 2.9), log(4, 2, loss=None)])
    series = archive.load_series(key)["loss"]
    assert list(series.steps) == [1, 2]
    assert list(series.values) == [2.9, 2.0]
    assert list(series.gaps) == []


def test_a_gap_is_filled_when_its_value_comes(archive: Archive, key: int) -> None:
    archive.append(key, [log(1, 1, 3.0), event(2, "training.log", step=2, loss=None)])
    assert list(archive.load_series(key)["loss"].gaps) == [2]
    archive.append(key, [log(3, 2, 2.0)])
    series = archive.load_series(key)["loss"]
    assert (list(series.steps), list(series.gaps)) == ([1, 2], [])


def test_a_resumed_run_goes_over_its_steps_again(archive: Archive, key: int) -> None:
    count = 3 * CHUNK
    archive.append(key, [log(f"a{step}", step, 5.0) for step in range(1, count)])
    archive.append(key, [log(f"b{step}", step, 4.0) for step in range(CHUNK, 2 * CHUNK)])
    series = archive.load_series(key)["loss"]
    assert list(series.steps) == list(range(1, count))
    expected = [4.0 if CHUNK <= step < 2 * CHUNK else 5.0 for step in range(1, count)]
    assert list(series.values) == expected


def test_steps_that_count_down_do_not_end_up_one_by_one(archive: Archive, key: int) -> None:
    for step in range(700, 0, -1):
        archive.append(key, [log(step, step, float(step))])
    series = archive.load_series(key)["loss"]
    assert list(series.values) == [float(step) for step in range(1, 701)]
    chunks = archive.db.execute("SELECT count(*) FROM points WHERE name = 'loss'").fetchone()[0]
    assert chunks <= 4


def test_certain_series_only(archive: Archive, key: int) -> None:
    archive.append(key, [log(1, 1, 3.0, evalLoss=3.5)])
    assert set(archive.load_series(key)) == {"loss", "evalLoss", "time"}
    assert set(archive.load_series(key, ["loss", "nothing"])) == {"loss", "nothing"}
    assert len(archive.load_series(key, ["nothing"])["nothing"]) == 0


steps = st.integers(0, 40) | st.integers(0, 3000) | st.sampled_from([2**53, 2**62, 2**62 + 1])
values = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.lists(st.tuples(steps, values), max_size=30), max_size=8),
    st.lists(st.integers(-5, 3005), max_size=5),
    st.integers(0, 1500),
)
def test_points_behave_like_a_dict(
    archive: Archive,
    batches: list[list[tuple[int, float | None]]],
    asked: list[int],
    run_up: int,
) -> None:
    """A later value wins, a gap never replaces a value, and all of it is in order."""
    key = archive.register(IDENTITY, job())
    model: dict[float, float | None] = {}
    start = [(step, 1.0) for step in range(run_up)]
    with transaction(archive.db):
        archive.db.execute("DELETE FROM points")
        for batch in [start, *batches]:
            write_points(archive.db, key, [("loss", step, value) for step, value in batch])
            for step, value in batch:
                if value is not None or float(step) not in model:
                    model[float(step)] = value
    series = archive.load_series(key, ["loss"])["loss"]
    kept = {step: value for step, value in sorted(model.items()) if value is not None}
    assert dict(zip(series.steps, series.values, strict=True)) == kept
    assert list(series.steps) == list(kept)
    assert list(series.gaps) == sorted(step for step, value in model.items() if value is None)
    assert dict(iterate(archive.db, key, "loss")) == kept
    asked.sort()
    expected = [
        max(((step, value) for step, value in model.items() if step <= limit), default=(0, None))[1]
        for limit in asked
    ]
    assert values_before(archive.db, key, "loss", asked) == expected
    spans = archive.db.execute(
        "SELECT first, last, length(steps) / 8, gaps, vals FROM points ORDER BY first"
    ).fetchall()
    assert all(row[2] <= CHUNK for row in spans)
    assert all(one[1] < other[0] for one, other in pairwise(spans))


def test_values_are_stored_little_endian(archive: Archive, key: int) -> None:
    archive.append(key, [log(1, 1, 1.0)])
    row = archive.db.execute("SELECT steps, vals FROM points WHERE name = 'loss'").fetchone()
    assert row == (b"\0\0\0\0\0\0\xf0?",) * 2


def test_gaps_are_no_values(archive: Archive, key: int) -> None:
    with transaction(archive.db):
        write_points(archive.db, key, [("loss", step, None) for step in range(2000)])
    series = archive.load_series(key)["loss"]
    assert len(series) == 0
    assert len(series.gaps) == 2000
    assert values_before(archive.db, key, "loss", [1999]) == [None]
    assert not any(map(math.isnan, series.values))
