"""The last loss of a run is never an older one that was finite."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path

import pytest

from arkor_tui.archive.export import export_run
from arkor_tui.archive.records import NewEvent, OddLoss
from arkor_tui.archive.schema import MIGRATIONS
from arkor_tui.archive.store import Archive
from tests.support.archive_material import event, log


@pytest.mark.parametrize(
    ("last", "odd"),
    [
        (log("2", 12, loss=None, nonFinite={"loss": "nan"}), OddLoss("NaN", 12)),
        (log("2", 12, loss=None, nonFinite={"loss": "inf"}), OddLoss("∞", 12)),
        (log("2", 12, nonFinite={"loss": "very \x1b[31mlarge"}), OddLoss("very large", 12)),
        (event("2", "training.log", step=12, loss=None), OddLoss("—", 12)),
        (NewEvent("2", "training.log", 12, None, '{"loss": 1e999}'), OddLoss("—", 12)),
    ],
)
def test_a_last_loss_that_is_no_finite_number_says_so(
    archive: Archive, key: int, last: NewEvent, odd: OddLoss
) -> None:
    """r16: the loss of step 11 is not shown as the last one."""
    archive.append(key, [log("1", 11, loss=0.5), last])
    run = archive.run(key)
    assert run is not None
    assert (run.last_loss, run.best_loss, run.odd_loss) == (None, 0.5, odd)
    assert str(run.odd_loss) == f"{odd.value} at step 12"


def test_a_finite_loss_after_it_is_the_last_one(archive: Archive, key: int) -> None:
    archive.append(key, [log("1", 11, loss=None, nonFinite={"loss": "nan"})])
    archive.append(key, [log("2", 12, loss=0.5)])
    run = archive.run(key)
    assert run is not None
    assert (run.last_loss, run.odd_loss) == (0.5, None)


def test_a_log_of_the_other_metric_changes_nothing(archive: Archive, key: int) -> None:
    archive.append(key, [log("1", 11, loss=None, nonFinite={"loss": "nan"})])
    archive.append(key, [event("2", "training.log", step=12, loss=None, evalLoss=0.4)])
    run = archive.run(key)
    assert run is not None
    assert (run.last_eval_loss, run.odd_eval_loss) == (0.4, None)
    assert (run.last_loss, run.odd_loss) == (None, OddLoss("NaN", 11))


def test_an_eval_loss_that_is_no_finite_number_says_so(archive: Archive, key: int) -> None:
    archive.append(key, [log("1", 11, loss=0.5, evalLoss=0.6)])
    archive.append(key, [log("2", 12, loss=0.4, nonFinite={"evalLoss": "nan"})])
    run = archive.run(key)
    assert run is not None
    assert (run.last_eval_loss, run.odd_eval_loss) == (None, OddLoss("NaN", 12))
    assert run.last_loss == 0.4


def test_a_checkpoint_has_no_loss_of_before_it_either(archive: Archive, key: int) -> None:
    odd = log("2", 12, loss=None, nonFinite={"loss": "nan"})
    archive.append(key, [log("1", 11, loss=0.5), odd, event("3", "checkpoint.saved", step=12)])
    assert [row.loss for row in archive.checkpoints(key)] == [None]


def test_a_resumed_run_knows_its_last_loss_anew(archive: Archive, key: int) -> None:
    """t5: it went on from before the loss that was no number."""
    odd = log("2", 12, loss=None, nonFinite={"loss": "nan"})
    archive.append(key, [log("1", 11, loss=0.5), odd, event("3", "training.resumed", step=11)])
    run = archive.run(key)
    assert run is not None
    assert (run.last_loss, run.odd_loss) == (0.5, None)
    archive.append(key, [log("4", 12, loss=None, nonFinite={"loss": "nan"})])
    archive.append(key, [event("5", "training.resumed", step=12)])
    run = archive.run(key)
    assert run is not None
    assert (run.last_loss, run.odd_loss) == (None, OddLoss("—", 12))


def test_a_report_gives_it_as_the_final_loss(archive: Archive, key: int) -> None:
    archive.append(key, [log("1", 11, loss=0.5), log("2", 12, nonFinite={"loss": "nan"})])
    out = io.StringIO()
    export_run(archive, key, "markdown", out)
    assert "| Training loss | 1 | NaN at step 12 | 0.5000 |" in out.getvalue()


def test_runs_of_before_are_migrated(archive: Archive, path: Path, key: int) -> None:
    odd = log("2", 12, loss=None, nonFinite={"loss": "inf"})
    archive.append(key, [log("1", 11, loss=0.5, evalLoss=0.7), odd])
    archive.close()
    db = sqlite3.connect(path)
    before = sum(script.count("ADD COLUMN") for script in MIGRATIONS[2:])
    columns = [row[1] for row in db.execute("PRAGMA table_xinfo(runs)")]
    for column in columns[-before:]:
        db.execute(f"ALTER TABLE runs DROP COLUMN {column}")
    db.execute("DROP TABLE delivered")
    db.execute("UPDATE runs SET last_loss = 0.5")
    db.execute("PRAGMA user_version = 2")
    db.commit()
    db.close()
    with Archive.open(path) as migrated:
        run = migrated.run(key)
    assert run is not None
    assert (run.last_loss, run.odd_loss) == (None, OddLoss("∞", 12))
    assert (run.last_eval_loss, run.odd_eval_loss) == (0.7, None)
