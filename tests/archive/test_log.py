"""Reading the log: pages, filters, searches, jumps."""

from __future__ import annotations

import pytest

from arkor_tui.archive.records import CheckpointRow
from arkor_tui.archive.store import Archive
from tests.support.archive_material import at, event, log, whole_run


@pytest.fixture
def run(archive: Archive, key: int) -> int:
    """A run of thirty steps: 1 start, 30 logs, 3 evaluations, 3 checkpoints, 1 completion."""
    archive.append(key, whole_run(30))
    return key


def test_pages(archive: Archive, run: int) -> None:
    count = archive.count_events(run)
    assert count == 38
    assert [row.seq for row in archive.log(run, limit=3)] == [1, 2, 3]
    assert [row.seq for row in archive.log(run, after=10, limit=3)] == [11, 12, 13]
    assert [row.seq for row in archive.log(run, before=10, limit=3)] == [7, 8, 9]
    assert [row.seq for row in archive.log(run, after=4, before=7)] == [5, 6]
    assert archive.log(run, after=count) == []
    assert [row.seq for row in archive.rows_at(run, [5, 3, 3, 99])] == [3, 5]
    assert archive.rows_at(run, []) == []
    assert len(archive.rows_at(run, range(2000))) == 38


def test_filters(archive: Archive, run: int) -> None:
    rare = {"checkpoint.saved", "training.completed"}
    seqs = archive.matching(run, kinds=rare)
    assert [row.kind for row in archive.rows_at(run, seqs)] == [
        *["checkpoint.saved"] * 3,
        "training.completed",
    ]
    assert archive.matching(run) == list(range(1, 39))
    assert len(archive.matching(run, kinds={"training.log"})) == 33
    assert len(archive.matching(run, kinds={"training.log"}, text="EVALLOSS")) == 3
    assert archive.count_matching(run, "EVALLOSS") == 3
    assert archive.count_matching(run, "100%") == 0
    assert [row.seq for row in archive.log(run, kinds=rare, limit=2)] == seqs[:2]
    assert [row.seq for row in archive.log(run, kinds=rare, before=99, limit=2)] == seqs[-2:]
    assert [row.seq for row in archive.log(run, text="artifacts")] == seqs


def test_few_rare_events_are_not_looked_for_among_all(archive: Archive, run: int) -> None:
    seen: list[str] = []
    archive.db.set_trace_callback(seen.append)
    archive.checkpoints(run)
    archive.ended(run)
    archive.matching(run, kinds={"checkpoint.saved"})
    archive.db.set_trace_callback(None)
    about_events = [sql for sql in seen if "events" in sql]
    assert len(about_events) == 3
    for sql in about_events:
        plan = archive.db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        assert any("events_rare" in row[3] for row in plan), plan


@pytest.mark.parametrize("text", ["50%", "a_b", "back\\slash", 'quo"te', "ümlaut", "'"])
def test_search_takes_texts_literally(archive: Archive, key: int, text: str) -> None:
    archive.append(
        key,
        [
            event(1, "training.log", step=1, note="50 a-b axb quote"),
            event(2, "training.log", step=2),
        ],
    )
    raw = f"{{free text with {text} in it}}"
    archive.append(key, [log(3, 3, 1.0), type(log(4, 4))("4", "training.log", 4, None, raw)])
    assert archive.search(key, text, start=0, forward=True) == 4
    assert (
        archive.search(key, text.upper() if text.isascii() else text, start=5, forward=False) == 4
    )
    assert archive.search(key, text, start=4, forward=True) is None
    assert archive.search(key, text, start=4, forward=False) is None


def test_the_log_row_of_a_step(archive: Archive, key: int) -> None:
    archive.append(
        key,
        [log("a", 10, 3.0), log("b", 20, 2.0), log("c", 20, evalLoss=2.2), log("d", 40, 1.0)],
    )
    assert archive.row_of_step(key, 1) == 1
    assert archive.row_of_step(key, 14) == 1
    assert archive.row_of_step(key, 15) == 1  # equally near: the earlier
    assert archive.row_of_step(key, 16) == 3
    assert archive.row_of_step(key, 999) == 4
    assert archive.row_of_step(key + 1, 1) is None


def test_checkpoints_know_the_losses_of_their_step(archive: Archive, run: int) -> None:
    assert archive.checkpoints(run) == [
        CheckpointRow(10, 13, at(10), 0.3, 0.35),
        CheckpointRow(20, 25, at(20), 0.15, 0.175),
        CheckpointRow(30, 37, at(30), 0.1, 0.1167),
    ]
    archive.append(run, [event("again", "checkpoint.saved", step=20, time=at(99))])
    assert [(row.step, row.seq) for row in archive.checkpoints(run)] == [
        (10, 13),
        (20, 39),
        (30, 37),
    ]
    record = archive.run(run)
    assert record is not None
    assert record.checkpoints == 3


def test_whether_the_end_is_known(archive: Archive, key: int) -> None:
    archive.append(key, whole_run(5)[:-1])
    assert not archive.ended(key)
    archive.append(key, whole_run(5)[-1:])
    assert archive.ended(key)
