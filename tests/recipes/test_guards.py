"""Guards: when each fires, when it does not, and how far it says to be from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.errors import UsageError
from arkor_tui.recipes.guards import (
    Ceiling,
    Guard,
    GuardSet,
    NonFinite,
    Observation,
    Patience,
    Smoothed,
    guards_of,
)
from arkor_tui.run.findings import Gauge

Values = Iterable[float | None]


def fires_at(guard: Guard, losses: Values, evals: Values | None = None) -> int | None:
    """The first place at which it fires."""
    for place, (loss, other) in enumerate(zip(losses, evals or _nones(), strict=False)):
        if guard.see(Observation(place, loss, other)) is not None:
            return place
    return None


def _nones() -> Iterable[None]:
    while True:
        yield None


@pytest.mark.parametrize(
    ("make", "losses", "place"),
    [
        (lambda: Ceiling(5.0), [1.0, 5.0, None, 5.1], 3),
        (lambda: Ceiling(5.0), [math.inf], 0),
        (lambda: Ceiling(5.0, "eval_loss"), [9.0, 9.0], None),
        (lambda: Smoothed(5.0, 3), [9.0, 9.0], None),
        (lambda: Smoothed(5.0, 3), [5.1, 5.1, 5.1], 2),
        (lambda: Smoothed(3.1, 1), [3.1, math.nextafter(3.1, math.inf)], 1),
        (lambda: Smoothed(5.0, 3), [9.0, 1.0, 1.0, 9.0, 9.0], 4),
        (lambda: Smoothed(5.0, 2), [9.0, None, math.inf, 9.0], 3),
        (lambda: Patience(3), [1.0, 0.9, 0.9, 1.0, 0.95], 4),
        (lambda: Patience(3), [1.0, 1.1, 1.2, 0.99, 1.1, 1.2], None),
        (lambda: Patience(2, 0.1), [1.0, 0.95, 0.91], 2),
        (lambda: Patience(2, 0.1), [1.0, 0.95, 0.89], None),
        (lambda: Patience(2), [1.0, None, 1.0, None, None, 1.0], 5),
        (lambda: Patience(2), [math.inf, math.inf], 1),
        (lambda: NonFinite(), [1.0, None, 1.0, math.inf], 3),
        (lambda: NonFinite(), [-math.inf], 0),
        (lambda: NonFinite(), [1.0, math.nan], 1),
        (lambda: Ceiling(5.0), [math.nan, 5.1], 1),
        (lambda: Smoothed(5.0, 2), [9.0, math.nan, 1.0, 9.1], 3),
        # their exact sum, rounded, is above three times the limit
        (lambda: Smoothed(0.1, 3), [0.1, 0.1, 0.1, 0.1], None),
        (lambda: Patience(2), [1.0, math.nan, math.nan], 2),
        (lambda: NonFinite(3), [None, None, 1.0, None, None, None], 5),
        (lambda: NonFinite(3), [1.0, None, None], None),
    ],
)
def test_when_it_fires(
    make: Callable[[], Guard], losses: list[float | None], place: int | None
) -> None:
    assert fires_at(make(), losses) == place


def test_what_is_usual() -> None:
    assert Smoothed(5.0) == Smoothed(5.0, 10, "loss")
    assert Patience() == Patience(30, 0.0, "loss")
    assert NonFinite() == NonFinite(5)
    assert not Observation(1).non_finite


def test_an_eval_only_event_is_a_sign_of_life() -> None:
    assert fires_at(NonFinite(2), [None] * 6, [1.0, None, 1.0, None, 1.0, None]) is None
    assert fires_at(NonFinite(2), [None] * 3, [1.0, math.inf, 1.0]) == 1


def test_what_the_backend_names_is_enough() -> None:
    reason = NonFinite().see(Observation(1, None, None, non_finite=True))
    assert reason == "the backend says that the loss is not a number"


def test_reasons_name_the_numbers() -> None:
    assert Ceiling(5.0).see(Observation(1, 6.25)) == "the loss 6.25 is above 5"
    smoothed = Smoothed(5.0, 2)
    smoothed.see(Observation(1, 6.0))
    assert smoothed.see(Observation(2, 7.0)) == "the mean loss of the last 2, 6.5, is above 5"
    assert Smoothed(5.0, 1).see(Observation(2, 7.0)) == "the loss, 7, is above 5"
    patience = Patience(1, metric="eval_loss")
    patience.see(Observation(10, None, 0.5))
    assert patience.see(Observation(20, None, 0.6)) == (
        "the eval loss has not improved for 1 values (best 0.5 at step 10)"
    )


def test_gauges_go_from_far_to_near() -> None:
    ceiling = Ceiling(5.0, "eval_loss")
    assert ceiling.gauge() == Gauge("ceiling", None, 5.0, None, "no eval loss yet", "warming")
    ceiling.see(Observation(1, 9.0, 1.0))
    assert ceiling.gauge() == Gauge("ceiling", 1.0, 5.0, 0.2, "eval loss 1 of 5")
    ceiling.see(Observation(2, 9.0, 50.123))
    assert ceiling.gauge() == Gauge("ceiling", 50.123, 5.0, 1.0, "eval loss 50.12 of 5")
    ceiling.see(Observation(3, 9.0, -math.inf))
    assert ceiling.gauge().share == 1.0
    ceiling.see(Observation(4, 9.0, -1.0))
    assert ceiling.gauge().share == 0.0
    patience = Patience(4)
    assert patience.gauge() == Gauge("patience", 0, 4, 0.0, "0 of 4 without a better loss")
    for step in (1, 2):
        patience.see(Observation(step, 1.23456))
    text = "1 of 4 without a better loss than 1.235"
    assert patience.gauge() == Gauge("patience", 1, 4, 0.25, text)
    for step in range(3, 9):
        patience.see(Observation(step, 2.0))
    assert patience.gauge().share == 1.0
    smoothed = Smoothed(5.0, 2)
    smoothed.see(Observation(1, 1.0))
    filling = Gauge("smoothed", None, 5.0, None, "1 of 2 for a mean", "warming")
    assert smoothed.gauge() == filling
    smoothed.see(Observation(2, 2.0))
    assert smoothed.gauge() == Gauge("smoothed", 1.5, 5.0, 0.3, "mean loss 1.5 of 5")
    odd = NonFinite(4)
    assert odd.gauge() == Gauge("non-finite", 0, 4, 0.0, "losses are finite")
    odd.see(Observation(1))
    assert odd.gauge() == Gauge("non-finite", 1, 4, 0.25, "1 of 4 without a loss")
    for step in range(2, 7):
        odd.see(Observation(step))
    assert odd.gauge().share == 1.0


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False), st.floats(-10, 10), st.just(0.1)
        ),
        max_size=60,
    ),
    st.integers(1, 8),
    st.one_of(st.floats(0.001, 1e6), st.floats(0.05, 5)),
)  # fmt: skip
def test_the_running_mean_decides_as_the_exact_one(
    values: list[float], window: int, limit: float
) -> None:
    guard = Smoothed(limit, window)
    for place, value in enumerate(values):
        last = [min(max(v, -1e290), 1e290) for v in values[max(place - window + 1, 0) : place + 1]]
        above = sum(map(Fraction, last)) > Fraction(limit) * window
        told = guard.see(Observation(place, value)) is not None
        mean = math.fsum(last) / window
        if math.isclose(mean, limit, rel_tol=1e-15):  # what the last digit cannot tell
            assert told is False or len(last) == window
        else:
            assert told == (len(last) == window and above)


@given(st.lists(st.floats(0, 10), max_size=50), st.integers(1, 6), st.floats(0, 1))
def test_patience_counts_from_the_best(values: list[float], logs: int, delta: float) -> None:
    best, since, expected = math.inf, 0, None
    for place, value in enumerate(values):
        if place == 0 or value < best - delta:
            best, since = value, 0
        else:
            since += 1
            if since == logs:
                expected = place
                break
    assert fires_at(Patience(logs, delta), values) == expected


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"ceiling": 0.0}, "ceiling is 0.0, but must be above 0."),
        ({"ceiling": math.nan}, "ceiling is nan, but must be above 0."),
        ({"ceiling": math.inf, "window": 3}, "ceiling is inf, but must be above 0."),
        ({"ceiling": 5.0, "window": 0}, "window is 0, but must be a whole number above 0."),
        ({"window": 10}, "A window smooths a ceiling, but there is none."),
        ({"ceiling": 5.0, "window": 2.5}, "window is 2.5, but must be a whole number above 0."),
        ({"patience": -1}, "patience is -1, but must be a whole number above 0."),
        ({"patience": 2.5}, "patience is 2.5, but must be a whole number above 0."),
        ({"patience": 3, "min_delta": -0.1}, "min_delta is -0.1, but must be 0 or above."),
        ({"patience": 3, "min_delta": math.inf}, "min_delta is inf, but must be 0 or above."),
        (
            {"metric": "accuracy", "ceiling": 1.0},
            "The metric is 'accuracy', but must be one of: loss, eval_loss.",
        ),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, object], told: str) -> None:
    usual: dict[str, object] = {
        "ceiling": None, "window": None, "patience": None, "min_delta": 0.0, "non_finite": True,
        "metric": "loss",
    }  # fmt: skip
    with pytest.raises(UsageError) as refused:
        guards_of(**{**usual, **settings})  # type: ignore[arg-type]
    assert str(refused.value) == told
    assert [guard.name for guard in guards_of(**usual)] == ["non-finite"]  # type: ignore[arg-type]


def test_a_limit_of_missing_losses_needs_a_count() -> None:
    with pytest.raises(UsageError, match=r"^missing is 0, but must be a whole number above 0\.$"):
        NonFinite(0)


ORDINARY = st.one_of(st.floats(0, 4), st.sampled_from([0.1, 3.1, 3.3]))
EVENTS = st.lists(
    st.tuples(
        st.one_of(
            ORDINARY, ORDINARY, ORDINARY, ORDINARY, st.floats(0, 12), st.none(),
            st.just(math.inf), st.floats(-1e300, 1e300),
        ),
        st.one_of(st.none(), st.none(), st.none(), st.floats(0, 12)),
        st.sampled_from([False] * 30 + [True]),
    ),
    max_size=400,
)  # fmt: skip
SETTINGS = st.fixed_dictionaries(
    {
        "ceiling": st.one_of(st.none(), st.floats(3, 9), st.sampled_from([0.1, 3.1, 3.3])),
        "window": st.one_of(st.none(), st.integers(1, 12)),
        "patience": st.one_of(st.none(), st.integers(1, 100)),
        "min_delta": st.sampled_from([0.0, 0.0, 0.01]),
        "non_finite": st.booleans(),
        "metric": st.sampled_from(["loss", "eval_loss"]),
    }
)


@settings(max_examples=300)
@given(EVENTS, SETTINGS)
def test_putting_events_aside_changes_nothing(
    events: list[tuple[float | None, float | None, bool]], chosen: dict[str, Any]
) -> None:
    if chosen["ceiling"] is None:
        chosen["window"] = None
    together, alone = GuardSet(guards_of(**chosen), chosen["metric"]), guards_of(**chosen)
    for step, (loss, eval_loss, odd) in enumerate(events):
        seen = Observation(step, loss, eval_loss, odd)
        found = [(g.name, why) for g in alone if (why := g.see(seen)) is not None]
        assert together.take(step, loss, eval_loss, odd) == (found[0] if found else None)
        if step % 37 == 0:
            assert together.gauges() == [guard.gauge() for guard in alone]


def test_a_ceiling_tells_the_last_of_what_was_put_aside() -> None:
    ceiling = Ceiling(5.0)
    ceiling.skim([1, 2], [4.0, 2.5])
    assert ceiling.gauge() == Gauge("ceiling", 2.5, 5.0, 0.5, "loss 2.5 of 5")


def test_patience_finds_the_best_of_what_was_put_aside() -> None:
    for delta, best, since in ((0.0, "0.75", 1), (0.1, "0.8", 2)):
        patience = Patience(9, delta)
        patience.see(Observation(1, 1.0))
        patience.skim([2, 3, 4], [0.8, 0.75, 0.9])
        assert patience.gauge().text == f"{since} of 9 without a better loss than {best}"
        fresh = Patience(9, delta)
        fresh.skim([2, 3], [0.8, 0.9])
        assert fresh.gauge().text == "1 of 9 without a better loss than 0.8"


def test_patience_adds_up_what_was_put_aside_in_turns() -> None:
    patience = Patience(9)
    patience.skim([1], [1.0])
    patience.skim([2, 3], [1.0, 2.0])
    patience.skim([4], [1.0])
    assert patience.gauge().value == 3
    equal = Patience(9, 0.5)
    equal.skim([1, 2], [1.0, 0.5])  # lower by min_delta, not by more
    assert equal.gauge().value == 1


def fires_among(guards: list[Guard], losses: Values) -> tuple[int, tuple[str, str]] | None:
    """Where a set of guards fires, which one, and why."""
    together = GuardSet(guards)
    for place, loss in enumerate(losses):
        found = together.take(place, loss, None, False)
        if found is not None:
            return place, found
    return None


@pytest.mark.parametrize(
    ("make", "losses", "place", "name"),
    [
        (lambda: [Smoothed(5.0, 4)], [0.0, 4.9, 4.9, 4.9, 9.0], 4, "smoothed"),
        # one that is above the limit stays in the window for so long
        (lambda: [Smoothed(5.0, 4)], [9.0, 4.9, 4.9, 4.9], 3, "smoothed"),
        # the most patient of two is not the one that counts
        (lambda: [Patience(2), Smoothed(5.0, 4)], [9.0, 4.9, 4.8, 4.7], 3, "smoothed"),
        (lambda: [Patience(4)], [1.0] * 9, 4, "patience"),
        (lambda: [Patience(5)], [1.0] * 9, 5, "patience"),
    ],
)
def test_no_guard_misses_what_was_put_aside(
    make: Callable[[], list[Guard]], losses: list[float], place: int, name: str
) -> None:
    found = fires_among(make(), losses)
    assert found is not None
    assert (found[0], found[1][0]) == (place, name)


def test_a_reason_names_the_step_of_what_was_put_aside() -> None:
    found = fires_among([Patience(3)], [2.0, 1.0, 1.0, 1.0, 1.0])
    reason = "the loss has not improved for 3 values (best 1 at step 1)"
    assert found == (4, ("patience", reason))


@pytest.mark.parametrize(
    "settings", [{"ceiling": 5.0}, {"ceiling": 5.0, "window": 2}, {"patience": 2}]
)
def test_each_guard_looks_at_the_metric_that_was_asked_for(settings: dict[str, Any]) -> None:
    usual = {"ceiling": None, "window": None, "patience": None, "min_delta": 0.0}
    (guard,) = guards_of(**{**usual, **settings}, non_finite=False, metric="eval_loss")
    assert fires_at(guard, [9.0] * 9) is None
    assert fires_at(guard, [1.0] * 9, [9.0] * 9) is not None


def test_an_eval_loss_that_was_put_aside_is_a_sign_of_life() -> None:
    guards = GuardSet([NonFinite(2)])
    for step, (loss, eval_loss) in enumerate([(1.0, None), (None, None), (None, 1.0)], 1):
        assert guards.take(step, loss, eval_loss, False) is None
    assert guards.take(4, None, None, False) is None
    assert guards.take(5, None, None, False) is not None
