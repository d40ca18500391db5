"""Metric series: whatever the order, nothing is lost."""

from __future__ import annotations

import math
import random
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkor_tui.archive.series import BLOCK, Column, Series
from arkor_tui.archive.spikes import spikes_of

steps = st.integers(-50, 200)
values = st.none() | st.floats(allow_nan=True, allow_infinity=True)
finite = st.floats(-1e6, 1e6)


@given(st.lists(st.tuples(steps, values)))
def test_any_order_builds_the_same_series(points: list[tuple[int, float | None]]) -> None:
    latest: dict[float, float] = {}
    gaps = set()
    for step, value in points:
        if value is not None and math.isfinite(value):
            latest[step] = value
        else:
            gaps.add(step)
    series = Series()
    series.extend(points)
    assert list(zip(series.steps, series.values, strict=True)) == sorted(latest.items())
    assert list(series.gaps) == sorted(gaps - set(latest))
    assert all(map(math.isfinite, series.values))


@given(st.lists(st.tuples(steps, finite), min_size=1), st.data())
def test_summaries_survive_points_out_of_order(
    points: list[tuple[int, float]], data: st.DataObject
) -> None:
    series = Series(range(-10_000, -10_000 + 3 * BLOCK), [0.5] * (3 * BLOCK))
    for place, (step, value) in enumerate(points):
        series.put(step - data.draw(st.sampled_from([0, 9_900])), value)
        if place % 3 == 0:
            series.bounds()
    assert series.bounds() == (min(series.values), max(series.values))


def check_columns(series: Series, lo: float, hi: float, columns: list[Column]) -> None:
    start, end = bisect_left(series.steps, lo), bisect_left(series.steps, math.nextafter(hi, 1e99))
    assert sum(column.points for column in columns) == end - start
    for column in columns:
        inside = series.values[column.start : column.start + column.points]
        assert (column.low, column.high) == (min(inside), max(inside))
        assert (column.first, column.last) == (inside[0], inside[-1])
        low, high = series.peaks(column)
        assert series.nearest(low) == (low, column.low)
        assert series.nearest(high) == (high, column.high)
    assert [column.number for column in columns] == sorted({column.number for column in columns})


@given(
    st.lists(finite, min_size=1, max_size=400),
    st.integers(1, 50),
    st.floats(-20, 300),
    st.floats(0, 500),
)
def test_columns_lose_neither_lowest_nor_highest(
    numbers: list[float], count: int, lo: float, width: float
) -> None:
    series = Series(range(len(numbers)), numbers)
    check_columns(series, lo, lo + width, series.columns(lo, lo + width, count))


@pytest.mark.parametrize("size", [BLOCK * 16 * 5 + 3, 70_001, 4 * BLOCK * BLOCK * 3 + 17])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_columns_of_long_series_lose_nothing_either(size: int, count: int) -> None:
    rng = random.Random(size)
    series = Series(range(size), [rng.gauss(0, 1) for _ in range(size)])
    series.put(size // 3, 99.0)
    columns = series.columns(5, size - 9, count)
    check_columns(series, 5, size - 9, columns)
    assert max(column.high for column in columns) == 99.0


def test_a_gap_is_on_the_column_after_it() -> None:
    series = Series([0, 1, 3, 4], [1, 1, 1, 1], [2])
    assert [column.gap for column in series.columns(0, 5, 5)] == [False, False, True, False]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(-5, (0, 1.0)), (1, (0, 1.0)), (1.01, (2, 2.0)), (5, (2, 2.0)), (2, (2, 2.0))],
)
def test_nearest_prefers_the_earlier(step: float, expected: tuple[float, float]) -> None:
    assert Series([0, 2], [1.0, 2.0]).nearest(step) == expected


def test_reading_between_points() -> None:
    series = Series([0, 10, 20], [1.0, 3.0, 7.0], [15])
    assert series.value_at(5) == 2.0
    assert series.step_at(5.0) == 15
    assert series.value_at(99) == 7.0
    assert series.neighbour(10, forward=True) == (20, 7.0)
    assert series.neighbour(0, forward=False) is None
    assert series.next_gap(0, forward=True) == 15
    assert series.next_gap(15, forward=True) is None
    assert series.is_gap(15)
    assert not series.is_gap(10)
    assert [list(part) for part in series.raw(5, 20)] == [[10, 20], [3.0, 7.0]]
    assert series.count(0, 10) == 2


def test_an_empty_series_says_nothing() -> None:
    series = Series()
    assert series.bounds() is None
    assert series.columns(0, 10, 5) == []
    assert series.nearest(3) is None
    assert series.last_step is None
    assert list(series.spikes()) == []


@given(st.lists(finite, min_size=1, max_size=300), st.sampled_from([0.6, 0.9, 0.99]))
def test_smoothing_is_the_unbiased_average_and_goes_on_where_it_stopped(
    numbers: list[float], weight: float
) -> None:
    series = Series()
    for step, value in enumerate(numbers):
        series.put(step, value)
        if step % 7 == 0:
            series.smoothed(weight)
    smooth = series.smoothed(weight)
    last = len(numbers) - 1
    weights = [weight ** (last - place) for place in range(last + 1)]
    expected = sum(w * v for w, v in zip(weights, numbers, strict=True)) / sum(weights)
    assert smooth.values[-1] == pytest.approx(expected, rel=1e-6, abs=1e-3)
    assert len(smooth) == len(series)
    assert smooth.bounds() == (min(smooth.values), max(smooth.values))


def test_smoothing_follows_a_changed_past() -> None:
    series = Series(range(10), [1.0] * 10)
    assert series.smoothed(0.9).values[-1] == pytest.approx(1.0)
    series.put(2, 100.0)
    assert series.smoothed(0.9).values[-1] > 2


def test_positive_values_leave_gaps() -> None:
    series = Series([0, 1, 2], [1.0, -1.0, 0.0], [5])
    positive = series.positive()
    assert list(positive.steps) == [0]
    assert list(positive.gaps) == [1, 2, 5]
    series.put(7, 3.0)
    series.put(6, None)
    assert list(series.positive().steps) == [0, 7]
    assert list(series.positive().gaps) == [1, 2, 5, 6]
    only = Series([0], [1.0])
    assert only.positive() is only


def noise(size: int) -> list[float]:
    rng = random.Random(5)
    return [2 * math.exp(-place / size * 4) + rng.gauss(0, 0.05) for place in range(size)]


@pytest.mark.parametrize("size", [100, 3000, 50_000])
def test_spikes_are_found_and_noise_is_not(size: int) -> None:
    numbers = noise(size)
    assert len(spikes_of(numbers)) <= 2
    numbers[size // 2] += 3.0
    numbers[size // 2 + 1] += 1.0
    assert size // 2 in spikes_of(numbers)
    series = Series(range(size), numbers)
    assert series.next_spike(size // 2 - 1, forward=True) == size // 2
    assert series.next_spike(size // 2 + 1, forward=False) == size // 2


def test_a_rising_learning_rate_and_a_constant_have_no_spikes() -> None:
    assert spikes_of([place / 10 for place in range(200)]) == []
    assert spikes_of([3.0] * 100) == []


def test_version_grows_with_each_change_only() -> None:
    series = Series()
    seen = [series.version]
    for step, value in [(1, 2.0), (2, None), (1, 3.0)]:
        series.put(step, value)
        seen.append(series.version)
    assert seen == sorted(set(seen))
    series.put(2, None)
    series.put(1, None)
    series.put(math.nan, 1.0)
    assert series.version == seen[-1]
