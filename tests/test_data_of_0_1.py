"""What version 0.1 has left goes on working: archive, backend, settings, trainer files."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from arkor_tui.archive.recording import import_run, read_recording
from arkor_tui.archive.records import RunQuery, RunRecord
from arkor_tui.archive.schema import MIGRATIONS
from arkor_tui.archive.store import Archive
from arkor_tui.backend.models import ModelRegistry, UnknownModelError, tiny_folder
from arkor_tui.backend.store import Store
from arkor_tui.cli.runs import as_json
from arkor_tui.config.credentials import OAuthCredentials, read_credentials
from arkor_tui.config.local_backend import read_local_backend
from arkor_tui.config.run_lock import read_host, take_run_lock
from arkor_tui.config.settings import read_settings
from arkor_tui.config.state import read_state
from arkor_tui.ended import Ended
from arkor_tui.run.draft import from_settings
from arkor_tui.run.draft_source import recall
from arkor_tui.run.loading import load_tools, load_trainer
from arkor_tui.session.recipe_host import load_recipes, lock_path_of, recipe_files
from arkor_tui.tui.app import ArkorApp
from arkor_tui.tui.keymap import action_ids, unknown_actions
from arkor_tui.tui.themes import load_themes
from tests.support.data_of_0_1 import DATA, expected, place


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which everything of 0.1 lies, with the environment to find it."""
    folder = tmp_path / "old"
    folder.mkdir()
    for name, value in place(folder).items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def told(old: Path) -> dict[str, Any]:
    """What 0.1 said of it."""
    return expected(old)


@pytest.fixture
def archive(old: Path) -> Iterator[Archive]:
    with Archive.open() as opened:
        assert opened.notice is None
        yield opened


def by_name(archive: Archive) -> dict[str, RunRecord]:
    return {run.name: run for run in archive.runs(RunQuery(), limit=100)}


# --- the archive ----------------------------------------------------------------------------------


def test_every_run_is_listed_as_it_was(archive: Archive, told: dict[str, Any]) -> None:
    shown = {run["jobId"]: run for run in map(as_json, archive.runs(limit=100))}
    assert len(shown) == len(told["listed"])
    for before in told["listed"]:
        now = shown[before["jobId"]]
        live = before["status"] in ("queued", "running")
        for name in before.keys() - ({"duration"} if live else set()):
            if (before["name"], name) != ("diverged", "lastLoss"):
                assert now[name] == before[name], (before["name"], name)
    diverged = next(run for run in shown.values() if run["name"] == "diverged")
    # 0.1 gave the last finite loss for it
    assert (diverged["lastLoss"], diverged["oddLoss"]) == (None, {"value": "NaN", "step": 5})


def test_runs_keep_losses_events_samples_findings_and_marks(
    archive: Archive, told: dict[str, Any]
) -> None:
    deleted = next(run for run in told["runs"] if run["deletedAt"])
    archive.undelete(archive.deleted(deleted["jobId"]))
    runs = by_name(archive)
    for before in told["runs"]:
        run = runs[before["name"]]
        series = archive.load_series(run.key)
        assert sorted(series) == before["series"]
        losses = series.get("loss")
        kept = list(zip(losses.steps, losses.values, strict=True)) if losses else []
        assert kept == [tuple(point) for point in before["losses"] if point[1] is not None]
        rows = archive.log(run.key, limit=1_000)
        assert len(rows) == before["events"] == run.events
        kinds = [row.kind for row in rows]
        assert {kind: kinds.count(kind) for kind in kinds} == before["kinds"]
        assert [c.step for c in archive.checkpoints(run.key)] == before["checkpointSteps"]
        samples = archive.samples(run.key)
        for probe, count in before["samples"].items():
            mine = [sample for sample in samples if sample.probe == probe]
            assert len(mine) == count["count"]
            assert [s.passed for s in mine].count(True) == count["passed"]
        found = [
            {"kind": f.kind, "name": f.name, "step": f.step, "data": f.data}
            for f in archive.findings(run.key)
        ]
        assert found == before["findings"]
        assert all(archive.is_marked(run.key, mark) for mark in before["marks"])
        assert (list(run.tags), run.note) == (before["tags"], before["note"])
        assert run.config == before["config"]


