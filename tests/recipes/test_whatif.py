"""What if: the same guards on numbers that were logged, and on runs of the archive."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.api.events import TrainingLog, parse_event
from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import NewEvent, RunIdentity
from arkor_tui.archive.store import Archive
from arkor_tui.errors import UsageError
from arkor_tui.recipes.early_stopping import EarlyStopping
from arkor_tui.recipes.guards import Observation, guards_of
from arkor_tui.recipes.whatif import GuardSettings, settings_of, what_if
from arkor_tui.run.contexts import LogContext
from arkor_tui.session.whatif import observations
from tests.support.archive_material import event, job
from tests.support.scripted import JOB

SETTINGS = GuardSettings(ceiling=5.0, window=2, patience=4)
LOSS = st.one_of(st.floats(0, 10), st.none(), st.just("nan"), st.just(1e309))


def logged(number: int, step: int, loss: Any, eval_loss: Any) -> NewEvent:
    fields: dict[str, Any] = {}
    if loss == "nan":
        fields = {"loss": None, "nonFinite": {"loss": "nan"}}
    elif loss is not None or number % 2:
        fields = {"loss": loss}
    if eval_loss is not None:
        fields["evalLoss"] = eval_loss
    time = f"2026-08-07T10:00:{number % 60:02d}.000Z"
    made = event(number, "training.log", step=step, time=time, **fields)
    return NewEvent(made.id, made.kind, made.step, made.at, made.data.replace("Infinity", "1e309"))


def live(events: list[NewEvent], settings: GuardSettings) -> tuple[int | None, str | None]:
    """Where guards stop that see the events themselves."""
    guards = guards_of(
        ceiling=settings.ceiling, window=settings.window, patience=settings.patience,
        min_delta=settings.min_delta, non_finite=settings.non_finite, metric=settings.metric,
    )  # fmt: skip
    for item in events:
        told = parse_event(item.data)
        assert isinstance(told, TrainingLog)
        seen = Observation(told.step, told.loss, told.eval_loss, bool(told.non_finite))
        for reason in [guard.see(seen) for guard in guards]:
            if reason is not None:
                return told.step, reason
    return None, None


@pytest.mark.parametrize("metric", ["loss", "eval_loss"])
@settings(deadline=None)
@given(rows=st.lists(st.tuples(LOSS, st.one_of(st.none(), st.floats(0, 10))), max_size=40))
def test_the_archive_tells_guards_what_the_stream_did(metric: Any, rows: list[Any]) -> None:
    settings = GuardSettings(ceiling=5.0, window=2, patience=4, metric=metric)
    events = [logged(place + 1, place + 1, *row) for place, row in enumerate(rows)]
    with TemporaryDirectory() as folder, Archive.open(Path(folder) / "history.db") as archive:
        key = archive.register(RunIdentity("local", "o", "p", "j"), job("j"))
        archive.append(key, events)
        found = what_if(observations(archive, key), settings)
    assert (found.step, found.reason) == live(events, settings)


def test_what_it_would_have_saved() -> None:
    losses = [3.0, 2.0, 1.0, 6.0, 7.0, 0.5, 0.4, 0.3, 0.2, 0.1]
    seen = [Observation(step, loss) for step, loss in enumerate(losses, 1)]
    found = what_if(seen, SETTINGS)
    assert (found.step, found.guard, found.last_step) == (5, "smoothed", 10)
    assert (found.saved_steps, found.saved_share) == (5, 0.5)
    assert (found.best_before, found.best_after, found.too_early) == (1.0, 0.1, True)
    assert found.lines()[0] == (
        "It would have stopped at step 5: the mean loss of the last 2, 6.5, is above 5."
    )
    assert found.lines()[1:] == [
        "That saves 5 of 10 steps (50%).",
        "Too early: the best value then was 1, and later it was 0.1.",
    ]
    assert (found.events, what_if(seen[:5], SETTINGS).lines()[1:]) == (
        10, ["That saves 0 of 5 steps (0%)."],
    )  # fmt: skip


def test_a_stop_is_too_early_only_if_it_became_better_than_before() -> None:
    def ended_with(*losses: float) -> bool:
        seen = [Observation(step, loss) for step, loss in enumerate([1.0, 9.0, *losses], 1)]
        return what_if(seen, GuardSettings(ceiling=5.0)).too_early

    assert ended_with(0.9)
    assert not ended_with(1.0)
    assert not ended_with()
    nothing_before = [Observation(1, 9.0), Observation(2, 1.0)]
    found = what_if(nothing_before, GuardSettings(ceiling=5.0))
    assert (found.best_before, found.too_early) == (9.0, True)
    odd = [Observation(1, non_finite=True), Observation(2, 1.0)]
    found = what_if(odd, GuardSettings())
    assert (found.best_before, found.best_after, found.too_early) == (None, 1.0, False)


def test_the_best_value_is_that_of_the_metric() -> None:
    seen = [Observation(1, 1.0, 6.0), Observation(2, 0.5, None), Observation(3, 0.1, 4.0)]
    found = what_if(seen, GuardSettings(ceiling=5.0, metric="eval_loss"))
    assert (found.step, found.best_before, found.best_after) == (1, 6.0, 4.0)


def test_a_run_that_starts_at_no_step() -> None:
    found = what_if([Observation(0, 9.0)], GuardSettings(ceiling=5.0))
    assert (found.step, found.last_step, found.saved_steps, found.saved_share) == (0, 0, 0, 0.0)


def test_settings_as_they_are_typed() -> None:
    assert settings_of({}) == GuardSettings()
    assert settings_of(dict.fromkeys(("ceiling", "min_delta", "metric"), "  ")) == GuardSettings()
    typed = {
        "ceiling": " 5.5 ", "window": "3", "patience": " 4", "min_delta": "0.1",
        "metric": " eval_loss ",
    }  # fmt: skip
    assert settings_of(typed) == GuardSettings(5.5, 3, 4, 0.1, True, "eval_loss")
    assert settings_of({"metric": "loss"}).metric == "loss"


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("ceiling", "five", "ceiling must be a number"),
        ("window", "2.5", "window must be a whole number"),
        ("patience", "soon", "patience must be a whole number"),
        ("min_delta", "little", "min delta must be a number"),
        ("metric", "accuracy", "the metric must be one of: loss, eval_loss"),
    ],
)
def test_texts_that_are_no_settings_are_refused_by_name(field: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        settings_of({field: text})
    assert str(refused.value) == words


def test_a_run_that_would_have_gone_on() -> None:
    found = what_if([Observation(1, 1.0), Observation(2, 0.9)], SETTINGS)
    assert (found.step, found.saved_steps, found.saved_share) == (None, 0, 0.0)
    assert found.lines() == ["It would not have stopped: all 2 steps, as it was."]
    assert what_if([], SETTINGS).lines() == ["Nothing was logged."]


def test_an_infinite_loss_is_no_best_one() -> None:
    seen = [Observation(step, loss) for step, loss in enumerate([1.0, -math.inf, 0.5], 1)]
    found = what_if(seen, SETTINGS)
    assert (found.step, found.best_before, found.best_after) == (2, 1.0, 0.5)


NUMBERS = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 4), st.floats(0, 4), st.floats(0, 12), st.none(), st.just(math.inf)),
        st.one_of(st.none(), st.floats(0, 12), st.just(-math.inf)),
        st.sampled_from([False] * 30 + [True]),
    ),
    max_size=200,
)
CHOSEN = st.builds(
    GuardSettings,
    ceiling=st.floats(3, 9),
    window=st.one_of(st.none(), st.integers(1, 12)),
    patience=st.one_of(st.none(), st.integers(1, 60)),
    min_delta=st.sampled_from([0.0, 0.01]),
    non_finite=st.booleans(),
    metric=st.sampled_from(["loss", "eval_loss"]),
)


@given(NUMBERS, CHOSEN)
def test_it_stops_where_early_stopping_does(rows: list[Any], chosen: GuardSettings) -> None:
    told = Job.model_validate(JOB)
    guard = EarlyStopping(**asdict(chosen))
    stopped: int | None = None
    for step, (loss, eval_loss, odd) in enumerate(rows, 1):
        names = {"loss": "nan"} if odd else {}
        # told as after a restart: judged as live, and nothing is done about it
        guard.on_replayed(LogContext(told, step, loss, eval_loss, non_finite=names))
        if guard.reason is not None:
            stopped = step
            break
    seen = [Observation(step, *row) for step, row in enumerate(rows, 1)]
    found = what_if(seen, chosen)
    assert (found.step, found.reason) == (stopped, guard.reason)


def test_of_several_events_of_a_step_the_one_that_says_more_counts(tmp_path: Path) -> None:
    events = [logged(1, 5, "nan", None), NewEvent("2", "training.log", 5, None, '{"step": 5}')]
    events.append(event(3, "training.log", step=5, loss=None))
    with Archive.open(tmp_path / "history.db") as archive:
        key = archive.register(RunIdentity("local", "o", "p", "j"), job("j"))
        archive.append(key, events)
        assert list(observations(archive, key)) == [Observation(5, None, None, True)]


def test_a_resumed_run_counts_each_step_once(tmp_path: Path) -> None:
    """t5: what was logged after step 2 before the run went on from there is void."""
    first = [logged(1, 1, 2.0, None), logged(2, 2, 1.0, None), logged(3, 3, "nan", None),
             logged(4, 4, 9.0, None), logged(5, 5, 1.5, None)]  # fmt: skip
    second = [logged(7, 3, 1.0, None), logged(8, 4, None, None), logged(9, 5, 1.4, None)]
    with Archive.open(tmp_path / "history.db") as archive:
        key = archive.register(RunIdentity("local", "o", "p", "job-1"), job())
        archive.append(key, [*first, event("6", "training.resumed", step=2), *second])
        seen = list(observations(archive, key))
        assert [(one.step, one.loss, one.non_finite) for one in seen] == [
            (1, 2.0, False), (2, 1.0, False), (3, 1.0, False), (4, None, False), (5, 1.4, False),
        ]  # fmt: skip
        archive.append(key, [logged(11, 6, "nan", None)])
        assert list(observations(archive, key))[-1].non_finite
        archive.append(key, [event("12", "training.resumed", step=5), logged(13, 6, 1.3, None)])
        assert list(observations(archive, key))[-1] == Observation(6, 1.3)


def test_a_gap_of_the_second_life_is_not_read_in_the_first(tmp_path: Path) -> None:
    """t5: both lives have no finite loss at step 3, and only the first named it."""
    events = [logged(1, 1, 2.0, None), logged(3, 3, "nan", None),
              event("4", "training.resumed", step=1),
              event("5", "training.log", step=3, loss=None)]  # fmt: skip
    with Archive.open(tmp_path / "history.db") as archive:
        key = archive.register(RunIdentity("local", "o", "p", "job-1"), job())
        archive.append(key, events)
        assert list(observations(archive, key)) == [Observation(1, 2.0), Observation(3)]
