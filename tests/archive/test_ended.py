"""Why a run ended, and what its callbacks have heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkor_tui.archive.export import export_run, import_run, read_recording
from arkor_tui.archive.records import RunIdentity, RunQuery
from arkor_tui.archive.store import Archive
from arkor_tui.ended import Ended
from tests.support.archive_material import job

GUARD = Ended("guard", "loss 7.5 is above 5", guard="ceiling", step=33, checkpoint=40)


def test_the_guard_that_stopped_a_run_is_kept_with_it(archive: Archive, key: int) -> None:
    archive.set_end(key, "cancelled", "Job cancelled", GUARD)
    run = archive.run(key)
    assert run is not None
    assert (run.ended, run.reason, run.status) == (GUARD, GUARD.sentence, "cancelled")


def test_the_first_reason_of_this_side_stays(archive: Archive, key: int) -> None:
    archive.set_end(key, "cancelled", None, Ended("lost", "The backend has no such job any more."))
    archive.set_end(key, "cancelled", None, GUARD)
    archive.set_end(key, "cancelled", None, Ended("person", "cancelled by hand"))
    run = archive.run(key)
    assert run is not None
    assert run.ended == GUARD


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        ("completed", None, "Training completed."),
        ("failed", "out of memory", "Training failed: out of memory"),
        ("failed", None, "Training failed: The backend gave no reason."),
    ],
)
def test_what_the_backend_ended_says_so(
    archive: Archive, key: int, status: str, error: str | None, sentence: str
) -> None:
    archive.set_status(key, status, error)
    run = archive.run(key)
    assert run is not None
    assert run.ended == Ended("backend", sentence)


def test_a_run_that_goes_on_has_no_end(archive: Archive, key: int) -> None:
    run = archive.run(key)
    assert run is not None
    assert run.ended is None


@pytest.mark.parametrize(
    "raw", [None, [], {}, {"by": "moon", "sentence": "x"}, {"by": "guard", "sentence": 3}]
)
def test_other_things_are_no_end(raw: object) -> None:
    assert Ended.from_dict(raw) is None


def test_an_end_comes_back_as_it_was() -> None:
    assert Ended.from_dict(GUARD.as_dict()) == GUARD
    assert Ended("person", "x").as_dict() == {"by": "person", "sentence": "x"}


def test_what_was_heard_is_kept_for_each_host_and_never_goes_back(
    archive: Archive, key: int
) -> None:
    assert archive.delivered(key, "one") == 0
    archive.set_delivered(key, "one", 7)
    archive.set_delivered(key, "one", 5)
    archive.set_delivered(key, "two", 3)
    assert (archive.delivered(key, "one"), archive.delivered(key, "two")) == (7, 3)


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (
            GUARD,
            "Stopped by the guard ceiling at step 33: loss 7.5 is above 5 (checkpoint 40 is kept)",
        ),
        (Ended("guard", "loss 7.5 is above 5"), "Stopped by the guard of a recipe: loss 7.5 is "
         "above 5"),
        (Ended("callback", "enough", step=7), "Stopped by a callback at step 7: enough"),
        (Ended("person", "cancelled by hand", step=7), "Cancelled by hand"),
        (Ended("backend", "Training completed.", step=7), "Training completed."),
    ],
)  # fmt: skip
def test_an_end_is_told_in_one_sentence(ended: Ended, told: str) -> None:
    """r16: header, log, toast, list, notification and report have it from here."""
    assert str(ended) == told


def test_the_reason_goes_with_the_end_that_is_kept(archive: Archive, key: int) -> None:
    archive.set_end(key, "cancelled", None, GUARD)
    archive.set_end(key, "cancelled", None, Ended("person", "cancelled by hand"))
    archive.set_end(key, "cancelled", None, Ended("backend", "Training failed: x"))
    run = archive.run(key)
    assert run is not None
    assert (run.reason, run.why_stopped) == (GUARD.sentence, str(GUARD))


@pytest.mark.parametrize(
    ("status", "ended"),
    [("cancelled", GUARD), ("running", None), ("failed", Ended("lost", "It is gone."))],
)
def test_a_recording_keeps_why_the_run_ended(
    archive: Archive, key: int, tmp_path: Path, status: str, ended: Ended | None
) -> None:
    """r16: an unfinished run counts as lost where it is taken in."""
    if ended is not None:
        archive.set_end(key, status, None, ended)
    with (tmp_path / "run.jsonl").open("w") as out:
        export_run(archive, key, "jsonl", out)
    assert read_recording(tmp_path / "run.jsonl").run.ended == ended
    with Archive.open(tmp_path / "other.db") as other:
        run = other.run(import_run(other, tmp_path / "run.jsonl"))
    assert run is not None
    assert run.ended == (ended or Ended("lost", "recorded before the run had ended"))


@pytest.mark.parametrize("completed", ["2026-08-06T10:00:00Z", "2026-08-07T10:00:00Z"])
def test_a_run_whose_clock_was_set_back_has_no_duration(archive: Archive, completed: str) -> None:
    """r18: neither a negative one nor none at all; sorting by it agrees."""
    started = "2026-08-07T10:00:00Z"
    for number, end in (("one", completed), ("two", "2026-08-07T10:00:05Z")):
        made = job(number, "completed", startedAt=started, completedAt=end)
        archive.register(RunIdentity("local", "o", "p", number), made)
    runs = archive.runs(RunQuery(sort="duration", descending=False))
    assert [(run.identity.job_id, run.duration) for run in runs] == [("two", 5.0), ("one", None)]
