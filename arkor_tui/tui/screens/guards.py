"""What can be done about the guards of a run."""

from __future__ import annotations

from typing import Any

from textual.app import App

from arkor_tui.archive.records import RunRecord
from arkor_tui.errors import ArkorTuiError
from arkor_tui.tui.host import host_of
from arkor_tui.tui.widgets.dialogs import Choose


async def guards_dialog(app: App[Any], record: RunRecord) -> None:
    """Ask what to do: begin watching, end it, or try other settings; then do it."""
    host = host_of(app)
    supervision = host.session.supervision
    state = None if record.is_terminal else await supervision.host(record)
    options = [("what-if", "what if: try other guard settings on what was logged")]
    if state is not None and state.kind == "supervisor":
        options.append(("stop", f"end the watching of process {state.pid}; training goes on"))
    elif state is None and not record.is_terminal and host.session.can_talk:
        options.append(("start", "watch: start the callbacks of its trainer file again"))
    choice = await app.push_screen_wait(Choose("Guards", options))
    if choice == "what-if":
        from .whatif import WhatIfScreen

        app.push_screen(WhatIfScreen(host.session, record))
    elif choice == "stop":
        if await supervision.stop(record):
            app.notify("Nobody watches this run any more; it goes on training.", markup=False)
        else:
            app.notify("The process did not let go; see its log with p.", severity="error")
    elif choice == "start":
        try:
            started = await supervision.start(record)
        except ArkorTuiError as error:
            host.tell_problem(error)
        else:
            app.notify(f"Process {started.pid} watches the run.", markup=False)