def test_transcripts_and_prompts_are_there(archive: Archive, told: dict[str, Any]) -> None:
    before = next(run for run in told["runs"] if run["name"] == "triage-run")
    said = archive.exchanges(by_name(archive)["triage-run"].key)[::-1]
    assert [(x.target, x.step, x.reply, x.settings, x.verdict) for x in said] == [
        (x["target"], x["step"], x["reply"], x["settings"], x["verdict"])
        for x in before["exchanges"]
    ]
    assert [
        {"name": p.name, "prompt": p.prompt, "system": p.system, "settings": p.settings}
        for p in archive.prompts()
    ] == told["prompts"]


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        (
            "guarded",
            Ended("guard", "the mean loss of the last 5, 3.253, is above 1.5", "smoothed", 5, 10),
        ),
        (
            "diverged",
            Ended("guard", "the backend says that the loss is not a number", "non-finite", 4),
        ),
        (
            "badly-answered",
            Ended("guard", "at checkpoint 5, prompt 1: a golden prompt fails", "sample", 5),
        ),
        ("by-hand", Ended("person", "cancelled by hand")),
        ("triage-run", Ended("backend", "Training completed.", step=40)),
        ("lost", None),
        ("waiting", None),
    ],
)
def test_why_a_run_ended_is_known_as_far_as_0_1_kept_it(
    archive: Archive, name: str, ended: Ended | None
) -> None:
    """r16: 0.1 kept a sentence, and what fired among the findings."""
    run = by_name(archive)[name]
    assert run.ended == ended
    assert run.reason == (ended.sentence if ended and ended.by != "backend" else None)


def test_a_failed_run_says_what_the_backend_said(archive: Archive) -> None:
    run = by_name(archive)["failing"]
    assert run.ended is not None
    assert run.ended.by == "backend"
    assert "line 7: not valid JSON" in run.ended.sentence


def test_the_deleted_run_comes_back(archive: Archive, told: dict[str, Any]) -> None:
    before = next(run for run in told["runs"] if run["deletedAt"])
    assert before["name"] not in by_name(archive)
    archive.undelete(archive.deleted(before["jobId"]))
    assert by_name(archive)[before["name"]].events == before["events"]


def test_what_callbacks_had_heard_counts_as_heard(archive: Archive) -> None:
    """Callbacks of a run that 0.1 watched do not hear its archived events once more."""
    for run in by_name(archive).values():
        assert archive.delivered(run.key, "this host") == (run.events if run.recipes else 0)


def test_opening_it_once_more_changes_nothing(old: Path) -> None:
    def dump() -> list[str]:
        with Archive.open() as archive:
            return list(archive.db.iterdump())

    before = sqlite3.connect(old / "data" / "history.db").execute("PRAGMA user_version").fetchone()
    assert before == (2,)
    first = dump()
    assert dump() == first
    after = sqlite3.connect(old / "data" / "history.db").execute("PRAGMA user_version").fetchone()
    assert after == (len(MIGRATIONS),)
    assert (old / "data" / "history.db.broken-1").is_file()


def test_recordings_are_read_and_imported(
    old: Path, told: dict[str, Any], archive: Archive
) -> None:
    for name, before in told["recordings"].items():
        recording = read_recording(old / "recordings" / name)
        run = recording.run
        assert (run.name, run.status, run.identity.job_id, len(list(recording.events))) == (
            before["name"], before["status"], before["jobId"], before["events"],
        )  # fmt: skip
        known = archive.run(import_run(archive, old / "recordings" / name))
        assert known is not None
        assert known.events == before["events"]


# --- the embedded backend -------------------------------------------------------------------------


async def test_the_backend_lists_its_jobs_with_events_and_checkpoints(
    old: Path, told: dict[str, Any]
) -> None:
    store = Store(old / "data" / "local" / "backend.db")
    await store.open()
    try:
        for before in told["backend"]["jobs"]:
            job = await store.job(before["id"])
            assert job is not None
            assert (job.org, job.project, job.name, job.status, job.error) == tuple(
                before[name] for name in ("org", "project", "name", "status", "error")
            )
            assert len(await store.events_after(job.id, 0, 100)) == before["events"]
            assert list(await store.checkpoints(job.id)) == before["checkpoints"]
            for weights in before["weights"]:
                assert (old / "data" / "local" / "jobs" / job.id / weights).is_file()
    finally:
        await store.close()


async def test_a_base_model_of_an_installation_that_is_gone_is_found_by_its_name(
    old: Path, told: dict[str, Any], tmp_path: Path
) -> None:
    store = Store(old / "data" / "local" / "backend.db")
    await store.open()
    try:
        for before in told["backend"]["jobs"]:
            spec = await store.spec(before["id"])
            assert spec.model_source == before["modelSource"]
            models = ModelRegistry({"unsloth/gemma-4-E4B-it": "arkor-tui/tiny"})
            assert models.source_of(spec) == str(tiny_folder())
            gone = replace(spec, model=spec.model_source)
            with pytest.raises(UnknownModelError, match="there is no model folder"):
                models.source_of(gone)
    finally:
        await store.close()


def test_a_backend_that_was_killed_is_not_taken_for_a_running_one(
    old: Path, told: dict[str, Any]
) -> None:
    assert (old / "data" / "local" / "token").read_text().strip() == told["backend"]["token"]
    assert read_local_backend() is None


