"""Frames' data into events: tolerant where it can be, and never more than it may be."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.api.events import (
    CheckpointSaved,
    MalformedEventError,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    UnknownEvent,
    is_finite,
    parse_event,
    waits_in,
)

KINDS = [
    "training.started",
    "training.log",
    "checkpoint.saved",
    "training.completed",
    "training.failed",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["jobId", "timestamp", "step", "loss", "evalLoss", "epoch", "error", "artifacts"]
FIELDS += ["metrics", "metadata", "nonFinite", "learningRate", "samplesPerSecond", "extra"]


def read(**fields: Any) -> Any:
    return parse_event(json.dumps(fields))


def log(**fields: Any) -> TrainingLog:
    event = read(type="training.log", step=3, **fields)
    assert isinstance(event, TrainingLog)
    return event


def test_a_log_event_has_its_numbers_and_keeps_what_it_does_not_know() -> None:
    event = log(
        jobId="j",
        timestamp="2026-08-07T10:00:00.000Z",
        loss=1.5,
        evalLoss=2,
        learningRate=2e-4,
        epoch=0.5,
        samplesPerSecond=40,
        gradNorm=0.3,
    )
    assert (event.step, event.loss, event.eval_loss) == (3, 1.5, 2.0)
    assert (event.learning_rate, event.epoch, event.samples_per_second) == (2e-4, 0.5, 40)
    assert event.timestamp == "2026-08-07T10:00:00.000Z"
    assert event.extra == {"gradNorm": 0.3}


def test_numbers_that_are_absent_or_null_are_none() -> None:
    event = log(loss=None)
    assert (event.loss, event.eval_loss, event.learning_rate) == (None, None, None)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_json_does_not_have_makes_the_frame_malformed(token: str) -> None:
    with pytest.raises(MalformedEventError):
        parse_event(f'{{"type":"training.log","step":1,"loss":{token}}}')


def test_a_number_beyond_all_floats_is_infinite() -> None:
    event = parse_event('{"type":"training.log","step":1,"loss":1e309,"evalLoss":-1e309}')
    assert isinstance(event, TrainingLog)
    assert (event.loss, event.eval_loss) == (math.inf, -math.inf)
    assert not is_finite(event.loss)
    assert not is_finite(None)
    assert is_finite(0.0)


@pytest.mark.parametrize("wrong", ["NaN", "inf", "1.5", True, [1], {}])
def test_a_metric_that_is_no_number_is_dropped_and_the_rest_kept(wrong: Any) -> None:
    event = log(loss=wrong, evalLoss=0.5)
    assert (event.loss, event.eval_loss) == (None, 0.5)


@pytest.mark.parametrize(
    "data", ["", "null", "[]", "1", '"x"', "{", "not json", "{}", '{"type":1}', "[" * 100_000]
)
def test_what_is_not_an_object_with_a_type_is_malformed(data: str) -> None:
    with pytest.raises(MalformedEventError):
        parse_event(data)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "training.log"},
        {"type": "training.log", "step": "ten"},
        {"type": "training.log", "step": None},
        {"type": "checkpoint.saved", "step": 1.5},
        {"type": "training.failed"},
        {"type": "training.failed", "error": {"code": 1}},
    ],
)
def test_a_required_field_that_is_missing_or_unusable_makes_it_malformed(
    fields: dict[str, Any],
) -> None:
    with pytest.raises(MalformedEventError):
        read(**fields)


def test_the_step_of_a_failure_is_optional_so_that_a_bad_one_costs_no_ending() -> None:
    event = read(type="training.failed", error="boom", step="last")
    assert isinstance(event, TrainingFailed)
    assert (event.error, event.step) == ("boom", None)
    assert read(type="training.failed", error="boom", step=7).step == 7


def test_an_ending_whose_text_was_cut_inside_an_emoji_is_still_an_ending() -> None:
    event = parse_event(r'{"type":"training.failed","error":"boom \ud83d"}')
    assert isinstance(event, TrainingFailed)
    assert event.error == "boom �"
    whole = parse_event(r'{"type":"training.failed","error":"\ud83d\ude00 \udead \u0041"}')
    assert isinstance(whole, TrainingFailed)
    assert whole.error == "😀 � A"


def test_the_other_events() -> None:
    assert read(type="training.started", metadata=[1]).metadata == [1]
    saved = read(type="checkpoint.saved", step=10, artifacts=[{"any": "thing"}, None])
    assert isinstance(saved, CheckpointSaved)
    assert saved.artifacts == [{"any": "thing"}, None]
    done = read(type="training.completed", artifacts=[], metrics={"finalLoss": 0.5, "totalTime": 9})
    assert isinstance(done, TrainingCompleted)
    assert done.metrics is not None
    assert (done.metrics.final_loss, done.metrics.total_steps, done.metrics.total_time) == (
        0.5,
        None,
        9,
    )


def test_one_bad_number_in_the_summary_does_not_cost_the_others() -> None:
    done = read(type="training.completed", metrics={"finalLoss": "low", "totalSteps": 100})
    assert (done.metrics.final_loss, done.metrics.total_steps) == (None, 100)


def test_an_event_of_a_later_protocol_is_unknown_and_keeps_its_fields() -> None:
    event = read(type="training.paused", why="lunch")
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.extra) == ("training.paused", {"why": "lunch"})


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        (1_754_560_800_000, "2025-08-07T10:00:00+00:00"),
        (1e300, None),
        ("soon", "soon"),
        (None, None),
        ([], None),
    ],
)
def test_times_are_texts_and_epoch_milliseconds_become_one(sent: Any, read_as: str | None) -> None:
    assert log(timestamp=sent).timestamp == read_as


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_an_event_or_malformed_and_nothing_else(data: str) -> None:
    with contextlib.suppress(MalformedEventError):
        parse_event(data)


@given(
    st.sampled_from([*KINDS, "training.paused"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
)
def test_any_fields_give_an_event_or_malformed_and_nothing_else(
    kind: str, fields: dict[str, Any]
) -> None:
    try:
        event = parse_event(json.dumps({**fields, "type": kind}))
    except MalformedEventError:
        return
    assert event.type == kind
    for name in ("loss", "eval_loss", "learning_rate", "epoch", "samples_per_second"):
        value = getattr(event, name, None) if isinstance(event, TrainingLog) else None
        assert value is None or (isinstance(value, float) and not math.isnan(value))


@given(st.dictionaries(st.sampled_from([f for f in FIELDS if f != "step"]), json_values))
def test_bad_optional_fields_never_cost_a_log_event(fields: dict[str, Any]) -> None:
    data = json.dumps({**fields, "type": "training.log", "step": 5})
    if "NaN" in data or "Infinity" in data:
        return
    event = parse_event(data)
    assert isinstance(event, TrainingLog)
    assert event.step == 5


def test_a_started_event_needs_nothing() -> None:
    assert isinstance(read(type="training.started"), TrainingStarted)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ('{"waits": "the disk is full"}', "the disk is full"),
        ('{"waits": "a\\u001b[31mb\\nc"}', "ab c"),
        ('{"waits": "' + "x" * 1_000 + '"}', "x" * 200 + " … [800 more characters]"),
        ('{"waits": "' + "x" * 2_000 + '"}', ""),
        ('{"waits": 5}', ""),
        ('{"waits": null}', ""),
        ("[1, 2]", ""),
        ("no JSON", ""),
        ("{}", ""),
        ("", ""),
    ],
)
def test_why_a_job_waits_is_read_from_a_ping(data: str, why: str) -> None:
    assert waits_in(data) == why
