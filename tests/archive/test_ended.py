"""Why a run ended, and what its callbacks have heard."""

from __future__ import annotations

import pytest

from arkor_tui.archive.store import Archive
from arkor_tui.ended import Ended

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
