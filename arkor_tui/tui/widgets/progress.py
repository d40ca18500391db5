"""The head of the Live screen: which run, how far, and how the stream is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.pace import seconds_per_step, time_left
from arkor_tui.archive.records import RunRecord
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.text import MARKS, duration, loss, percent

if TYPE_CHECKING:
    from arkor_tui.archive.series import Series
    from arkor_tui.session.monitor import RunMonitor

IDLE_SECONDS = 10.0
_LEAST_FIRST = ("elapsed", "eval", "eta", "loss")
"""Numbers that are left out one after the other where there is little room."""
_COLOURS = {
    "running": "$status-running",
    "queued": "$status-queued",
    "completed": "$status-completed",
    "failed": "$status-failed",
    "cancelled": "$status-cancelled",
}


def eta_seconds(record: RunRecord, times: Series | None = None) -> float | None:
    """Seconds to the end at the pace so far; None where that cannot be said.

    ``times`` are those of the logs; without them the pace is that of the whole run.
    """
    if record.is_terminal or not record.last_step:
        return None
    if times is not None and len(times) > 1:
        pace = seconds_per_step(times.steps, times.values)
    else:
        pace = record.duration / record.last_step if record.duration is not None else None
    return time_left(pace, record.last_step, record.max_steps)


def awaited(record: RunRecord | None) -> str:
    """What a chart without points waits for."""
    if record is None:
        return "no data yet"
    if record.is_terminal:
        return "no loss was logged"
    if record.status == "queued":
        return "queued: the backend begins as soon as it can, and loads the model first"
    every = record.config.get("loggingSteps")
    steps = every.get("steps") if isinstance(every, dict) else every
    first = f"step {steps}" if isinstance(steps, int) else "its first log"
    return f"training has begun: the first loss comes with {first}"


def stream_text(monitor: RunMonitor, now: float) -> tuple[str, str]:
    """The state of the stream and its mood; ``now`` is ``time.monotonic()``."""
    record = monitor.record
    if monitor.cancel_state.under_way:
        asked = monitor.cancel_state.phase == "waiting"
        return ("cancelling: waiting for the backend" if asked else "cancelling: asking", "warn")
    state = monitor.state
    if not monitor.following or state.phase == "ended":
        if record is not None and not record.is_terminal:
            return ("not connected (r reconnects)", "bad")
        return ("ended", "")
    if state.phase == "reconnecting":
        left = max(monitor.state_since + state.delay - now, 0)
        attempt = f" {state.attempt}" if state.attempt else ""
        return (f"reconnecting{attempt}, in {left:.0f} s", "warn")
    if state.phase == "connecting":
        return ("connecting", "warn")
    if state.waits:
        return (f"waiting for {now - monitor.state_since:.0f} s", "warn")
    last = monitor.last_event_at or monitor.state_since
    if now - last >= IDLE_SECONDS:
        return (f"idle for {now - last:.0f} s", "warn")
    return ("live", "good")


def bar(share: float, width: int) -> tuple[str, str]:
    """The done and the open part of a progress bar."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return "━" * full, "─" * (width - full)


def _joined(parts: dict[str, str]) -> str:
    return "  ".join(part for part in parts.values() if part)


class RunHeader(Vertical):
    """Two rows: name and status; progress and numbers. A row is drawn only when it differs."""

    DEFAULT_CSS = """
    RunHeader { height: 2; background: $panel; }
    RunHeader Static { height: 1; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = [Static(markup=False), Static(markup=False)]
        self._shown: list[Content | None] = [None, None]
        self._monitor: RunMonitor | None = None

    def compose(self) -> ComposeResult:
        """The two rows."""
        yield from self._rows

    def show_text(self, text: str) -> None:
        """Where there is no run."""
        self._monitor = None
        self._set(0, Content(text))
        self._set(1, Content(""))

    def on_resize(self) -> None:
        """Another width has room for other things."""
        if self._monitor is not None:
            self.show(self._monitor, time.monotonic())

    def show(self, monitor: RunMonitor, now: float) -> None:
        """How the run is at this moment."""
        self._monitor, record = monitor, monitor.record
        if record is None:
            return
        width = max(self.size.width - 2, 40)
        name = plain(record.name, limit=80, newlines=False)
        status = Content.styled(
            f"{MARKS.get(record.status, '?')} {plain(record.status, limit=20, newlines=False)}",
            _COLOURS.get(record.status, ""),
        )
        facts = [plain(t, limit=60, newlines=False) for t in (record.model, record.dataset) if t]
        if record.why_stopped:
            facts.insert(0, plain(record.why_stopped, limit=200, newlines=False))
        if record.config.get("dryRun") is True:
            facts.insert(0, "dry run")
        text = Content.styled(" · ".join(facts), "$muted")
        # a long name gives way to the status and to what follows, but for its beginning
        room = width - status.cell_length - 4
        shown = Content.styled(name, "bold")
        shown = shown.truncate(max(room - text.cell_length, room // 3), ellipsis=True)
        first = Content.assemble(shown, "  ", status, "  ")
        rest = text.truncate(max(width - first.cell_length, 0), ellipsis=True)
        self._set(0, first + rest)
        self._set(1, self._numbers(record, monitor, now, width))

    def _numbers(self, record: RunRecord, monitor: RunMonitor, now: float, width: int) -> Content:
        step, most = record.last_step or 0, record.max_steps
        stream, mood = stream_text(monitor, now)
        parts = {
            "step": f"step {step}/{most} {percent(step, most)}%" if most else f"step {step}",
            "loss": f"loss {loss(record.last_loss, record.odd_loss, where=True)}",
            "eval": "",
            "elapsed": duration(record.duration),
            "eta": "",
        }
        if record.last_eval_loss is not None or record.odd_eval_loss is not None:
            parts["eval"] = f"eval {loss(record.last_eval_loss, record.odd_eval_loss, where=True)}"
        eta = eta_seconds(record, monitor.series.get("time"))
        if eta is not None:
            parts["eta"] = f"eta {duration(eta)}"
        text = _joined(parts)
        for less in _LEAST_FIRST:  # how the stream is must be seen whatever else is not
            if len(text) + 2 + len(stream) <= width:
                break
            parts[less] = ""
            text = _joined(parts)
        room = width - len(text) - len(stream) - 6
        done, rest = bar(step / most, min(room, 40)) if most and room >= 8 else ("", "")
        colour = {"good": "$success", "warn": "$warning", "bad": "$error"}.get(mood, "$muted")
        return Content.assemble(
            (done, "$accent"),
            (rest, "$muted"),
            "  " if done or rest else "",
            text,
            "  ",
            (stream, colour),
        )

    def _set(self, row: int, content: Content) -> None:
        shown = self._shown[row]
        if shown is None or not content.is_same(shown):
            self._shown[row] = content
            self._rows[row].update(content)
