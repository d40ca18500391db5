"""Leaving the app while a run trains: what is asked, and what becomes of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.app import App

from arkor_tui.text.sanitize import plain

from .host import host_of
from .widgets.dialogs import Confirm, DialogChoice

if TYPE_CHECKING:
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.session.monitor import RunMonitor
    from arkor_tui.session.session import Session


async def ask_quit(app: App[Any]) -> None:
    """Quit; asks first while a run is live, or is being submitted."""
    session = host_of(app).session
    if session.submitting:
        await _ask_while_submitting(app)
        return
    live = session.monitors.live
    if not live:
        app.exit()
        return
    if isinstance(app.screen, Confirm):
        return
    runs = [monitor.record for monitor in live if monitor.record is not None]
    names = ", ".join(_named(run, session) for run in runs)
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
        follows = "; ".join(f"`arkor-tui attach {run.identity.job_id}`" for run in runs)
        app.exit(
            message=Text(
                f"{names} {'train' if many else 'trains'} on. `arkor-tui` shows "
                f"{'them' if many else 'it'} again; in this terminal you can follow with {follows}."
            )
        )
    elif answer == "cancel":
        await _cancel_and_quit(app, live)


async def _ask_while_submitting(app: App[Any]) -> None:
    if isinstance(app.screen, Confirm):
        return
    answer = await app.push_screen_wait(
        Confirm(
            "A run is being submitted.",
            "The backend may have it already. If you quit now, nobody follows it, and its guards "
            "and notifications do not work.",
            (
                DialogChoice("s", "stay", "Stay"),
                DialogChoice("l", "leave", "Quit all the same", True),
            ),
        )
    )
    if answer == "leave":
        app.exit(message=Text("A run was being submitted, and may train. `arkor-tui` shows it."))


def _named(run: RunRecord, session: Session) -> str:
    """Name a run, with its project where that is not the one of the folder."""
    name = plain(run.name, limit=40, newlines=False)
    scope = session.connection.scope if session.connection is not None else None
    identity = run.identity
    if scope is None or (scope.org_slug, scope.project_slug) == (identity.org, identity.project):
        return name
    return f"{name} (of {plain(identity.project, limit=40, newlines=False)})"


async def _cancel_and_quit(app: App[Any], live: list[RunMonitor]) -> None:
    app.notify("Cancelling; waiting for the backend to say so …", timeout=60)
    for monitor in live:
        outcome = await host_of(app).session.cancel(monitor, "cancelled on quitting")
        if outcome.phase == "failed":
            text = plain(f"{outcome.message}\n{outcome.hint}", limit=600)
            app.notify(text, severity="error", markup=False, timeout=20)
            return
    app.exit()
