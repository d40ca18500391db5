"""The app: the views of the table over one session."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import work
from textual.binding import Binding, BindingType
from textual.reactive import Initialize, Reactive

from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.target import LATEST, Target
from arkor_tui.config.settings import Settings
from arkor_tui.errors import ArkorTuiError
from arkor_tui.session.session import Session
from arkor_tui.session.updates import Update
from arkor_tui.terminal import Capabilities, osc9, title
from arkor_tui.text.sanitize import plain

from .host import StatusInfo
from .keyorder import KeysInOrder
from .screens.base import BaseScreen
from .terminalapp import TerminalApp
from .text import MARKS, duration, number, percent
from .textual_compat import inside, is_leaving, is_processing
from .themes import DEFAULT_THEME, DEFAULTS, load_themes
from .views import PLACES, Place, load_all, modes, number_keys, panes_of, views

if TYPE_CHECKING:
    from textual.command import Provider
    from textual.dom import DOMNode
    from textual.theme import Theme

    from arkor_tui.run.trainer import Trainer
    from arkor_tui.session.monitor import RunMonitor

    from .host import Host


_OFFER = "is ready: press i to talk to it."
_OFFER_SECONDS = 6.0


def _action_commands() -> type[Provider]:
    from .commands import ActionCommands

    return ActionCommands


class ArkorApp(KeysInOrder, TerminalApp):
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
        super().__init__(settings, capabilities)
        self.session = session
        self.current: RunMonitor | None = None
        """The run that Live shows and Console talks to."""
        self.to_ask: tuple[RunRecord, Target] | None = None
        """What Console is asked to talk to next."""
        self._setup_from: RunRecord | None = None
        self._first_run = run
        self._view, self._last_view = "runs", "runs"
        self._titled = ""
        self._offered: dict[int, tuple[int, float]] = {}  # by run: checkpoint and moment
        session.monitors.on_update = self._updated
        session.on_report = self.report

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
            self.withdraw(_OFFER)
        self.switch_mode(name)

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

    # runs

    async def open_run(self, record: RunRecord, *, show: bool = True) -> RunMonitor:
        """Make a run the current one, and follow it unless all of it is archived."""
        monitor = await self.session.view(record)
        self.current = monitor
        if show:
            self._show("live")
        if not await self.session.is_complete(record):
            await self.follow(monitor)
        return monitor

    async def follow(self, monitor: RunMonitor) -> None:
        """Follow a run; a failure is told."""
        try:
            await self.session.follow(monitor)
        except ArkorTuiError as error:
            self.tell_problem(error)

    async def start_run(
        self,
        trainer: Trainer,
        *,
        trainer_file: str | None = None,
        recipe_source: str | None = None,
        tell: Callable[[ArkorTuiError], None] | None = None,
    ) -> bool:
        """Submit a run and show it; False where it could not be submitted, which is told by
        ``tell``, else as any problem."""
        self.notify("Submitting …", timeout=3)
        try:
            monitor = await self.session.start(
                trainer, trainer_file=trainer_file, recipe_source=recipe_source
            )
        except ArkorTuiError as error:
            (tell or self.tell_problem)(error)
            return False
        self.current = monitor
        self._show("live")
        return True

    async def refresh_runs(self) -> None:
        """Ask the backend for its runs and follow those that are live; quiet where it is away."""
        if not self.session.backend_name:
            return
        try:
            await self.session.refresh()
            await self._follow_live()
        except ArchiveError as error:
            self.tell_archive(error)
        except ArkorTuiError:
            pass
        screen = self.screen_stack[0] if self.screen_stack else None
        if isinstance(screen, BaseScreen):
            screen.backend_asked()

    async def _follow_live(self) -> None:
        for record in await self.session.runs.live(self.session.backend_name):
            monitor = await self.session.view(record)
            if not monitor.following:
                await self.follow(monitor)
            if self.current is None:
                self.current = monitor
        await self._take_up_lost()

    async def _take_up_lost(self) -> None:
        """Guards that lost their process, by a reboot or a kill, go on from the last event."""
        session = self.session
        if not session.can_talk:
            return
        for record in await session.supervision.lost(session.backend_name):
            name = plain(record.name, limit=60, newlines=False)
            try:
                started = await session.supervision.start(record)
            except ArkorTuiError as error:
                text = f"{name}: nobody watches this run any more: {plain(error, limit=300)}"
                self.notify(text, severity="error", markup=False, timeout=12)
                continue
            self.notify(
                f"{name} had lost the process with its guards; process {started.pid} took them "
                "up again from the last event on disk.",
                severity="warning",
                markup=False,
                timeout=12,
            )

    def _show(self, view: str) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if self._view == view and isinstance(self.screen, BaseScreen):
            self.screen.on_screen_resume()
        self.action_view(view)

    def set_up_from(self, record: RunRecord) -> None:
        """Open Setup, filled in from an earlier run."""
        self._setup_from = record
        self._show("setup")

    def take_setup(self) -> RunRecord | None:
        """The run that Setup was asked to begin with, once."""
        record, self._setup_from = self._setup_from, None
        return record

    @work(group="export")
    async def export_run(self, record: RunRecord) -> None:
        """Write a run into a file of the current folder."""
        await self._export(record, ("jsonl", "csv", "markdown"))

    @work(group="export")
    async def export_transcripts(self, record: RunRecord) -> None:
        """Write a run's transcripts into a file of the current folder."""
        await self._export(record, ("transcripts.md", "transcripts.jsonl"))

    async def _export(self, record: RunRecord, kinds: tuple[str, ...]) -> None:
        from .widgets.dialogs import Choose

        choice = await self.push_screen_wait(Choose("Export as", [(kind, kind) for kind in kinds]))
        if choice is None:
            return
        try:
            path = await self.session.export(record, choice)
        except (ArkorTuiError, OSError) as error:
            reason = error.message if isinstance(error, ArkorTuiError) else str(error)
            self.notify(plain(f"Not exported: {reason}", limit=300), severity="error", markup=False)
            return
        self.notify(plain(f"Wrote {path}", limit=300), markup=False, timeout=6)

    def talk_to(self, monitor: RunMonitor, step: int | None) -> None:
        """Open the console on a checkpoint; without a step on the newest one."""
        self.current = monitor
        record = monitor.record
        if record is None:
            return
        self.to_ask = record, LATEST if step is None else Target("checkpoint", step)
        self._show("console")

    def _updated(self, monitor: RunMonitor, update: Update) -> None:
        """Hand on what is new to the screen that is shown."""
        if not is_processing(self):
            return
        with inside(self):  # the tasks of monitors may be older than the app
            self._hand_on(monitor, update)

    def _hand_on(self, monitor: RunMonitor, update: Update) -> None:
        screen = self.screen_stack[0] if self.screen_stack else None
        if isinstance(screen, BaseScreen) and screen.is_mounted:
            screen.monitor_changed(monitor, update)
        for step in update.checkpoints:
            self._offer_checkpoint(monitor, step)
        if update.ended:
            self._tell_end(monitor)

    def _offer_checkpoint(self, monitor: RunMonitor, step: int) -> None:
        record = monitor.record
        if record is None or record.is_terminal:
            return
        offered, when = self._offered.get(record.key, (-1, 0.0))
        # where checkpoints come fast, one offer at a time: they must not cover the screen
        if step <= offered or (offered >= 0 and time.monotonic() - when < _OFFER_SECONDS):
            return
        self._offered[record.key] = (step, time.monotonic())
        if self._view == "console" or not self.session.can_talk:
            return
        self.notify(
            f"Checkpoint {step} {_OFFER}",
            title=plain(record.name, limit=60, newlines=False),
            markup=False,
            timeout=_OFFER_SECONDS,
        )

    def _tell_end(self, monitor: RunMonitor) -> None:
        record = monitor.record
        if record is None:
            return
        name = plain(record.name, limit=60, newlines=False)
        text = f"{name}: {record.status}"
        if record.last_loss is not None:
            text += f", loss {number(record.last_loss)}"
        bad = record.status == "failed"
        severity: Literal["error", "information"] = "error" if bad else "information"
        self.notify(text, markup=False, severity=severity, timeout=8)
        if self.settings.app.bell:
            self.bell()
        if self.settings.app.osc9:
            self.write_out(osc9(text, tmux=self.capabilities.tmux))

    # what is told

    def show_title(self) -> None:
        """What runs, in the window's title."""
        live = self.session.monitors.live
        record = live[0].record if live else None
        text = "arkor-tui"
        if record is not None:
            name = plain(record.name, limit=40, newlines=False)
            share = percent(record.last_step or 0, record.max_steps or 0)
            text += f" · {name}" + (f" {share}%" if record.max_steps else "")
        if self.settings.app.title and text != self._titled:
            self._titled = text
            self.write_out(title(text))

    @property
    def view_titles(self) -> tuple[tuple[str, str, str], ...]:
        """Give name, key and title of each view, as the status line shows them."""
        return tuple((view.name, view.key, view.title) for view in views(self.places))

    def status_info(self) -> StatusInfo:
        """What the status line says at this moment."""
        session = self.session
        connection = session.connection
        live = session.monitors.live
        monitor = self.current if self.current in live else (live[0] if live else None)
        stream, mood, name, running = "", "", "", ""
        if monitor is not None and monitor.record is not None:
            from .widgets.progress import stream_text  # the first screen comes without it

            if self._view != "live" or monitor is not self.current:  # Live says it itself
                stream, mood = stream_text(monitor, time.monotonic())
                name = MARKS.get(monitor.record.status, "")
                name += f" {plain(monitor.record.name, limit=200, newlines=False)}"
                running = _running_text(monitor.record)
        elif session.problem is not None:
            local = session.backend_name == "local"
            stream = "not running yet" if local else "not reachable"
            mood = "" if local else "warn"
        return StatusInfo(
            view=self._view,
            backend=session.backend_name,
            scope=connection.scope.project_slug if connection else "",
            identity=connection.identity if connection else "",
            stream=stream,
            mood=mood,
            name=name,
            running=running,
            more=max(len(live) - 1, 0),
        )

    @work(group="quit")
    async def action_ask_quit(self) -> None:
        """Quit; asks first while a run is live."""
        from .quitting import ask_quit

        await ask_quit(self)


def _running_text(record: RunRecord) -> str:
    from .widgets.progress import eta_seconds  # the first screen comes without it

    steps = f"{record.last_step or 0}" + (f"/{record.max_steps}" if record.max_steps else "")
    text = f"{steps} loss {number(record.last_loss)}"
    eta = eta_seconds(record)
    return text + (f" eta {duration(eta)}" if eta is not None else "")


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
