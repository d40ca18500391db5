"""What the archive holds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from arkor_tui.api.statuses import TERMINAL_STATUSES
from arkor_tui.ended import Ended
from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .foreign import object_of

Sort = Literal["created", "name", "status", "loss", "eval_loss", "duration", "steps"]
LIVE_STATUSES = frozenset({"queued", "running"})
IMPORTED = "import"
"""The backend of an imported run: there is none that could be asked about it."""
CANCELLED = "Job cancelled"
"""How the protocol tells that a job was cancelled (docs/protocol.md, section 5)."""


def now() -> str:
    """This moment as the wire writes times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix_time(text: str | None) -> float | None:
    """Seconds since 1970 of an ISO-8601 time, None where it is none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def utc_time(text: str | None) -> str | None:
    """An ISO-8601 time as the wire writes it, so that times sort as texts; None if it is none."""
    moment = unix_time(text)
    if moment is None:
        return None
    try:
        found = datetime.fromtimestamp(moment, UTC)
    except (OverflowError, OSError, ValueError):
        return None
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Where a job lives. ``backend`` is ``local``, ``cloud`` or a URL."""

    backend: str
    org: str
    project: str
    job_id: str

    @property
    def where(self) -> str:
        """Tell where it lives: ``local/local/demo``."""
        if self.backend == IMPORTED:
            return "imported recording"
        return f"{self.backend}/{self.org}/{self.project}"


@dataclass(frozen=True, slots=True)
class OddLoss:
    """A loss that is no finite number: ``value`` is a word for it, logged at ``step``."""

    value: str
    step: int

    def __str__(self) -> str:
        """Tell it: ``NaN at step 12``."""
        return f"{self.value} at step {self.step}"

    @classmethod
    def of(cls, name: object, step: int) -> OddLoss:
        """Make one of what the backend calls it; of anything else where it gives no name."""
        word = plain(name, limit=20, newlines=False) if isinstance(name, str) and name else "—"
        return cls({"nan": "NaN", "inf": "∞", "-inf": "-∞"}.get(word.casefold(), word), step)

    @classmethod
    def read(cls, text: str | None) -> OddLoss | None:
        """Read what the archive keeps; None for none."""
        found = object_of(text or "")
        return cls.of(found.get("value"), found["step"]) if "step" in found else None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as archived. Losses are nats per token; times are ISO-8601.

    ``key`` identifies it in this archive, ``reason`` says why it was stopped, ``sparkline`` holds
    at most 48 losses evenly over the run, ``config`` is what was sent, without secrets.
    """

    key: int
    identity: RunIdentity
    name: str
    model: str
    dataset: str
    status: str
    error: str | None
    reason: str | None
    created_at: str
    started_at: str | None
    completed_at: str | None
    max_steps: int | None
    last_step: int | None
    last_loss: float | None
    best_loss: float | None
    last_eval_loss: float | None
    best_eval_loss: float | None
    events: int
    checkpoints: int
    last_event_id: str | None
    config: dict[str, Any]
    trainer_file: str | None
    origin: str
    tags: tuple[str, ...]
    note: str
    sparkline: tuple[float, ...]
    recipes: int = 0
    """How many callbacks watch over it, wherever their process is."""
    ended: Ended | None = None
    """Why it ended; None while it has not, or where nobody knows."""
    odd_loss: OddLoss | None = None
    """The last loss where that is no finite number; ``last_loss`` is None then."""
    odd_eval_loss: OddLoss | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.status in TERMINAL_STATUSES

    @property
    def why_stopped(self) -> str:
        """Who stopped it and why, in a sentence; empty where nobody did, or nobody knows."""
        if self.ended is None:
            return self.reason or ""
        return str(self.ended) if self.ended.stopped else ""

    @property
    def is_imported(self) -> bool:
        """Whether it is a recording that was taken in."""
        return self.identity.backend == IMPORTED

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; to this moment while it runs.

        None if either is unknown, or where the clock was set back so that they contradict.
        """
        started = unix_time(self.started_at)
        if started is None:
            return None
        ended = unix_time(self.completed_at)
        if ended is None:
            if self.is_terminal:
                return None
            ended = datetime.now(UTC).timestamp()
        return ended - started if ended > started else None


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs, and in which order. Empty means all; every word of ``text`` must occur."""

    text: str = ""
    statuses: frozenset[str] = frozenset()
    backend: str | None = None
    org: str | None = None
    project: str | None = None
    tag: str | None = None
    sort: Sort = "created"
    descending: bool = True
    live_first: bool = True


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it came: ``data`` is its JSON text."""

    id: str | None
    kind: str
    step: int | None
    at: str | None
    data: str


@dataclass(frozen=True, slots=True)
class LogRow:
    """An archived event; ``seq`` counts from 1 within its run, without holes."""

    seq: int
    id: str | None
    kind: str
    step: int | None
    at: str | None
    data: str

    @property
    def fields(self) -> dict[str, Any]:
        """Parse the event's JSON; empty where it is no object."""
        return object_of(self.data)


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What was new, and how many events were known already."""

    added: tuple[LogRow, ...]
    repeats: int
    seqs: tuple[int, ...] = ()
    """Where each event that was given is now, in its order; none of a run that was purged."""


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A checkpoint, with the last losses known when it was saved."""

    step: int
    seq: int
    at: str | None
    loss: float | None
    eval_loss: float | None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One prompt and its reply. ``step`` belongs to target ``checkpoint``; times are seconds.

    ``group`` ties together what was asked of several targets at once.
    """

    run_key: int | None
    target: str
    step: int | None
    model: str
    messages: tuple[dict[str, Any], ...]
    reply: str
    settings: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    first_token_s: float | None = None
    total_s: float | None = None
    tokens: int | None = None
    verdict: str | None = None
    error: str | None = None
    group: str | None = None
    created_at: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """An entry of the prompt library."""

    name: str
    prompt: str
    system: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What a golden prompt was answered at a checkpoint, by the base model, or at the end.

    ``prompt`` is its index in its ``probe`` and ``text`` the prompt itself; ``target`` is ``base``
    (``step`` None), ``checkpoint`` or ``final``, where it is empty the step tells which;
    ``seconds`` is how long the reply took.
    """

    run_key: int
    probe: str
    prompt: int
    step: int | None
    reply: str
    passed: bool | None = None
    verdict: str = ""
    created_at: str = ""
    target: str = ""
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something that a recipe found; see :class:`~arkor_tui.run.findings.Finding`."""

    run_key: int
    kind: str
    name: str
    step: int | None
    data: dict[str, Any]
    created_at: str
    id: int


def recording_error(record: RunRecord) -> UsageError:
    """What to say where a backend would have to be asked about an imported recording."""
    job_id = record.identity.job_id
    return UsageError(
        f"{record.name} ({job_id}) is an imported recording, and no backend can be asked about it.",
        hint=f"`arkor-tui runs show {IMPORTED}:{job_id}` shows what it holds, "
        f"`arkor-tui replay {IMPORTED}:{job_id}` plays it.",
    )
