"""Frames of a training run, as bytes."""

from __future__ import annotations

import json
from typing import Any

PING = b"event: ping\ndata: {}\n\n"
END = b"event: end\ndata: {}\n\n"
BARE_END = b"event: end\n\n"


def frame(data: Any, id: str | None = None, event: str | None = None) -> bytes:
    """One frame; ``data`` is a text, or what JSON can hold (its ``type`` is the event's name)."""
    name = event or (data.get("type") if isinstance(data, dict) else None)
    text = data if isinstance(data, str) else json.dumps(data)
    lines = [f"id: {id}"] if id is not None else []
    lines += [f"event: {name}"] if name is not None else []
    lines += [f"data: {line}" for line in text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


def event(type: str, id: str | None = None, **fields: Any) -> bytes:
    common = {"type": type, "jobId": "job-1", "timestamp": "2026-08-07T10:00:01.000Z"}
    return frame({**common, **fields}, id)


def started(id: str | None = "1", **fields: Any) -> bytes:
    return event("training.started", id, **fields)


def went_on(step: int, id: str | None = None, **fields: Any) -> bytes:
    return event("training.resumed", id or f"r{step}", step=step, **fields)


def log(step: int, id: str | None = None, **fields: Any) -> bytes:
    return event("training.log", id or str(step + 1), step=step, **{"loss": 1.5, **fields})


def checkpoint(step: int, id: str | None = None, **fields: Any) -> bytes:
    return event("checkpoint.saved", id or f"c{step}", step=step, **fields)


def completed(id: str | None = "done", **fields: Any) -> bytes:
    return event("training.completed", id, **fields)


def failed(error: str = "out of memory", id: str | None = "done", **fields: Any) -> bytes:
    return event("training.failed", id, error=error, **fields)
