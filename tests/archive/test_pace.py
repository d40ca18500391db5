"""How long a step takes, by clocks that are set while a run goes on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.archive.pace import Pace, seconds_per_step

DAY = 86_400.0


def pace_of(times: list[float], total: int = 100) -> float | None:
    pace = Pace()
    for step, at in enumerate(times, 1):
        pace.take(step, at)
    return pace.left(total)


@pytest.mark.parametrize("leap", [-DAY, DAY, 0.0])
def test_a_clock_that_is_set_by_a_day_changes_nothing(leap: float) -> None:
    """r18: ten steps of two seconds are left ninety steps of two seconds."""
    times = [2.0 * step for step in range(1, 11)]
    moved = times[:5] + [time + leap for time in times[5:]]
    assert pace_of(moved) == pytest.approx(180.0)


def test_a_halt_is_no_pace() -> None:
    """A machine that slept for a night, or a backend that was down."""
    times = [1.0, 2.0, 3.0, 30_000.0, 30_001.0, 30_002.0]
    assert pace_of(times) == pytest.approx(94.0)


@pytest.mark.parametrize("times", [[], [1.0], [5.0, 5.0, 5.0], [5.0, 4.0, 3.0]])
def test_times_that_say_nothing_give_nothing(times: list[float]) -> None:
    assert pace_of(times) is None


def test_no_time_is_told_that_reads_as_nothing() -> None:
    """r18: never an ETA of 0:00."""
    assert pace_of([0.0, 0.001, 0.002]) is None
    assert pace_of([0.0, 1.0, 2.0], total=3) is None
    assert pace_of([0.0, 1.0, 2.0], total=2) is None


def test_a_resume_begins_anew() -> None:
    """t5: the pace of the first life is not that of the second."""
    pace = Pace()
    for step, at in [(1, 0.0), (2, 10.0), (3, 20.0), (2, 1_000.0), (3, 1_001.0)]:
        pace.take(step, at)
    assert pace.left(13) == pytest.approx(10.0)


def test_a_log_without_a_time_says_nothing() -> None:
    pace = Pace()
    for step, at in [(1, 0.0), (2, None), (3, 4.0)]:
        pace.take(step, at)
    assert pace.left(8) == pytest.approx(10.0)


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=40))
def test_a_pace_is_above_zero_or_none(times: list[float]) -> None:
    found = seconds_per_step(range(len(times)), times)
    assert found is None or (found > 0 and math.isfinite(found))
