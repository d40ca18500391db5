"""A run that went on from a checkpoint: what its first life logged after it counts no more (t5)."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkor_tui.archive.export import export_run
from arkor_tui.archive.records import NewEvent
from arkor_tui.archive.series import Series
from arkor_tui.archive.store import Archive
from tests.support.archive_material import event, log


def resumed(number: int, step: int) -> NewEvent:
    return event(number, "training.resumed", step=step)


@pytest.mark.parametrize("at_once", [True, False])
def test_points_after_the_checkpoint_leave_curve_best_and_last(
    archive: Archive, key: int, at_once: bool
) -> None:
    """t5: resumed at 25 after 37 logged steps; the best of the first life was at 30."""
    first = [log(n, n, 0.01 if n == 30 else 3.0 - n / 100, evalLoss=n / 10) for n in range(1, 38)]
    second = [log(100 + n, n, 2.0 - n / 100, evalLoss=n / 20) for n in range(26, 34)]
    events = [*first, resumed(99, 25), *second]
    for batch in [events] if at_once else [[one] for one in events]:
        archive.append(key, batch)
    run = archive.run(key)
    assert run is not None
    assert (run.last_step, run.last_loss) == (33, pytest.approx(1.67))
    assert run.best_loss == pytest.approx(1.67)
    assert (run.last_eval_loss, run.best_eval_loss) == (pytest.approx(1.65), pytest.approx(0.1))
    series = archive.load_series(key)["loss"]
    assert list(series.steps) == list(range(1, 34))
    assert list(series.values) == pytest.approx(
        [3.0 - n / 100 for n in range(1, 26)] + [2.0 - n / 100 for n in range(26, 34)]
    )
    assert run.sparkline[-1] == pytest.approx(1.67)
    assert run.events == len(events), "the log keeps both lives"
    kinds = [row.kind for row in archive.log(key, limit=1000)]
    assert kinds.index("training.resumed") == 37


def test_resumed_twice_and_over_many_chunks(archive: Archive, key: int) -> None:
    archive.append(key, [log(n, n, float(n)) for n in range(1, 1501)])
    archive.append(key, [resumed(2000, 700)])
    archive.append(key, [log(3000 + n, n, -float(n)) for n in range(701, 800)])
    archive.append(key, [resumed(4000, 0), log(4001, 1, 9.0)])
    series = archive.load_series(key)["loss"]
    assert (list(series.steps), list(series.values)) == ([1.0], [9.0])
    run = archive.run(key)
    assert run is not None
    assert (run.last_step, run.best_loss, run.sparkline) == (1, 9.0, (9.0,))


POINTS = st.lists(st.tuples(st.integers(0, 300), st.floats(-9, 9) | st.none()), max_size=300)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(before=POINTS, step=st.integers(-1, 301), after=POINTS)
def test_a_series_that_was_cut_is_as_one_that_never_had_more(
    before: list[tuple[int, float | None]], step: int, after: list[tuple[int, float | None]]
) -> None:
    cut, plain = Series(), Series()
    cut.extend(before)
    cut.smoothed(0.5)
    cut.bounds(0, 300)
    version = cut.version
    cut.cut_after(step)
    assert cut.version >= version
    plain.extend(point for point in before if point[0] <= step)
    for one in (cut, plain):
        one.extend(after)
    assert (cut.steps, cut.values, cut.gaps) == (plain.steps, plain.values, plain.gaps)
    assert cut.smoothed(0.5).values == plain.smoothed(0.5).values
    assert cut.columns(0, 300, 40) == plain.columns(0, 300, 40)


def test_exports_hold_the_second_life_only(archive: Archive, key: int) -> None:
    """t5: metrics of void steps are in neither table."""
    archive.append(key, [log("1", 1, 2.0), log("2", 2, 1.0), log("3", 3, 9.0)])
    archive.append(key, [event("4", "training.resumed", step=2), log("5", 3, 0.5)])
    out = io.StringIO()
    export_run(archive, key, "csv", out)
    assert [row[:2] for row in csv.reader(out.getvalue().splitlines())][1:] == [
        ["1", "2.0"], ["2", "1.0"], ["3", "0.5"],
    ]  # fmt: skip
    out = io.StringIO()
    export_run(archive, key, "markdown", out)
    assert "| Training loss | 3 | 0.5000 | 0.5000 |" in out.getvalue()
