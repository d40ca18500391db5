"""The app: the views of the table over one session."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.reactive import Initialize, Reactive

from arkor_tui.archive.records import RunRecord
from arkor_tui.config.settings import Settings
from arkor_tui.session.session import Session
from arkor_tui.terminal import Capabilities
from arkor_tui.text.sanitize import plain

from .announcing import status_info
from .host import StatusInfo
from .keyorder import KeysInOrder
from .runsapp import RunsApp
from .screens.base import BaseScreen
from .textual_compat import is_leaving
from .themes import DEFAULT_THEME, DEFAULTS, load_themes
from .views import PLACES, Place, load_all, modes, number_keys, panes_of, views

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.dom import DOMNode
    from textual.theme import Theme

    from .host import Host


def _action_commands() -> type[Provider]:
    from .commands import ActionCommands

    return ActionCommands


class ArkorApp(KeysInOrder, RunsApp):
    """Shows a session; owns nothing of it."""

    CSS_PATH = "app.tcss"
    places: ClassVar[tuple[Place, ...]] = PLACES
    MODES = modes(PLACES)
    DEFAULT_MODE = "runs"
    TITLE = "arkor-tui"
    COMMANDS = {_action_commands}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *number_keys(PLACES),
        Binding("question_mark", "help", "keys", key_display="?", id="app.help"),
        Binding("f1", "help", "keys", id="app.help-always"),
        Binding("q", "ask_quit", "quit", id="app.quit"),
        Binding("ctrl+q,ctrl+c", "ask_quit", "quit", id="app.quit-always", show=False,
                priority=True),
        Binding("ctrl+p", "command_palette", "palette", id="app.palette", show=False),
        Binding("underscore", "last_view", "last view", id="view.last", show=False),
        Binding("ctrl+z", "suspend_process", "to the shell; fg comes back", id="app.suspend",
                show=False),
    ]  # fmt: skip

    def __init__(
        self,
        session: Session,
        *,
        theme: str | None = None,
        run: RunRecord | None = None,
        capabilities: Capabilities | None = None,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        # known before the styles are made: another theme afterwards would have them made again
        self._themes = load_themes()
        self._wanted_theme = theme or settings.app.theme or DEFAULT_THEME
        super().__init__(session, settings, capabilities)
        self._first_run = run
        self._view, self._last_view = "runs", "runs"

    def _first_theme(self) -> str:
        return self._wanted_theme if self._wanted_theme in self._themes.themes else DEFAULT_THEME

    theme: Reactive[str] = Reactive(Initialize(_first_theme))

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Textual's themes, ours and the user's, by name."""
        return {**super().available_themes, **self._themes.themes}

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, for themes that do not set them."""
        return DEFAULTS

    def on_mount(self) -> None:
        """Themes, keys, and what is to be shown first."""
        for problem in self._themes.problems:
            self.notify(plain(problem, limit=400), severity="warning", markup=False, timeout=10)
        if self._wanted_theme not in self._themes.themes:
            known = ", ".join(sorted(self._themes.themes))
            self.notify(
                f"There is no theme {plain(self._wanted_theme, limit=60)!r}. Known: {known}.",
                severity="warning",
                markup=False,
            )
        self._apply_keys()
        if self.session.notice:
            self.notify(self.session.notice, severity="warning", markup=False, timeout=20)
        self.start_up()

    @classmethod
    def bound_places(cls) -> list[type[DOMNode]]:
        """Import everything that has keys of ours: the app, and what the table names."""
        return [cls, *load_all(cls.places)]

    def _apply_keys(self) -> None:
        keys = self.settings.keys
        if not keys:
            return
        from .keymap import action_ids, clashes, unknown_actions  # few have keys of their own

        places = self.bound_places()
        wrong = unknown_actions(keys, action_ids(places)) + clashes(keys, places)
        for text in wrong:
            self.notify(plain(text, limit=300), severity="warning", markup=False, timeout=15)
        self.set_keymap(dict(keys))

    @work(group="start-up")
    async def start_up(self) -> None:
        """Open what was asked for; take up the runs that are live."""
        # while the first screen is read, everything that the others need is loaded
        await asyncio.to_thread(load_all, self.places)
        gc.freeze()  # modules live as long as the app: looking through them delays keys
        gc.enable()
        await self.session.settle()
        if self._first_run is not None:
            await self.open_run(self._first_run)
        await self.refresh_runs()

    # views

    def action_view(self, name: str) -> None:
        """Go to one of the views."""
        # a view that is made while all are closed would end that with an error
        if is_leaving(self):
            return
        if len(self.screen_stack) > 1 or name == self._view:
            return
        self._last_view, self._view = self._view, name
        if name == "console":
            self.announcer.withdraw_offers()
        self.switch_mode(name)

    def show_view(self, name: str) -> None:
        """Close what is over the views, and show one of them anew."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if self._view == name and isinstance(self.screen, BaseScreen):
            self.screen.on_screen_resume()
        self.action_view(name)

    def action_last_view(self) -> None:
        """The view before this one."""
        self.action_view(self._last_view)

    def go_back(self) -> None:
        """One view back; the list of runs is the last."""
        self.action_view(self._last_view if self._view != self._last_view else "runs")

    def action_command_palette(self) -> None:
        """Search what can be done here"""
        from .commands import Palette

        if not Palette.is_open(self):
            self.push_screen(Palette())

    def search_themes(self) -> None:
        """Choose another theme by its name."""
        from textual.theme import ThemeProvider

        from .commands import Palette

        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def action_help(self) -> None:
        """The keys that work here."""
        from .widgets.help import HelpScreen, sections

        if not isinstance(self.screen, HelpScreen):
            about = getattr(self.screen, "ABOUT", "")
            self.push_screen(
                HelpScreen(sections(self.screen, panes_of(self.screen, self.places)), about)
            )

    def status_info(self) -> StatusInfo:
        """Give what the status line says at this moment."""
        return status_info(self.session, self.current, self._view)

    def show_title(self) -> None:
        """Write what runs into the window's title."""
        self.announcer.show_title(self.session)

    @property
    def may_offer(self) -> bool:
        """Say whether it is of use to offer a talk to a new checkpoint."""
        return self._view != "console" and self.session.can_talk

    @property
    def view_titles(self) -> tuple[tuple[str, str, str], ...]:
        """Give name, key and title of each view, as the status line shows them."""
        return tuple((view.name, view.key, view.title) for view in views(self.places))

    @work(group="quit")
    async def action_ask_quit(self) -> None:
        """Quit; asks first while a run is live."""
        from .quitting import ask_quit

        await ask_quit(self)


async def run_app(
    make: Callable[[Session], Awaitable[ArkorApp]],
    folder: Path,
    backend: str | None,
    *,
    mouse: bool = True,
) -> int:
    """Open a session, run the app in it, and close everything in order; returns the exit code.

    Raises:
        ArkorTuiError: the archive cannot be used.
    """
    async with Session.open(folder, backend) as session:
        app = await make(session)
        await app.show(mouse=mouse)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


if TYPE_CHECKING:

    def _is_a_host(app: ArkorApp) -> Host:
        """Have the type checker compare the app with what screens expect of it."""
        return app
