"""Lines that grow: what is kept and added to is what is drawn from scratch."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable
from copy import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.archive.series import Series
from arkor_tui.tui.chart import decimate, kept
from arkor_tui.tui.chart.decimate import Decimation
from arkor_tui.tui.chart.frame import ChartSpec, LineSpec, LineStyle, Symbols, draw
from arkor_tui.tui.chart.raster import Raster
from arkor_tui.tui.chart.scale import YScale

Change = tuple[str, float, float | None]

VALUES = st.none() | st.sampled_from([-50.0, 0.0, 1.0, 2.0, 99.0]) | st.floats(-3, 3)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["on", "on", "on", "far", "back"]), st.floats(0.125, 40), VALUES),
    max_size=12,
)
"""A point soon after the last one, far after it, or before it (which may replace one)."""


def apply(series: Series, changes: Iterable[Change]) -> None:
    for where, by, value in changes:
        last = series.last_step or 0.0
        step = {"on": last + by, "far": last + by * 20, "back": round(last - by)}[where]
        series.put(step, value)


def twin(series: Series) -> Series:
    """The same points, about which nothing is kept."""
    return Series(copy(series.steps), copy(series.values), copy(series.gaps))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.lists(CHANGES, min_size=1, max_size=8), st.integers(1, 60))
def test_columns_of_a_series_that_grows(
    points: int, rounds: list[list[Change]], count: int
) -> None:
    series = Series(range(points), [float(step % 7) for step in range(points)])
    edges = [number * 450 / count for number in range(count + 1)]
    kept_columns = Decimation(edges)
    for changes in rounds:
        kept_columns.catch_up(series)
        assert kept_columns.columns == series.columns_between(edges)
        apply(series, changes)
    kept_columns.catch_up(series)
    assert kept_columns.columns == twin(series).columns_between(edges)


def test_wide_columns_whose_borders_snap_to_blocks_lose_no_point() -> None:
    rng = random.Random(3)
    series = Series(range(20_000), [rng.random() for _ in range(20_000)])
    edges = [number * 3_001.7 for number in range(14)]
    kept_columns = Decimation(edges)
    kept_columns.catch_up(series)
    for _ in range(150):
        start = int(series.last_step or 0) + 1
        series.extend((step, rng.random()) for step in range(start, start + rng.randrange(300)))
        kept_columns.catch_up(series)
        assert kept_columns.columns == series.columns_between(edges)
        inside = sum(step <= edges[-1] for step in series.steps)
        assert sum(column.points for column in kept_columns.columns) == inside


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda series: None, True),
        (lambda series: series.put(10, 5.0), True),
        (lambda series: series.extend([(10, 1.0), (11, None), (12, 1.0)]), True),
        (lambda series: series.put(3, 5.0), False),
        (lambda series: series.put(3.5, 5.0), False),
        (lambda series: series.put(3.5, None), False),
        (lambda series: series.extend([(3.5, 1.0), (20, 1.0)]), False),
        (lambda series: series.extend([(20, None), (3.5, None)]), False),
        (lambda series: series.extend([(11, None), (9, 7.0)]), False),
    ],
)
def test_only_what_was_added_at_the_end_counts_as_growth(
    change: Callable[[Series], None], expected: bool
) -> None:
    series = Series(range(10), [1.0] * 10, [4.5])
    kept_columns = Decimation([0.0, 4.0, 8.0, 30.0])
    kept_columns.catch_up(series)
    change(series)
    assert kept_columns.catch_up(series) is expected


def test_growth_reduces_only_the_last_column(monkeypatch: pytest.MonkeyPatch) -> None:
    series = Series(range(1_000), [1.0] * 1_000)
    kept_columns = Decimation([number * 11.0 for number in range(101)])
    kept_columns.catch_up(series)
    asked: list[int] = []
    real = Series.columns_between

    def watched(self: Series, edges: list[float]) -> list[object]:
        asked.append(len(edges))
        return real(self, edges)  # type: ignore[return-value]

    monkeypatch.setattr(decimate.Series, "columns_between", watched)
    series.put(1_000, 2.0)
    kept_columns.catch_up(series)
    kept_columns.catch_up(series)
    assert asked == [11]  # the column of 990 to 1,001, and the empty ones after it


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 120),
    st.lists(CHANGES, min_size=1, max_size=6),
    st.sampled_from(["solid", "dashed", "dots"]),
    st.sampled_from(["braille", "block", "ascii"]),
    st.booleans(),
)
def test_glyphs_of_a_line_that_grows(
    points: int, rounds: list[list[Change]], style: LineStyle, symbols: Symbols, cuts: bool
) -> None:
    rng = random.Random(points)
    series = Series(range(points), [rng.uniform(-3, 3) for _ in range(points)])
    edges = tuple(number * 2.5 for number in range(101))
    scale = YScale((-2.0, 4.0), log=False, cuts=cuts)
    look = ((50, 12), style, symbols)
    for changes in [*rounds, []]:
        columns = series.columns_between(edges)
        expected = Raster(scale, *look).cells(columns, len(columns))
        assert kept.glyphs(series, edges, scale, look) == expected
        apply(series, changes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 300),
    st.lists(CHANGES, min_size=1, max_size=5),
    st.sampled_from([0.0, 0.9]),
    st.booleans(),
    st.booleans(),
)
def test_pictures_of_lines_that_grow(
    points: int, rounds: list[list[Change]], smoothing: float, log_y: bool, room: bool
) -> None:
    growing = Series(range(points), [1.0 + step % 5 for step in range(points)])
    still = Series([0, points], [2.0, 1.0])

    def spec(*series: Series) -> ChartSpec:
        first, second = series
        lines = (LineSpec("a", first, smoothing=smoothing), LineSpec("b", second, "dashed", "eval"))
        return ChartSpec(lines, 60, 14, log_y=log_y, room=room)

    for changes in [*rounds, []]:
        found, fresh = draw(spec(growing, still)), draw(spec(twin(growing), twin(still)))
        assert (found.rows, found.x_range, found.note) == (fresh.rows, fresh.x_range, fresh.note)
        apply(growing, changes)


def test_a_spike_in_the_newest_point_is_drawn_at_once_and_stays() -> None:
    series = Series(range(50_000), [1.0] * 50_000)
    edges = tuple(number * 300.0 for number in range(201))
    scale = YScale((0.0, 10.0), log=False)
    look = ((100, 20), "solid", "braille")
    kept.glyphs(series, edges, scale, look)  # type: ignore[arg-type]
    series.put(50_000, 9.9)
    for step in range(50_001, 50_900):
        column = 50_000 // 600
        assert any(
            place // 100 == 0 and place % 100 == column
            for place in kept.glyphs(series, edges, scale, look)  # type: ignore[arg-type]
        )
        series.put(step, 1.0)


def test_an_answer_is_not_changed_by_the_next_one() -> None:
    series = Series(range(40), [float(step) for step in range(40)])
    edges = [float(step) for step in range(0, 101, 2)]
    raster = Raster(YScale((0.0, 100.0), log=False), (25, 10), "solid", "braille")
    before = raster.cells(series.columns_between(edges), 19)
    copied = dict(before)
    series.put(60, 5.0)
    assert raster.cells(series.columns_between(edges), 20) != copied
    assert before == copied


def test_a_forgotten_series_is_not_kept() -> None:
    series = Series(range(40), [1.0] * 40)
    draw(ChartSpec((LineSpec("a", series),), 40, 10))
    assert series in kept._drawings
    number = len(kept._drawings)
    del series
    gc.collect()
    assert len(kept._drawings) < number
