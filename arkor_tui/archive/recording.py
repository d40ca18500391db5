"""Recordings: one run as JSON lines, to be kept, sent in with a bug report, or played again.

The first line is the run, then come its events in their order, then samples and exchanges. Every
line is an object with a ``type`` and plain ASCII. A recording comes from anywhere: what is read is
checked, line by line, and a mistake is named with its line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from arkor_tui.api.jobs import TERMINAL_STATUSES, Job, JobStatus
from arkor_tui.api.wire import mistakes, read_json
from arkor_tui.config.atomic import reason_of
from arkor_tui.ended import Ended, EndedBy
from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.redact import redact_config
from arkor_tui.text.sanitize import plain

from .records import IMPORTED, Exchange, NewEvent, RunIdentity, RunRecord, Sample
from .store import Archive

RECORDING = "arkor-tui.run"
VERSION = 1
_LONGEST_LINE = 8 * 2**20  # characters
_BATCH = 500
_CUT_OFF = "recorded before the run had ended"

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_Step = Annotated[int, Field(ge=-(2**53), lt=2**53)]
_Name = Annotated[str, Field(max_length=1_000)]


class RecordingError(ArkorTuiError):
    """A file is no recording; ``line`` counts from 1."""

    def __init__(self, path: Path, message: str, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(
            f"{where}: {plain(message, limit=300, newlines=False)}",
            hint="A recording is what “arkor-tui runs export --format jsonl” writes.",
        )
        self.line = line


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Identity(_Line):
    backend: _Name
    org: _Name
    project: _Name
    job_id: Annotated[str, Field(min_length=1, max_length=1_000)]


class _Ended(_Line):
    by: EndedBy
    sentence: str
    guard: _Name | None = None
    step: _Step | None = None
    checkpoint: _Step | None = None

    def value(self) -> Ended:
        sentence, guard = plain(self.sentence), self.guard and plain(self.guard, newlines=False)
        return Ended(self.by, sentence, guard, self.step, self.checkpoint)


class _Run(_Line):
    identity: _Identity
    name: _Name
    model: _Name
    dataset: str = ""
    status: JobStatus
    error: str | None = None
    reason: str | None = None
    ended: _Ended | None = None
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    max_steps: _Count | None = None
    last_step: _Step | None = None
    last_loss: float | None = None
    best_loss: float | None = None
    last_eval_loss: float | None = None
    best_eval_loss: float | None = None
    events: _Count = 0
    checkpoints: _Count = 0
    config: dict[str, Any] = {}
    tags: list[_Name] = Field(default=[], max_length=100)
    note: str = ""


class _Header(_Line):
    type: Literal["arkor-tui.run"]
    version: int
    run: _Run


class _Event(_Line):
    type: Literal["event"]
    id: _Name | None = None
    kind: _Name
    step: _Step | None = None
    at: _Name | None = None
    data: str


class _Sample(_Line):
    type: Literal["sample"]
    probe: _Name
    prompt: _Count
    step: _Step | None = None
    reply: str
    passed: bool | None = None
    verdict: str = ""
    created_at: str = ""
    target: Literal["", "base", "checkpoint", "final"] = ""
    text: str = ""
    seconds: float | None = None


class _Exchange(_Line):
    type: Literal["exchange"]
    target: Literal["base", "final", "checkpoint"]
    step: _Step | None = None
    model: _Name
    messages: list[dict[str, Any]]
    reply: str
    settings: dict[str, Any] = {}
    finish_reason: str | None = None
    first_token_s: float | None = None
    total_s: float | None = None
    tokens: _Count | None = None
    verdict: str | None = None
    error: str | None = None
    group: str | None = None
    created_at: str = ""


_Content = _Event | _Sample | _Exchange
_CONTENT: TypeAdapter[_Content] = TypeAdapter(Annotated[_Content, Field(discriminator="type")])
_HEADER = TypeAdapter(_Header)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in a file, which is read as far as it is asked for.

    ``run`` has the key 0 and is as it was when it was recorded, its identity included.
    """

    path: Path
    run: RunRecord

    @property
    def events(self) -> Iterator[NewEvent]:
        """Every event in its order, from the beginning at each call.

        Raises:
            RecordingError: a line cannot be used, or the file cannot be read.
        """
        for line in _content(self.path):
            if isinstance(line, _Event):
                yield _new_event(line)


def write_recording(archive: Archive, run: RunRecord, out: TextIO) -> None:
    """Write a run with its events, samples and exchanges, a page at a time in memory."""
    identity = run.identity
    header = {
        "identity": {
            "backend": identity.backend,
            "org": identity.org,
            "project": identity.project,
            "job_id": identity.job_id,
        },
        **{name: getattr(run, name) for name in _Run.model_fields if name != "identity"},
        "ended": run.ended.as_dict() if run.ended is not None else None,
        "config": redact_config(run.config),
    }
    _write(out, {"type": RECORDING, "version": VERSION, "run": header})
    seq = 0
    while rows := archive.log(run.key, after=seq, limit=_BATCH):
        for row in rows:
            fields = {"id": row.id, "kind": row.kind, "step": row.step, "at": row.at}
            _write(out, {"type": "event", **fields, "data": row.data})
        seq = rows[-1].seq
    for sample in archive.samples(run.key):
        _write(out, {"type": "sample", **_fields(sample, _Sample)})
    for exchange in reversed(archive.exchanges(run.key, limit=1_000_000)):
        _write(out, {"type": "exchange", **_fields(exchange, _Exchange)})


