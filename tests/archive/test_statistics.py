"""The advanced statistics, against values computed by hand."""

from __future__ import annotations

import math

import pytest

from arkor_tui.archive.statistics import percentile, summary, t95


def test_eight_values() -> None:
    values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]
    found = summary(values)
    assert found.n == 8
    assert found.mean == 5.0
    assert found.variance == pytest.approx(32 / 7)
    assert found.deviation == pytest.approx(2.1380899)
    assert found.half_width_95 == pytest.approx(2.365 * 2.1380899 / math.sqrt(8))
    assert found.p90 == pytest.approx(7.6)  # rank 6.3: between 7 and 9
    assert found.p95 == pytest.approx(8.3)  # rank 6.65


def test_order_does_not_matter_and_the_input_stays() -> None:
    values = [3.0, 1.0, 2.0]
    assert summary(values) == summary([1.0, 2.0, 3.0])
    assert values == [3.0, 1.0, 2.0]


def test_one_value() -> None:
    found = summary([1.5])
    assert (found.n, found.mean, found.variance, found.deviation) == (1, 1.5, 0.0, 0.0)
    assert (found.half_width_95, found.p90, found.p95) == (0.0, 1.5, 1.5)


def test_no_value() -> None:
    found = summary([])
    assert found.n == 0
    assert all(
        math.isnan(value)
        for value in (
            found.mean,
            found.half_width_95,
            found.variance,
            found.deviation,
            found.p90,
            found.p95,
        )
    )


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.706), (2, 4.303), (10, 2.228), (30, 2.042), (31, 1.96)]
)
def test_students_t(degrees: int, quantile: float) -> None:
    assert t95(degrees) == quantile


def test_beyond_thirty_degrees_the_normal_distribution_counts() -> None:
    for n, quantile in ((31, 2.042), (32, 1.96)):
        found = summary([float(value % 2) for value in range(n)])
        assert found.half_width_95 == pytest.approx(quantile * found.deviation / math.sqrt(n))


def test_large_offsets_do_not_eat_the_variance() -> None:
    assert summary([1e9 + value for value in (1.0, 2.0, 3.0)]).variance == pytest.approx(1.0)


@pytest.mark.parametrize(("q", "expected"), [(-1, 1), (0, 1), (0.5, 2.5), (1, 4), (2, 4)])
def test_percentiles_are_held_within_the_values(q: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], q) == expected
