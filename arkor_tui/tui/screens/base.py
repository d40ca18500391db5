"""What the views have in common, and the screens over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from arkor_tui.session.session import Session
from arkor_tui.session.updates import Update
from arkor_tui.tui.host import Host, host_of
from arkor_tui.tui.view import Dialog, Result, View
from arkor_tui.tui.widgets.keybar import KeyBar
from arkor_tui.tui.widgets.status import StatusLine

if TYPE_CHECKING:
    from arkor_tui.session.monitor import RunMonitor


MIN_COLUMNS, MIN_ROWS = 50, 12
"""Below this a view has no use; a notice takes its place."""


class PageScreen(Dialog[Result]):
    """A whole screen over another: modal, so that the keys of the app do not reach it by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", "keys", key_display="?", id="app.help"),
        Binding("f1", "app.help", "keys", id="app.help-always"),
    ]


class BaseScreen(View[None]):
    """A view with the status line and the keys of the place at its foot."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 as Textual declares it
        (0, "-cramped"),
        (MIN_COLUMNS, "-narrow"),
        (100, "-wide"),
        (160, "-huge"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (MIN_ROWS, "-low"), (30, "-tall")]  # noqa: RUF012

    @property
    def host(self) -> Host:
        """The app, as far as a screen knows it."""
        return host_of(self)

    @property
    def session(self) -> Session:
        """Archive, backends and live runs."""
        return self.host.session

    def compose(self) -> ComposeResult:
        """The content, then the foot."""
        yield from self.content()
        with Vertical(id="foot"):
            yield StatusLine(self.host.view_titles, id="status")
            yield KeyBar()
        yield Static(
            Content(
                f"This terminal is too small: a view needs {MIN_COLUMNS} by {MIN_ROWS} "
                "characters. Make it larger; what runs goes on meanwhile. q quits."
            ),
            id="too-small",
            markup=False,
        )

    def content(self) -> ComposeResult:
        """What is special about this screen."""
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        """Show the newest state of things."""
        self.show_status()

    def show_status(self) -> None:
        """Write the status line anew."""
        if self.is_mounted:
            self.query_one(StatusLine).show(self.host.status_info())
            self.host.show_title()

    def backend_asked(self) -> None:
        """The backend has been asked for its runs; which project this is may be known only now."""
        self.show_status()

    def monitor_changed(self, monitor: RunMonitor, update: Update) -> None:
        """Some run has something new; called only while this screen is shown."""
        del monitor, update
        self.show_status()