def _fields(item: Sample | Exchange, model: type[_Line]) -> dict[str, Any]:
    return {name: getattr(item, name) for name in model.model_fields if name != "type"}


def _write(out: TextIO, line: dict[str, Any]) -> None:
    # ASCII only: no control character of a foreign text reaches a terminal that shows the file
    out.write(json.dumps(line, separators=(",", ":")) + "\n")


def read_recording(path: Path) -> Recording:
    """Read the header; the events are read when they are asked for.

    Raises:
        RecordingError: it is no recording, or one of a later version, or cannot be read.
    """
    for number, value in _lines(path):
        header = _checked(_HEADER, path, number, value)
        if header.version != VERSION:
            raise RecordingError(
                path, f"version {header.version}, but this arkor-tui reads {VERSION}", number
            )
        return Recording(path, _record(header.run))
    raise RecordingError(path, "the file is empty")


def import_run(archive: Archive, path: Path) -> int:
    """Take a recording into the archive; returns the run's key.

    The whole file is checked before anything is changed. Importing again adds only what is new.
    The run appears under the backend ``import``: it never mixes with a run of this machine, and a
    run that had not ended counts as cancelled, as nobody will ever hear of its end.

    Raises:
        RecordingError: the file is no recording; nothing was changed.
    """
    recording = read_recording(path)
    for _ in _content(path):
        pass
    run = recording.run
    identity = RunIdentity(IMPORTED, run.identity.org, run.identity.project, run.identity.job_id)
    ended = run.status in TERMINAL_STATUSES
    job = Job.model_validate(
        {
            "id": identity.job_id,
            "orgId": identity.org,
            "projectId": identity.project,
            "name": run.name,
            "status": run.status if ended else "cancelled",
            "config": {**run.config, "model": run.model},
            "error": run.error,
            "createdAt": run.created_at,
            "startedAt": run.started_at,
            "completedAt": run.completed_at,
        }
    )
    key = archive.register(identity, job, origin=IMPORTED)
    if not ended:
        archive.set_end(key, job.status, None, Ended("lost", _CUT_OFF))
    elif run.ended is not None:
        archive.set_end(key, job.status, None, run.ended)
    else:  # of 0.1, which kept a sentence only
        archive.set_status(key, job.status, reason=run.reason)
    known = archive.run(key)
    assert known is not None
    archive.set_tags(key, dict.fromkeys([*known.tags, *run.tags]))
    if run.note and not known.note:
        archive.set_note(key, run.note)
    _import_content(archive, key, path)
    return key


def _import_content(archive: Archive, key: int, path: Path) -> None:
    said = {_talk_key(exchange) for exchange in archive.exchanges(key, limit=1_000_000)}
    batch: list[NewEvent] = []
    for line in _content(path):
        if isinstance(line, _Event):
            batch.append(_new_event(line))
            if len(batch) >= _BATCH:
                archive.append(key, batch)
                batch = []
        elif isinstance(line, _Sample):
            archive.save_sample(Sample(key, **line.model_dump(exclude={"type"})))
        else:
            values = line.model_dump(exclude={"type"}) | {"messages": tuple(line.messages)}
            exchange = Exchange(run_key=key, **values)
            if _talk_key(exchange) not in said:
                archive.save_exchange(exchange)
    archive.append(key, batch)


def _talk_key(exchange: Exchange) -> tuple[str, int | None, str, str]:
    return exchange.target, exchange.step, exchange.created_at, exchange.reply


def _new_event(line: _Event) -> NewEvent:
    return NewEvent(line.id, line.kind, line.step, line.at, line.data)


def _content(path: Path) -> Iterator[_Content]:
    """Every line after the header that this version knows."""
    for number, value in _lines(path):
        if number == 1:
            continue
        if isinstance(value, dict) and value.get("type") not in ("event", "sample", "exchange"):
            if isinstance(value.get("type"), str):
                continue  # of a later version
            raise RecordingError(path, "no type", number)
        yield _checked(_CONTENT, path, number, value)


def _checked(adapter: TypeAdapter[T], path: Path, number: int, value: Any) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise RecordingError(path, mistakes(error), number) from error


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Each line's number and JSON value; blank lines are left out."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise RecordingError(path, f"longer than {_LONGEST_LINE:,} characters", number)
                if not line.strip():
                    continue
                try:
                    value = read_json(line)
                except ValueError as error:
                    raise RecordingError(path, f"not JSON: {error}", number) from error
                yield number, value
    except OSError as error:
        raise RecordingError(path, f"cannot be read: {reason_of(error)}") from error


def _record(run: _Run) -> RunRecord:
    values = {name: getattr(run, name) for name in _Run.model_fields}
    identity = RunIdentity(**run.identity.model_dump())
    values |= {"identity": identity, "tags": tuple(run.tags), "config": redact_config(run.config)}
    values["ended"] = run.ended.value() if run.ended is not None else None
    for name in ("name", "model", "dataset"):
        values[name] = plain(values[name], newlines=False)
    return RunRecord(
        key=0,
        last_event_id=None,
        trainer_file=None,
        origin=IMPORTED,
        sparkline=(),
        **values,
    )
