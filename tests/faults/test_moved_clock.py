"""Clocks that are set back and forth: what is shown stays sane, and order is that of arrival."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import NewEvent, RunIdentity, RunRecord
from arkor_tui.archive.store import Archive
from arkor_tui.tui.widgets.progress import eta_seconds
from tests.support.recorded_runs import CONFIG, app_on, press, screen_text
from tests.tui.conftest import no_backend  # noqa: F401 - opening a live run would start one

_JUMPS = {
    "back in mid-run": [0, 5, 10, -3600, -3595, -3590],
    "forth and back": [0, 86_400 * 365 * 20, 1, 86_400 * 365 * 30, 2, 3],
    "standing still": [0, 0, 0, 0, 0, 0],
    "before the start": [-10, -9, -8, -7, -6, -5],
}
_NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


def at(seconds: float) -> str:
    return (_NOW + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def live_run(archive: Archive, seconds: list[int], started: str) -> int:
    """A run of a hundred steps that is under way; its events come in their order."""
    job = {
        "id": "job_moved", "orgId": "o", "projectId": "p", "name": "moved", "status": "running",
        "config": CONFIG, "createdAt": started, "startedAt": started,
    }  # fmt: skip
    identity = RunIdentity("local", "local", "demo-project", "job_moved")
    key = archive.register(identity, Job.model_validate(job))
    events = []
    for number, moment in enumerate(seconds, 1):
        data = {"type": "training.log", "jobId": "job_moved", "timestamp": at(moment),
                "step": number, "loss": 1.0 / number}  # fmt: skip
        events.append(NewEvent(str(number), "training.log", number, at(moment), json.dumps(data)))
    archive.append(key, events)
    return key


@pytest.mark.parametrize("jump", _JUMPS)
@pytest.mark.parametrize("start", ["then", "in the future"])
async def test_a_live_run(tmp_path: Path, jump: str, start: str) -> None:
    path = tmp_path / "history.db"
    started = at(0) if start == "then" else (datetime.now(UTC) + timedelta(days=3)).isoformat()
    with Archive.open(path) as archive:
        key = live_run(archive, _JUMPS[jump], started)
        record = archive.run(key)
        assert record is not None
        rows = archive.log(key)
        assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row.step for row in rows] == [1, 2, 3, 4, 5, 6]
        assert record.last_step == 6
        assert list(archive.load_series(key)["loss"].steps) == [1, 2, 3, 4, 5, 6]
    check_numbers(record, start)
    async with app_on(path) as (app, pilot):
        shown = screen_text(app)
        for name in ("enter", "shift+tab", "x", "x", "x"):  # every axis: step, epoch, time
            await press(app, pilot, name)
            shown += screen_text(app)
        assert app.failure is None
    assert not re.search(r"-\d+:\d\d|-\d+ d|eta -|eta 0:00|nan", shown)


def check_numbers(record: RunRecord, start: str) -> None:
    left = eta_seconds(record)
    if start == "in the future":  # nothing can be said
        assert (record.duration, left) == (None, None)
    else:
        assert record.duration is not None
        assert left is not None
        assert min(record.duration, left) > 0
