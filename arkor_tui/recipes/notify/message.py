"""What is told about a run, in one line of plain text and in fields."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from arkor_tui.api.jobs import Job
from arkor_tui.run.contexts import CompletedContext, FailedContext, LogContext
from arkor_tui.run.findings import Finding
from arkor_tui.text.sanitize import plain

Event = Literal["completed", "failed", "guard", "connection", "step", "sample", "test"]
OPTIONAL: frozenset[str] = frozenset({"step", "sample"})
"""Events that may be left out where a destination cannot keep up."""

_NAME, _REASON, _ERROR, _TALK = 120, 300, 500, 300


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell.

    ``text`` is one line, free of control characters but not escaped for any service. ``id`` is what
    tells this message of the run from others of the same event. ``mention`` asks for people's
    attention. ``status`` is the job's; ``loss`` and ``eval_loss`` are finite or None; ``at`` is the
    backend's ISO 8601 time.
    """

    event: Event
    id: str
    text: str
    run: str = ""
    job: str = ""
    status: str = ""
    mention: bool = False
    step: int | None = None
    loss: float | None = None
    eval_loss: float | None = None
    artifacts: int | None = None
    reason: str | None = None
    error: str | None = None
    at: str | None = None

    @property
    def is_optional(self) -> bool:
        """Whether it may be left out where there is no time for it."""
        return self.event in OPTIONAL


@dataclass(frozen=True, slots=True)
class Progress:
    """The last numbers that a run told."""

    step: int | None = None
    loss: float | None = None
    eval_loss: float | None = None

    def after(self, ctx: LogContext) -> Progress:
        """With a further log; a number that it does not hold stays."""
        loss, eval_loss = _finite(ctx.loss), _finite(ctx.eval_loss)
        return Progress(
            ctx.step,
            self.loss if loss is None else loss,
            self.eval_loss if eval_loss is None else eval_loss,
        )


def completed(ctx: CompletedContext, progress: Progress) -> Message:
    """A run has ended well."""
    count = len(ctx.artifacts)
    many = "artifact" if count == 1 else "artifacts"
    return Message(
        event="completed",
        id="end",
        text=f"{_name(ctx.job.name)} completed with {count} {many}{_job(ctx.job)}.",
        artifacts=count,
        at=ctx.timestamp,
        **_common(ctx.job, progress),
    )


def ended_badly(
    ctx: FailedContext, progress: Progress, reason: str | None, *, mention: bool
) -> Message:
    """A run has failed, or was cancelled for ``reason``: that is nobody's alarm."""
    name = _name(ctx.job.name)
    step = ctx.step if ctx.step is not None else progress.step
    common = _common(ctx.job, progress) | {"step": step, "at": ctx.timestamp}
    if ctx.job.status == "cancelled":
        why = plain(reason, limit=_REASON, newlines=False) if reason else None
        text = f"{name} was cancelled{_job(ctx.job)}{f': {why}' if why else '.'}"
        return Message(event="failed", id="end", text=text, reason=why, **common)
    error = plain(ctx.error, limit=_ERROR, newlines=False) or "no reason was given"
    where = f" at step {step}" if step is not None else ""
    text = f"{name} failed{where}{_job(ctx.job)}: {error}"
    return Message(event="failed", id="end", text=text, mention=mention, error=error, **common)


def guard(finding: Finding, job: Job | None, name: str, progress: Progress) -> Message | None:
    """A guard stops its run, or could not; None for what nobody needs to hear."""
    phase = finding.data.get("phase")
    if phase not in ("stopping", "failed"):
        return None
    # where stopping failed, "message" is what the backend said to it
    told = [str(finding.data[key]) for key in ("reason", "message") if finding.data.get(key)]
    reason = plain("; ".join(told), limit=_REASON, newlines=False)
    who = plain(finding.name, limit=_NAME, newlines=False)
    step = finding.step if finding.step is not None else progress.step
    where = f" at step {step}" if step is not None else ""
    does = "stops" if phase == "stopping" else "could not stop"
    return Message(
        event="guard",
        id=f"{finding.name}:{finding.data.get('guard')}:{phase}",
        text=f"{who} {does} {_name(name)}{where}{_job(job)}: {reason or 'no reason was given'}",
        reason=reason or None,
        **(_common(job, progress, name) | {"step": step}),
    )


def sample(finding: Finding, job: Job | None, name: str, progress: Progress) -> Message | None:
    """What a checkpoint answered to a golden prompt; None for the base model's answer."""
    data = finding.data
    target, number = data.get("target"), data.get("prompt")
    if target not in ("checkpoint", "final"):
        return None
    where = "final adapter" if target == "final" else f"step {finding.step}"
    asked = plain(data.get("text") or "", limit=_NAME, newlines=False)
    reply = plain(data.get("reply") or "", limit=_TALK, newlines=False)
    passed = data.get("passed")
    verdict = plain(data.get("verdict") or "", limit=_REASON, newlines=False)
    judged = "" if passed is None else " [passed]" if passed else f" [not passed: {verdict}]"
    return Message(
        event="sample",
        id=f"{finding.name}:{target}:{finding.step}:{number}",
        text=f"{_name(name)}, {where}: “{asked}” → “{reply}”{judged}",
        reason=verdict or None,
        **(_common(job, progress, name) | {"step": finding.step}),
    )


def progress_of(ctx: LogContext, progress: Progress) -> Message:
    """How far a run is."""
    total = ctx.job.config.extra.get("maxSteps")
    of = f" of {total}" if isinstance(total, int) and total >= ctx.step else ""
    numbers = [
        f"{what} {value:.4g}"
        for what, value in (("loss", progress.loss), ("eval loss", progress.eval_loss))
        if value is not None
    ]
    text = ", ".join([f"{_name(ctx.job.name)} is at step {ctx.step}{of}", *numbers])
    common = _common(ctx.job, progress)
    return Message(event="step", id=str(ctx.step), text=f"{text}.", at=ctx.timestamp, **common)


def connection_lost(
    job: Job | None, name: str, progress: Progress, *, minutes: float, why: str, mark: str
) -> Message:
    """Nothing was heard of a run for so many minutes."""
    many = "minute" if minutes == 1 else "minutes"
    reason = plain(why, limit=_REASON, newlines=False)
    return Message(
        event="connection",
        id=mark,
        text=f"No connection to {_name(name)} for {minutes:g} {many}{_job(job)}; training may go "
        f"on all the same{f': {reason}' if reason else '.'}",
        reason=reason or None,
        **_common(job, progress, name),
    )


def for_testing() -> Message:
    """What a test sends; each is a message of its own, or a server would drop the second."""
    text = "This is a test of arkor-tui: notifications about your runs arrive here."
    return Message(event="test", id=uuid.uuid4().hex, text=text)


def _common(job: Job | None, progress: Progress, name: str = "") -> dict[str, Any]:
    return {
        "run": _name(job.name if job else name),
        "job": plain(job.id, limit=_NAME, newlines=False) if job else "",
        "status": job.status if job else "",
        "step": progress.step,
        "loss": progress.loss,
        "eval_loss": progress.eval_loss,
    }


def _name(name: str) -> str:
    return plain(name, limit=_NAME, newlines=False)


def _job(job: Job | None) -> str:
    return f" (job {plain(job.id, limit=_NAME, newlines=False)})" if job else ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
