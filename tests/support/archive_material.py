"""Jobs and events as a backend sends them."""

from __future__ import annotations

import json
from typing import Any

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import NewEvent, RunIdentity

IDENTITY = RunIdentity("local", "org", "project", "job-1")


def job(job_id: str = "job-1", status: str = "queued", **fields: Any) -> Job:
    """A job; ``config`` is added to the usual configuration."""
    config = {
        "model": "arkor-tui/tiny",
        "datasetSource": {"type": "huggingface", "name": "arkorlab/triage-demo"},
        "maxSteps": 100,
        **fields.pop("config", {}),
    }
    return Job.model_validate(
        {
            "id": job_id,
            "orgId": "o-1",
            "projectId": "p-1",
            "name": "triage-run",
            "status": status,
            "config": config,
            "createdAt": "2026-08-07T10:00:00.000Z",
            **fields,
        }
    )


def at(second: int) -> str:
    """A time some seconds after the job was made."""
    return f"2026-08-07T10:{second // 60:02d}:{second % 60:02d}.000Z"


def event(
    number: int | str | None,
    kind: str,
    *,
    step: int | None = None,
    time: str | None = None,
    **fields: Any,
) -> NewEvent:
    """An event whose data agrees with its fields."""
    body: dict[str, Any] = {"type": kind, "jobId": "job-1", "timestamp": time}
    if step is not None:
        body["step"] = step
    data = json.dumps({**body, **fields})
    return NewEvent(None if number is None else str(number), kind, step, time, data)


def log(number: int | str | None, step: int, loss: float | None = None, **fields: Any) -> NewEvent:
    """A log event."""
    values = fields if loss is None else {"loss": loss, **fields}
    return event(number, "training.log", step=step, time=at(step % 3600), **values)


def whole_run(steps: int = 30) -> list[NewEvent]:
    """A run from start to completion: a log per step, an evaluation and checkpoint each tenth."""
    events = [event(1, "training.started", time=at(0), metadata={"rows": 50})]
    for step in range(1, steps + 1):
        events.append(log(len(events) + 1, step, round(3 / step, 4), learningRate=2e-4))
        if step % 10 == 0:
            events.append(log(len(events) + 1, step, evalLoss=round(3.5 / step, 4)))
            events.append(
                event(len(events) + 1, "checkpoint.saved", step=step, time=at(step), artifacts=[1])
            )
    ending = event(len(events) + 1, "training.completed", time=at(steps + 1), artifacts=[])
    return [*events, ending]