# --- settings, theme, keys ------------------------------------------------------------------------


def test_settings_are_as_they_were(old: Path, told: dict[str, Any]) -> None:
    now = asdict(read_settings())
    for name, before in told["settings"].items():
        if isinstance(before, dict):
            assert {key: now[name][key] for key in before} == before, name
        else:
            assert now[name] == before, name


def test_the_theme_is_loaded_without_a_complaint(old: Path, told: dict[str, Any]) -> None:
    themes = load_themes()
    assert themes.problems == []
    now, before = asdict(themes.themes["mine"]), told["theme"]["mine"]
    now["variables"] = {key: now["variables"][key] for key in before["variables"]}
    assert now == before


def test_keys_of_0_1_still_mean_something(old: Path, told: dict[str, Any]) -> None:
    """Every action that a keys table of 0.1 may name exists, so no settings file becomes wrong."""
    known = action_ids(ArkorApp.bound_places())
    assert unknown_actions(read_settings().keys, known) == []
    assert sorted(told["actions"].keys() - known.keys()) == []


# --- trainer files --------------------------------------------------------------------------------


def trainer_files() -> list[str]:
    told = json.loads((DATA / "expected.json").read_text("utf-8"))
    return [file.removeprefix(told["root"] + "/") for file in told["trainers"]]


@pytest.mark.parametrize("file", trainer_files())
def test_a_trainer_file_asks_for_the_same_and_fills_the_form_as_before(
    old: Path, told: dict[str, Any], file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old / file
    before = told["trainers"][str(path)]
    monkeypatch.chdir(path.parent)
    trainer = load_trainer(path)
    assert trainer.settings is not None
    assert trainer.request().to_wire() == before["request"]
    assert [type(one).__name__ for one in trainer.callbacks] == before["callbacks"]
    form = from_settings(trainer.settings)
    # what a file leaves to the default is empty in the form, of which 0.1 wrote one out; and there
    # is more now that a form can show, such as shares of the steps
    unsaid = {"train_on_responses_only": "no"}
    filled = {name: text for name, text in before["form"].items() if text}
    assert {name: form[name] or unsaid.get(name) for name in filled} == filled
    assert recall(path.read_text("utf-8")) == before["recalled"]


def test_tools_are_found(old: Path, told: dict[str, Any]) -> None:
    assert [tool.name for tool in load_tools(old / "home/triage-demo/orders.py")] == told["tools"]


@pytest.mark.parametrize("file", sorted((DATA / "trainers").glob("*.py")), ids=lambda f: f.stem)
def test_trainer_files_load_wherever_they_lie(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    here = tmp_path / "elsewhere"
    shutil.copytree(old / "home" / "triage-demo", here)
    monkeypatch.chdir(here)
    shutil.copy(file, here / "mine.py")
    assert load_trainer(here / "mine.py").name


def test_names_that_0_1_made_public_are_there(old: Path, told: dict[str, Any]) -> None:
    import importlib

    for module, names in told["public"].items():
        found = importlib.import_module(module)
        assert [name for name in names if not hasattr(found, name)] == [], module


# --- who watches, who one is ----------------------------------------------------------------------


def test_recipes_that_were_set_up_without_a_file_are_loaded(
    old: Path, told: dict[str, Any], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = by_name(archive)
    for watched in told["watchers"].values():
        run = runs[watched["run"]]
        for name in watched["files"]:
            assert lock_path_of(run).with_suffix(Path(name).suffix).name == name
        files = recipe_files(run)
        monkeypatch.chdir(old / "home" / run.identity.project)
        assert len(load_recipes(files)) == run.recipes, run.name


def test_a_watcher_that_was_killed_watches_no_more(archive: Archive) -> None:
    path = lock_path_of(by_name(archive)["lost"])
    assert path.is_file()
    assert read_host(path) is None
    watch = take_run_lock(path)
    assert watch is not None
    watch.release()


def test_credentials_and_project_state_are_read(old: Path, told: dict[str, Any]) -> None:
    credentials = read_credentials()
    assert credentials is not None
    now = asdict(credentials)
    assert {name: now[name] for name in told["credentials"]} == told["credentials"]
    state = read_state(old / "home" / "cloud-demo")
    assert state is not None
    assert {name: asdict(state)[name] for name in told["state"]} == told["state"]


@pytest.mark.parametrize("name", ["oauth.json", "auth0.json"])
def test_credentials_of_an_account_are_read(old: Path, name: str) -> None:
    shutil.copy(DATA / "credentials" / name, old / "home" / ".arkor" / "credentials.json")
    assert isinstance(read_credentials(), OAuthCredentials)
