"""Leaving the app while a run trains: what is asked, and what becomes of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import App

from arkor_tui.text.sanitize import plain

from .host import host_of
from .widgets.dialogs import Confirm, DialogChoice

if TYPE_CHECKING:
    from arkor_tui.session.monitor import RunMonitor


async def ask_quit(app: App[Any]) -> None:
    """Quit; asks first while a run is live."""
    live = host_of(app).session.monitors.live
    if not live:
        app.exit()
        return
    if isinstance(app.screen, Confirm):
        return
    names = ", ".join(
        plain(m.record.name, limit=40, newlines=False) for m in live if m.record is not None
    )
    many = len(live) > 1
    answer = await app.push_screen_wait(
        Confirm(
            f"{names} {'are' if many else 'is'} still training.",
            "Training goes on without this program, and everything is here again when you "
            "come back.",
            (
                DialogChoice("l", "leave", "Leave running"),
                DialogChoice("c", "cancel", "Cancel it" + (" all" if many else ""), True),
                DialogChoice("s", "stay", "Stay"),
            ),
        )
    )
    if answer == "leave":
        one = f"{names} {'train' if many else 'trains'} on. "
        app.exit(message=Text(f"{one}`arkor-tui` shows it again, `arkor-tui attach latest` "
                               "follows it in this terminal."))  # fmt: skip
    elif answer == "cancel":
        await _cancel_and_quit(app, live)


async def _cancel_and_quit(app: App[Any], live: list[RunMonitor]) -> None:
    app.notify("Cancelling; waiting for the backend to say so …", timeout=60)
    for monitor in live:
        outcome = await host_of(app).session.cancel(monitor, "cancelled on quitting")
        if outcome.phase == "failed":
            text = plain(f"{outcome.message}\n{outcome.hint}", limit=600)
            app.notify(text, severity="error", markup=False, timeout=20)
            return
    app.exit()
