"""What is said of runs outside their own view: status line, title, offers, ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from arkor_tui.archive.records import RunRecord
from arkor_tui.terminal import osc9, title
from arkor_tui.text.sanitize import plain

from .host import StatusInfo
from .text import MARKS, duration, loss, percent

if TYPE_CHECKING:
    from arkor_tui.archive.series import Series
    from arkor_tui.session.monitor import RunMonitor
    from arkor_tui.session.session import Session

    from .terminalapp import TerminalApp

_OFFER = "is ready: press i to talk to it."
_OFFER_SECONDS = 6.0


class Announcer:
    """Tells what happens to runs, by toasts and by the window's title."""

    def __init__(self, app: TerminalApp) -> None:
        self._app = app
        self._titled = ""
        self._offered: dict[int, tuple[int, float]] = {}  # by run: checkpoint and moment

    def offer_checkpoint(self, record: RunRecord, step: int, *, quietly: bool) -> None:
        """Offer to talk to a checkpoint of a run that trains; quietly it only counts as offered."""
        if record.is_terminal:
            return
        offered, when = self._offered.get(record.key, (-1, 0.0))
        # where checkpoints come fast, one offer at a time: they must not cover the screen
        if step <= offered or (offered >= 0 and time.monotonic() - when < _OFFER_SECONDS):
            return
        self._offered[record.key] = (step, time.monotonic())
        if not quietly:
            self._app.notify(
                f"Checkpoint {step} {_OFFER}",
                title=plain(record.name, limit=60, newlines=False),
                timeout=_OFFER_SECONDS,
            )

    def withdraw_offers(self) -> None:
        """Take the offers back: nobody needs them any more."""
        self._app.withdraw(_OFFER)

    def tell_end(self, record: RunRecord) -> None:
        """Tell that a run has ended, and how."""
        app = self._app
        text = f"{plain(record.name, limit=60, newlines=False)}: {record.status}"
        if record.last_loss is not None or record.odd_loss is not None:
            text += f", loss {loss(record.last_loss, record.odd_loss, where=True)}"
        if record.why_stopped:
            text += f". {plain(record.why_stopped, limit=300, newlines=False)}"
        bad = record.status == "failed"
        severity: Literal["error", "information"] = "error" if bad else "information"
        app.notify(text, severity=severity, timeout=8)
        if app.settings.app.bell:
            app.bell()
        if app.settings.app.osc9:
            app.write_out(osc9(text, tmux=app.capabilities.tmux))

    def show_title(self, session: Session) -> None:
        """Write what runs into the window's title."""
        live = session.monitors.live
        record = live[0].record if live else None
        text = "arkor-tui"
        if record is not None:
            name = plain(record.name, limit=40, newlines=False)
            share = percent(record.last_step or 0, record.max_steps or 0)
            text += f" · {name}" + (f" {share}%" if record.max_steps else "")
        if self._app.settings.app.title and text != self._titled:
            self._titled = text
            self._app.write_out(title(text))


def status_info(session: Session, current: RunMonitor | None, view: str) -> StatusInfo:
    """Say what the status line shows in a view; ``current`` is the run that Live shows."""
    connection = session.connection
    live = session.monitors.live
    monitor = current if current in live else (live[0] if live else None)
    stream, mood, name, running = "", "", "", ""
    if monitor is not None and monitor.record is not None:
        from .widgets.progress import stream_text  # the first screen comes without it

        if view != "live" or monitor is not current:  # Live says it itself
            stream, mood = stream_text(monitor, time.monotonic())
            name = MARKS.get(monitor.record.status, "")
            name += f" {plain(monitor.record.name, limit=200, newlines=False)}"
            running = _running_text(monitor.record, monitor.series.get("time"))
    elif session.problem is not None:
        local = session.backend_name == "local"
        stream = "not running yet" if local else "not reachable"
        mood = "" if local else "warn"
    return StatusInfo(
        view=view,
        backend=session.backend_name,
        scope=connection.scope.project_slug if connection else "",
        identity=connection.identity if connection else "",
        stream=stream,
        mood=mood,
        name=name,
        running=running,
        more=max(len(live) - 1, 0),
    )


def _running_text(record: RunRecord, times: Series | None) -> str:
    from .widgets.progress import eta_seconds  # the first screen comes without it

    steps = f"{record.last_step or 0}" + (f"/{record.max_steps}" if record.max_steps else "")
    text = f"{steps} loss {loss(record.last_loss, record.odd_loss)}"
    eta = eta_seconds(record, times)
    return text + (f" eta {duration(eta)}" if eta is not None else "")
