"""Runs in the archive: taken in, found, changed by people, deleted and brought back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from arkor_tui.archive.records import RunIdentity, RunQuery, Sample
from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, at, job, log, whole_run

SECRET = "hf_do-not-keep-me"


def identity(job_id: str, **fields: str) -> RunIdentity:
    """An identity of the usual scope."""
    scope = {"backend": "local", "org": "org", "project": "project", **fields}
    return RunIdentity(job_id=job_id, **scope)


def names(archive: Archive, query: RunQuery | None = None) -> list[str]:
    """Job ids of what a query finds."""
    found = archive.runs(query)
    assert archive.count(query) == len(found)
    return [run.identity.job_id for run in found]


def test_what_a_job_says(archive: Archive) -> None:
    key = archive.register(IDENTITY, job(), trainer_file="trainer.py", origin="cli")
    run = archive.run(key)
    assert run is not None
    assert run.identity == IDENTITY
    assert (run.name, run.model, run.dataset) == (
        "triage-run",
        "arkor-tui/tiny",
        "arkorlab/triage-demo",
    )
    assert (run.status, run.max_steps, run.events) == ("queued", 100, 0)
    assert (run.trainer_file, run.origin) == ("trainer.py", "cli")
    assert run.config["datasetSource"]["name"] == "arkorlab/triage-demo"
    assert run.duration is None


def test_the_same_job_again_is_the_same_run(archive: Archive, key: int) -> None:
    archive.set_tags(key, ["night"])
    archive.set_note(key, "a note")
    again = archive.register(IDENTITY, job(status="running", startedAt=at(1)))
    assert again == key
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.started_at, run.tags, run.note) == (
        "running",
        at(1),
        ("night",),
        "a note",
    )


@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
def test_an_ended_run_does_not_come_back_to_life(archive: Archive, key: int, ending: str) -> None:
    archive.register(IDENTITY, job(status=ending, error="why", completedAt=at(9)))
    archive.register(IDENTITY, job(status="running"))
    archive.sync_jobs("local", "org", "project", [job(status="queued")])
    archive.set_status(key, "running")
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.error, run.completed_at) == (ending, "why", at(9))


def test_the_backend_may_correct_how_a_run_ended(archive: Archive, key: int) -> None:
    archive.set_status(key, "failed", "Job cancelled")
    archive.set_status(key, "cancelled", reason="loss above 5")
    run = archive.run(key)
    assert run is not None
    assert (run.status, run.error, run.reason) == ("cancelled", "Job cancelled", "loss above 5")


def test_secrets_are_not_stored(archive: Archive, path: Path) -> None:
    source = {
        "type": "blob",
        "url": f"https://me:{SECRET}@host.example/rows.jsonl?sig={SECRET}#{SECRET}",
        "token": SECRET,
    }
    key = archive.register(IDENTITY, job(config={"datasetSource": source}))
    archive.sync_jobs("cloud", "org", "project", [job("job-2", config={"datasetSource": source})])
    run = archive.run(key)
    assert run is not None
    assert run.dataset == "https://host.example/rows.jsonl"
    archive.close()
    for file in path.parent.glob("history.db*"):
        assert SECRET.encode() not in file.read_bytes()


def test_foreign_names_are_made_harmless(archive: Archive) -> None:
    key = archive.register(IDENTITY, job(name="a\x1b[31mb\nc" + "x" * 5000, error="\x1b]0;t\x07no"))
    run = archive.run(key)
    assert run is not None
    assert run.name.startswith("ab cx")
    assert len(run.name) < 1100
    assert run.error == "no"


@pytest.mark.parametrize("steps", [float("inf"), 10**40, -1, "many", True, None])
def test_odd_numbers_of_steps(archive: Archive, steps: object) -> None:
    key = archive.register(IDENTITY, job(config={"maxSteps": steps}))
    run = archive.run(key)
    assert run is not None
    assert run.max_steps is None


def test_times_from_other_zones_sort_as_moments(archive: Archive) -> None:
    for job_id, moment in (
        ("late", "2026-08-07T01:00:00-09:00"),
        ("early", "2026-08-07T18:00:00+09:00"),
        ("middle", "2026-08-07T09:30:00Z"),
    ):
        archive.register(identity(job_id), job(job_id, createdAt=moment))
    assert names(archive) == ["late", "middle", "early"]


def test_a_job_without_a_time_was_made_when_it_was_first_seen(archive: Archive) -> None:
    archive.register(identity("old"), job("old", createdAt="2020-01-01T00:00:00Z"))
    archive.register(identity("none"), job("none", createdAt=None))
    assert names(archive) == ["none", "old"]


def test_a_whole_list_in_one_go(archive: Archive) -> None:
    archive.sync_jobs("local", "org", "project", [job("a"), job("b", "completed")])
    archive.sync_jobs("local", "org", "project", [job("a", "running"), job("c")])
    assert {run.identity.job_id: run.status for run in archive.runs()} == {
        "a": "running",
        "b": "completed",
        "c": "queued",
    }
    assert {run.origin for run in archive.runs()} == {"backend"}


def test_an_unchanged_list_writes_nothing(archive: Archive) -> None:
    jobs = [job("a"), job("b", "completed", completedAt=at(1))]
    archive.sync_jobs("local", "org", "project", jobs)
    before = archive.db.total_changes
    archive.sync_jobs("local", "org", "project", jobs)
    assert archive.db.total_changes == before


def test_who_started_a_run_is_not_forgotten(archive: Archive) -> None:
    archive.sync_jobs("local", "org", "project", [job("a")])
    key = archive.register(identity("a"), job("a"), origin="app", trainer_file="trainer.py")
    archive.sync_jobs("local", "org", "project", [job("a")])
    run = archive.run(key)
    assert run is not None
    assert (run.origin, run.trainer_file) == ("app", "trainer.py")


@pytest.fixture
def several(archive: Archive) -> dict[str, int]:
    """Four runs, made one after another."""
    keys = {}
    for number, (job_id, status, loss) in enumerate(
        [
            ("a1", "completed", 1.0),
            ("a2", "running", 3.0),
            ("b1", "failed", 2.0),
            ("b2", "queued", None),
        ]
    ):
        keys[job_id] = archive.register(
            identity(job_id),
            job(
                job_id,
                name=f"Run {job_id}",
                createdAt=at(number),
                startedAt=at(10) if status != "queued" else None,
                completedAt=at(20 + number) if status in ("completed", "failed") else None,
            ),
        )
        if loss is not None:
            archive.append(keys[job_id], [log(1, number + 1, loss, evalLoss=loss + 1)])
        archive.set_status(keys[job_id], status)
    return keys


def test_live_runs_come_first_and_then_the_newest(
    archive: Archive, several: dict[str, int]
) -> None:
    assert names(archive) == ["b2", "a2", "b1", "a1"]
    assert names(archive, RunQuery(live_first=False)) == ["b2", "b1", "a2", "a1"]
    assert names(archive, RunQuery(live_first=False, descending=False)) == ["a1", "a2", "b1", "b2"]


@pytest.mark.parametrize(
    ("sort", "ascending"),
    [
        ("loss", ["a1", "b1", "a2", "b2"]),
        ("eval_loss", ["a1", "b1", "a2", "b2"]),
        ("steps", ["a1", "a2", "b1", "b2"]),
        ("name", ["a1", "a2", "b1", "b2"]),
        ("duration", ["a1", "b1", "a2", "b2"]),
        ("status", ["a1", "b1", "b2", "a2"]),
    ],
)
def test_orders(archive: Archive, several: dict[str, int], sort: str, ascending: list[str]) -> None:
    query = RunQuery(sort=sort, descending=False, live_first=False)  # type: ignore[arg-type]
    assert names(archive, query) == ascending
    if sort in ("loss", "eval_loss", "steps", "duration"):
        downwards = RunQuery(sort=sort, live_first=False)  # type: ignore[arg-type]
        # what has no such number is last either way
        assert names(archive, downwards) == [*reversed(ascending[:-1]), ascending[-1]]


def test_filters(archive: Archive, several: dict[str, int]) -> None:
    archive.register(identity("other", project="elsewhere", backend="cloud"), job("other"))
    archive.set_tags(several["a1"], ["#night", "lr 2e-4", "night", " "])
    archive.set_note(several["b1"], "Größe war falsch")
    assert names(archive, RunQuery(statuses=frozenset({"failed", "completed"}))) == ["b1", "a1"]
    assert names(archive, RunQuery(project="elsewhere")) == ["other"]
    assert names(archive, RunQuery(backend="local", org="org", project="project")) == [
        "b2",
        "a2",
        "b1",
        "a1",
    ]
    assert names(archive, RunQuery(tag="night")) == ["a1"]
    assert names(archive, RunQuery(tag="nigh")) == []
    assert names(archive, RunQuery(text="RUN b1")) == ["b1"]
    assert names(archive, RunQuery(text="GRÖSSE falsch")) == ["b1"]
    assert names(archive, RunQuery(text="2e-4")) == ["a1"]
    # s4: a tag is found as it is shown, and by its whole name with or without the sign
    assert names(archive, RunQuery(text="#night")) == ["a1"]
    assert names(archive, RunQuery(text="#b1")) == []
    assert names(archive, RunQuery(tag="#night")) == ["a1"]
    assert names(archive, RunQuery(text="100%")) == []
    assert archive.tags() == ["lr-2e-4", "night"]


def test_which_of_some_runs_match(archive: Archive, several: dict[str, int]) -> None:
    keys = sorted(several.values())
    assert archive.among(keys[::-1], RunQuery()) == keys
    assert archive.among(keys[:2], RunQuery()) == keys[:2]
    assert archive.among([*keys, 999], RunQuery(text="zzzz")) == []
    assert archive.among([], RunQuery()) == []
    archive.delete(keys[:1])
    assert archive.among(keys, RunQuery()) == keys[1:]


def test_pages_of_runs(archive: Archive, several: dict[str, int]) -> None:
    assert [run.identity.job_id for run in archive.runs(limit=2)] == ["b2", "a2"]
    assert [run.identity.job_id for run in archive.runs(limit=2, offset=3)] == ["a1"]


def test_the_usual_list_is_read_from_an_index(archive: Archive) -> None:
    seen: list[str] = []
    archive.db.set_trace_callback(seen.append)
    archive.runs()
    archive.runs(RunQuery(backend="local", org="org", project="project"))
    archive.db.set_trace_callback(None)
    for sql in seen:
        plan = archive.db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        assert not any("TEMP B-TREE" in row[3] for row in plan), plan


def test_finding_a_run_by_what_one_remembers(archive: Archive, several: dict[str, int]) -> None:
    def found(ref: str) -> list[str]:
        return [run.identity.job_id for run in archive.find(ref)]

    assert found("a1") == ["a1"]
    assert found("b") == ["b2", "b1"]
    assert found("Run a2") == ["a2"]
    assert found("%") == []
    archive.delete([several["a1"]])
    assert found("a1") == []


def test_deleting_and_bringing_back(archive: Archive, several: dict[str, int]) -> None:
    archive.delete([several["a1"], several["b1"]])
    assert names(archive) == ["b2", "a2"]
    assert archive.run(several["a1"]) is None
    archive.undelete([several["a1"], several["b1"]])
    assert names(archive) == ["b2", "a2", "b1", "a1"]
    assert archive.count_events(several["a1"]) == 1


def test_what_was_deleted_stays_deleted_until_it_is_asked_for(
    archive: Archive, several: dict[str, int]
) -> None:
    archive.delete([several["a1"]])
    archive.sync_jobs("local", "org", "project", [job("a1", "completed"), job("a2")])
    assert "a1" not in names(archive)
    assert archive.register(identity("a1"), job("a1", "completed")) == several["a1"]
    assert "a1" in names(archive)


def deleted_long_ago(archive: Archive, key: int) -> None:
    """As if a week had passed."""
    archive.delete([key])
    archive.db.execute(
        "UPDATE runs SET deleted_at = ? WHERE key = ?", (time.time() - 8 * 86_400, key)
    )


def test_after_a_week_a_deleted_run_is_emptied_but_not_forgotten(path: Path) -> None:
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())
        kept = archive.register(identity("kept"), job("kept"))
        fresh = archive.register(identity("fresh"), job("fresh"))
        for each in (key, kept, fresh):
            archive.append(each, whole_run())
            archive.save_sample(Sample(each, "probe", 0, 10, "reply"))
        deleted_long_ago(archive, key)
        archive.delete([fresh])
    with Archive.open(path) as archive:
        tables = {
            table: {row[0] for row in archive.db.execute(f"SELECT DISTINCT run FROM {table}")}
            for table in ("events", "points", "samples")
        }
        assert tables == {table: {kept, fresh} for table in tables}
        archive.undelete([key, fresh])
        assert set(names(archive)) == {"kept", "fresh"}
        archive.sync_jobs("local", "org", "project", [job()])
        assert set(names(archive)) == {"kept", "fresh"}
        assert archive.register(IDENTITY, job()) == key
        run = archive.run(key)
        assert run is not None
        assert (run.config["model"], run.max_steps, run.events) == ("arkor-tui/tiny", 100, 0)
        assert len(archive.append(key, whole_run()).added) == len(whole_run())


def test_emptying_a_long_run_takes_several_turns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arkor_tui.archive.runs._PURGE_SLICE", 10)
    with Archive.open(path) as archive:
        key = archive.register(IDENTITY, job())
        archive.append(key, [log(step, step, 1.0) for step in range(1, 26)])
        deleted_long_ago(archive, key)
        left = []
        for _ in range(4):
            archive.purge()
            left.append(archive.db.execute("SELECT count(*) FROM events").fetchone()[0])
        assert left == [15, 5, 0, 0]
        assert archive.db.execute("SELECT count(*) FROM points").fetchone()[0] == 0
