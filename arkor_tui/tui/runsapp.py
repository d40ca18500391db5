"""An app over a session: which run is current, what is opened, started and followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work

from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.target import LATEST, Target
from arkor_tui.config.settings import Settings
from arkor_tui.errors import ArkorTuiError
from arkor_tui.session.session import Session
from arkor_tui.session.updates import Update
from arkor_tui.terminal import Capabilities
from arkor_tui.text.sanitize import plain

from .announcing import Announcer
from .screens.base import BaseScreen
from .terminalapp import TerminalApp
from .textual_compat import inside, is_processing

if TYPE_CHECKING:
    from arkor_tui.run.trainer import Trainer
    from arkor_tui.session.monitor import RunMonitor


class RunsApp(TerminalApp):
    """Has a session, and owns nothing of it."""

    def __init__(
        self, session: Session, settings: Settings, capabilities: Capabilities | None
    ) -> None:
        super().__init__(settings, capabilities)
        self.session = session
        self.announcer = Announcer(self)
        self.current: RunMonitor | None = None
        """The run that Live shows and Console talks to."""
        self.to_ask: tuple[RunRecord, Target] | None = None
        """What Console is asked to talk to next."""
        self._setup_from: RunRecord | None = None
        session.monitors.on_update = self._updated
        session.on_report = self.report

    def show_view(self, name: str) -> None:
        """Close what is over the views, and show one of them anew."""
        raise NotImplementedError

    @property
    def shown_view(self) -> BaseScreen | None:
        """Give the view that is shown, under whatever is over it."""
        screen = self.screen_stack[0] if self.screen_stack else None
        return screen if isinstance(screen, BaseScreen) else None

    @property
    def may_offer(self) -> bool:
        """Say whether it is of use to offer a talk to a new checkpoint."""
        raise NotImplementedError

    async def open_run(self, record: RunRecord, *, show: bool = True) -> RunMonitor:
        """Make a run the current one, and follow it unless all of it is archived."""
        monitor = await self.session.view(record)
        self.current = monitor
        if show:
            self.show_view("live")
        if not await self.session.is_complete(record):
            await self.follow(monitor)
        return monitor

    async def follow(self, monitor: RunMonitor, *, asked: bool = False) -> None:
        """Follow a run, because a person asked for it or by itself; a failure is told."""
        try:
            await self.session.follow(monitor, asked=asked)
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
        self.show_view("live")
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
        if (view := self.shown_view) is not None:
            view.backend_asked()

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

    def set_up_from(self, record: RunRecord) -> None:
        """Open Setup, filled in from an earlier run."""
        self._setup_from = record
        self.show_view("setup")

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
        self.show_view("console")

    def _updated(self, monitor: RunMonitor, update: Update) -> None:
        """Hand on what is new to the screen that is shown."""
        if not is_processing(self):
            return
        with inside(self):  # the tasks of monitors may be older than the app
            self._hand_on(monitor, update)

    def _hand_on(self, monitor: RunMonitor, update: Update) -> None:
        if (view := self.shown_view) is not None and view.is_mounted:
            view.monitor_changed(monitor, update)
        record = monitor.record
        if record is None:
            return
        for step in update.checkpoints:
            self.announcer.offer_checkpoint(record, step, quietly=not self.may_offer)
        if update.ended:
            self.announcer.tell_end(record)
