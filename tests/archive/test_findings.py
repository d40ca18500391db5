"""What recipes found: samples in order, findings by kind, marks once, and an older file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from arkor_tui.archive.records import RunIdentity, Sample
from arkor_tui.archive.schema import MIGRATIONS
from arkor_tui.archive.store import Archive
from tests.support.archive_material import job


def test_the_final_adapter_comes_after_a_checkpoint_of_the_same_step(
    archive: Archive, key: int
) -> None:
    archive.save_sample(Sample(key, "p", 0, 20, "end", target="final"))
    archive.save_sample(Sample(key, "p", 0, 20, "step", text="a prompt", seconds=0.5))
    archive.save_sample(Sample(key, "p", 0, None, "base"))
    found = archive.samples(key)
    assert [(s.target, s.reply) for s in found] == [
        ("base", "base"),
        ("checkpoint", "step"),
        ("final", "end"),
    ]
    assert (found[1].text, found[1].seconds) == ("a prompt", 0.5)


def test_findings_come_in_order_and_by_kind(archive: Archive, key: int) -> None:
    archive.save_finding(key, "guard", "EarlyStopping", 7, {"reason": "too high"})
    archive.save_finding(key, "notice", "Slack", None, {"ok": True})
    assert [(f.kind, f.step, f.data) for f in archive.findings(key)] == [
        ("guard", 7, {"reason": "too high"}),
        ("notice", None, {"ok": True}),
    ]
    assert [f.name for f in archive.findings(key, "notice")] == ["Slack"]


def test_a_mark_is_set_once_for_each_run(archive: Archive, key: int) -> None:
    assert not archive.is_marked(key, "said")
    assert archive.set_mark(key, "said")
    assert not archive.set_mark(key, "said")
    assert archive.is_marked(key, "said")
    other = archive.register(RunIdentity("local", "org", "project", "other"), job("other"))
    assert archive.set_mark(other, "said")


def test_everything_goes_with_its_run(archive: Archive, key: int) -> None:
    archive.save_finding(key, "guard", "EarlyStopping", 7, {})
    archive.set_mark(key, "said")
    archive.db.execute("DELETE FROM runs WHERE key = ?", (key,))
    for table in ("findings", "marks"):
        assert archive.db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    db = sqlite3.connect(path)
    db.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    db.execute(
        "INSERT INTO runs (key, backend, org, project, job_id, name, model, dataset, status,"
        " created_at, config, origin) VALUES (1, 'local', 'o', 'p', 'j', 'n', 'm', 'd',"
        " 'completed', '2026-01-01T00:00:00Z', '{}', 'app')"
    )
    db.execute("INSERT INTO samples VALUES (1, 'p', 0, NULL, 'base', NULL, '', 't')")
    db.execute("INSERT INTO samples VALUES (1, 'p', 0, 5, 'five', 1, 'ok', 't')")
    db.commit()
    db.close()
    with Archive.open(path) as archive:
        run = archive.run(1)
        assert run is not None
        assert run.recipes == 0
        assert [(s.target, s.reply, s.passed) for s in archive.samples(1)] == [
            ("base", "base", None),
            ("checkpoint", "five", True),
        ]
