"""Live: one run as it trains, or as it trained."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from arkor_tui.api.reconnect import GOES_ON
from arkor_tui.archive.records import CheckpointRow, RunQuery
from arkor_tui.errors import ArkorTuiError
from arkor_tui.session.monitor import RunMonitor
from arkor_tui.session.updates import Problem, Update
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.chart.frame import LineSpec, Mark
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.widgets.banner import FailureBanner
from arkor_tui.tui.widgets.checkpoints import TITLE as CHECKPOINTS_TITLE
from arkor_tui.tui.widgets.checkpoints import CheckpointList
from arkor_tui.tui.widgets.dialogs import Confirm, DialogChoice
from arkor_tui.tui.widgets.eventlog import EventLog
from arkor_tui.tui.widgets.guardpanel import GuardPanel
from arkor_tui.tui.widgets.logpane import LogPane
from arkor_tui.tui.widgets.progress import RunHeader, awaited
from arkor_tui.tui.widgets.stats import StatisticsPanel

from .base import BaseScreen

_CHARTED = ("loss", "evalLoss")
STATISTICS_SECONDS = 5.0
HEADER_SECONDS = 0.9
"""Between counts of a run that is live."""


class LiveScreen(BaseScreen):
    """Chart, log, checkpoints and statistics of one run."""

    CSS = """
    LiveScreen #panes { height: 1fr; }
    LiveScreen #main { width: 1fr; }
    LiveScreen #side { width: 40; border-left: solid $panel; }
    LiveScreen #chart { height: 3fr; }
    LiveScreen #log-pane { height: 2fr; min-height: 5; }
    LiveScreen #checkpoints { height: 1fr; min-height: 4; }
    LiveScreen #statistics { height: auto; }
    LiveScreen.-narrow #side { display: none; }
    LiveScreen.-narrow.-side #main { display: none; }
    LiveScreen.-narrow.-side #side { display: block; width: 1fr; border-left: none; }
    LiveScreen.-wide.-side #side { display: none; }
    LiveScreen.-huge #side { width: 52; }
    LiveScreen LossChart:focus, LiveScreen PagedList:focus { background: $surface; }
    LiveScreen.-zoom-chart #log-pane { display: none; }
    LiveScreen.-zoom-chart #side { display: none; }
    LiveScreen.-zoom-log #chart, LiveScreen.-zoom-log #side { display: none; }
    LiveScreen.-zoom-side #main { display: none; }
    LiveScreen.-zoom-side #side { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "talk", "talk", id="live.talk"),
        Binding("c", "cancel", "cancel", id="live.cancel"),
        Binding("tab", "next_pane", "pane", id="live.next-pane"),
        Binding("t", "side", "details", id="live.side"),
        Binding("slash", "search", "search", id="live.search"),
        Binding("m", "next_metric", "metric", id="live.metric"),
        Binding("z", "zoom", "zoom", id="live.zoom"),
        Binding("n", "search_next(True)", "next hit", id="live.search-next", show=False),
        Binding("N", "search_next(False)", "previous hit", id="live.search-previous", show=False),
        Binding("v", "filter", "next kind of events", id="live.filter", show=False),
        Binding("V", "only_found", "only what was found", id="live.only-found", show=False),
        Binding("w", "guards", "guards", id="live.guards"),
        Binding("e", "samples", "samples", id="live.samples"),
        Binding("y", "copy", "copy event", id="live.copy", show=False),
        Binding("p", "printed", "what the trainer printed", id="live.printed", show=False),
        Binding("r", "follow_again", "reconnect", id="live.reconnect", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.monitor: RunMonitor | None = None
        self._metric = "loss"
        self._checkpoints: list[CheckpointRow] = []
        self._failure: Problem | None = None
        self._counted_at = 0.0
        self._headed_at = 0.0
        self._behind: Widget | None = None
        """What had the focus before the side pane took its place."""

    def content(self) -> ComposeResult:
        """Header, banner, then panes."""
        yield RunHeader(id="header")
        yield FailureBanner(id="banner")
        with Horizontal(id="panes"):
            with Vertical(id="main"):
                yield LossChart(id="chart")
                yield LogPane(self.session.log, id="log-pane")
            with Vertical(id="side"):
                yield Static(CHECKPOINTS_TITLE, classes="pane-title", markup=False)
                yield CheckpointList(id="checkpoints")
                yield Static(" Guards", classes="pane-title", id="guards-title", markup=False)
                yield GuardPanel(id="guards")
                yield Static(" Statistics", classes="pane-title", id="stats-title", markup=False)
                yield StatisticsPanel(id="statistics")

    def on_mount(self) -> None:
        """The log in focus, and a clock."""
        chart = self.query_one("#chart", LossChart)
        chart.max_fps, chart.symbols = self.host.redraws_per_second, self.host.symbols
        self.query_one(EventLog).focus()
        self.set_interval(1.0, self._tick)
        self._show_nothing()

    def on_screen_resume(self) -> None:
        """Another run may have been chosen meanwhile."""
        super().on_screen_resume()
        current = self.host.current
        if current is not None and current is not self.monitor:
            self.show_run(current)
        elif self.monitor is not None:
            self.query_one(LogPane).load()
            self._refresh_all()
        else:
            self._open_newest()

    @work(group="newest", exclusive=True)
    async def _open_newest(self) -> None:
        """Where none was chosen, the newest run of the project: whoever comes back looks for it."""
        query = self.session.scoped(RunQuery())
        found = await self.session.runs.page(query, limit=1)
        if found and self.host.current is None:
            self.host.current = await self.session.view(found[0])
            self.show_run(self.host.current)

    def _show_nothing(self) -> None:
        self.query_one(RunHeader).show_text("No run is open. 1 lists the runs, 2 sets one up.")

    def show_run(self, monitor: RunMonitor) -> None:
        """Show another run."""
        self.monitor = monitor
        self._metric, self._failure = "loss", None
        self.query_one(LossChart).reset()
        self.query_one(LogPane).show_run(monitor.key)
        self._refresh_all()

    def _refresh_all(self) -> None:
        self._show_chart()
        self._load_checkpoints()
        self._show_guards()
        self._show_numbers()
        self.show_status()

    # what arrives

    def monitor_changed(self, monitor: RunMonitor, update: Update) -> None:
        """Take in what is new about the run on screen."""
        super().monitor_changed(monitor, update)
        if monitor is not self.monitor:
            return
        chart = self.query_one(LossChart)
        chart.empty = awaited(monitor.record)
        if update.rows:
            self.query_one(LogPane).grow(update)
            if len(chart.lines) != len(self._lines()):
                self._show_chart()
            chart.refresh_data()
        if update.checkpoints:
            self._load_checkpoints()
        if update.ended or update.findings:
            self._show_guards()
        recent = time.monotonic() - self._headed_at < HEADER_SECONDS
        if not (update.rows and recent and monitor.following):  # else the next tick shows it
            self._show_numbers()

    def _tick(self) -> None:
        """Time passes: elapsed, countdown and idle time, only while there is something to count."""
        if self.monitor is not None and self.monitor.following and self.is_current:
            self._show_numbers()
            self._show_guards()
            self.show_status()

    def _show_numbers(self) -> None:
        self._show_header()
        now = time.monotonic()
        due = now - self._counted_at >= STATISTICS_SECONDS or not self.monitor_is_live
        if self.monitor is not None and due and self.query_one(StatisticsPanel).display:
            self._counted_at = now
            series = [(name, self.monitor.series[name]) for name in self._numbers()]
            record = self.monitor.record
            archived = record.events if record is not None else 0
            self.query_one(StatisticsPanel).show(series, self.monitor.health, archived)

    @property
    def monitor_is_live(self) -> bool:
        """Whether more is to come."""
        return self.monitor is not None and self.monitor.following

    def _numbers(self) -> list[str]:
        assert self.monitor is not None
        if self._metric == "loss":
            return [name for name in _CHARTED if name in self.monitor.series]
        return [self._metric] if self._metric in self.monitor.series else []

    def _show_header(self) -> None:
        monitor = self.monitor
        if monitor is None or monitor.record is None:
            return
        self._headed_at = time.monotonic()
        self.query_one(RunHeader).show(monitor, self._headed_at)
        failure = self._what_went_wrong(monitor)
        if failure != self._failure:
            self._failure = failure
            self.query_one(FailureBanner).show(failure)

    def _what_went_wrong(self, monitor: RunMonitor) -> Problem | None:
        record = monitor.record
        assert record is not None
        if monitor.cancel_state.phase == "failed":
            return Problem(monitor.cancel_state.message, monitor.cancel_state.hint)
        if record.status == "failed":
            return Problem(
                f"The run failed: {record.error or 'the backend gave no reason.'}",
                "The checkpoints that were saved can still be talked to: press i."
                if record.checkpoints
                else "It saved no checkpoint. To correct and re-run it: 1, then e on this run.",
            )
        if monitor.problems:
            return monitor.problems[-1]
        waits = monitor.state.waits
        return Problem(f"The run waits: {waits}.", GOES_ON) if waits else None

    # chart

    def _lines(self) -> tuple[LineSpec, ...]:
        monitor = self.monitor
        if monitor is None:
            return ()
        series = monitor.series
        if self._metric != "loss":
            data = series.get(self._metric)
            return (LineSpec(self._metric, data, "solid", "train"),) if data is not None else ()
        lines = []
        if "loss" in series:
            lines.append(LineSpec("loss", series["loss"], "solid", "train"))
        if "evalLoss" in series:
            lines.append(LineSpec("eval", series["evalLoss"], "dashed", "eval"))
        return tuple(lines)

    def _show_chart(self) -> None:
        monitor = self.monitor
        if monitor is None:
            return
        marks = tuple(Mark(row.step, str(row.step)) for row in self._checkpoints)
        maps = {
            axis: monitor.series[name]
            for axis, name in (("epoch", "epoch"), ("time", "time"))
            if name in monitor.series
        }
        rate = monitor.series.get("learningRate")
        extras = {"lr": rate} if rate is not None and self._metric == "loss" else {}
        chart = self.query_one(LossChart)
        chart.empty = awaited(monitor.record)
        chart.show(self._lines(), marks, maps, extras)

    def action_next_metric(self) -> None:
        """Chart the next numeric field."""
        if self.monitor is None:
            return
        names = ["loss", *sorted(set(self.monitor.series) - {"loss", "evalLoss", "time"})]
        place = names.index(self._metric) if self._metric in names else -1
        self._metric = names[(place + 1) % len(names)]
        self._show_chart()
        self._show_numbers()

    @on(LossChart.CursorMoved)
    def _chart_cursor(self, message: LossChart.CursorMoved) -> None:
        """The log follows the chart's cursor."""
        if self.monitor is None or message.step is None:
            return
        step = int(message.step)
        self.query_one(CheckpointList).mark(step)
        self.query_one(LogPane).go_to_step(step)

    @on(LogPane.StepReached)
    def _log_cursor(self, message: LogPane.StepReached) -> None:
        """The chart's cursor follows the log's."""
        if message.by_hand:
            self.query_one(LossChart).set_cursor(float(message.step), tell=False)
        self.query_one(CheckpointList).mark(message.step)

    # log

    def action_filter(self) -> None:
        """Show other kinds of events only."""
        self.query_one(LogPane).next_filter()

    def action_only_found(self) -> None:
        """Show only events that hold what was searched for, or all again."""
        self.query_one(LogPane).only_found()

    def action_search(self) -> None:
        """Type what to look for."""
        self.query_one(LogPane).begin_search()

    def action_search_next(self, forward: bool) -> None:
        """Go to the next or previous event that holds the text."""
        self.query_one(LogPane).search_next(forward)

    def action_copy(self) -> None:
        """Copy the event under the cursor as JSON."""
        text = self.query_one(LogPane).current_text
        if text is not None:
            self.host.copy(text, "the event")

    def key_escape(self) -> None:
        """One layer back: the search, the zoom, then the screen."""
        if self.query_one(LogPane).step_back():
            return
        if self.has_class("-zoomed"):
            self.remove_class("-zoomed", "-zoom-chart", "-zoom-log", "-zoom-side")
        else:
            self.host.go_back()

    # checkpoints

    @work(group="checkpoints", exclusive=True)
    async def _load_checkpoints(self) -> None:
        monitor = self.monitor
        if monitor is None:
            return
        self._checkpoints = await self.session.runs.checkpoints(monitor.key)
        record = monitor.record
        done = record is not None and record.status == "completed"
        self.query_one(CheckpointList).show_rows(self._checkpoints, final=done)
        self._show_chart()

    @on(CheckpointList.Chosen, "#checkpoints")
    def _checkpoint_chosen(self, message: CheckpointList.Chosen) -> None:
        if self.monitor is not None and message.item is not None:
            self.host.talk_to(self.monitor, message.item.step)

    def action_talk(self) -> None:
        """Talk to the newest checkpoint."""
        if self.monitor is None:
            return
        self.host.talk_to(self.monitor, None)

    # the run

    def action_cancel(self) -> None:
        """Cancel the run after one confirmation."""
        monitor = self.monitor
        if monitor is None or monitor.record is None:
            return
        if monitor.record.is_terminal:
            self.notify(f"The run has ended already: {monitor.record.status}.", markup=False)
        elif monitor.cancel_state.under_way:
            self.notify("It is being cancelled; the header says how far.", markup=False)
        else:
            self._confirm_cancel(monitor)

    @work(group="cancel", exclusive=True)
    async def _confirm_cancel(self, monitor: RunMonitor) -> None:
        assert monitor.record is not None
        name = plain(monitor.record.name, limit=60, newlines=False)
        answer = await self.app.push_screen_wait(
            Confirm(
                f"Cancel {name}?",
                "The backend stops training. Checkpoints that were saved stay; what was learned "
                "since the last one is lost.",
                (
                    DialogChoice("n", "no", "No, go on training"),
                    DialogChoice("y", "yes", "Yes, cancel the run", danger=True),
                ),
            )
        )
        if answer != "yes":
            return
        try:
            outcome = await self.session.cancel(monitor, "cancelled by hand")
        except ArkorTuiError as error:
            self.host.tell_problem(error)
            return
        good = outcome.phase == "confirmed"
        self.notify(
            plain(outcome.message, limit=400),
            title="Cancelled" if good else "Not cancelled",
            severity="information" if good else "error",
            markup=False,
        )

    @work(group="printed", exclusive=True)
    async def action_printed(self) -> None:
        """What the callbacks of trainer files have printed."""
        from arkor_tui.tui.widgets.output import OutputScreen

        record = self.monitor.record if self.monitor is not None else None
        elsewhere = await self.session.supervision.printed(record) if record is not None else []
        self.app.push_screen(OutputScreen([*self.host.printed, *elsewhere]))

    # guards

    @work(group="guards", exclusive=True)
    async def _show_guards(self) -> None:
        """How the recipes of the run stand, wherever they run."""
        monitor = self.monitor
        if monitor is None or monitor.record is None:
            return
        hooks = monitor.trainer.hooks
        record = await self.session.runs.fresh(monitor.record)
        findings = await self.session.runs.findings(monitor.key)
        host = None if record.is_terminal else await self.session.supervision.host(record)
        gauges = [asdict(gauge) for gauge in hooks.gauges()]
        if host is not None:
            gauges = gauges or list(host.gauges)
        expected = record.recipes > 0 and not record.is_terminal
        panel = self.query_one(GuardPanel)
        panel.show(host, gauges, findings, expected=expected)
        panel.display = bool(host or gauges or findings or expected)
        self.query_one("#guards-title").display = panel.display

    @work(group="guard-dialog", exclusive=True)
    async def action_guards(self) -> None:
        """Begin or end the watching, or try other guard settings on what was logged."""
        from .guards import guards_dialog

        if self.monitor is not None and self.monitor.record is not None:
            await guards_dialog(self.app, self.monitor.record)
            self._show_guards()

    def action_samples(self) -> None:
        """The answers to golden prompts at every checkpoint."""
        from .matrix import MatrixScreen

        if self.monitor is not None and self.monitor.record is not None:
            self.app.push_screen(MatrixScreen(self.session, self.monitor.record))

    @work(group="reconnect", exclusive=True)
    async def action_follow_again(self) -> None:
        """Follow the run again after its stream was given up."""
        if self.monitor is not None:
            await self.host.follow(self.monitor, asked=True)

    # panes

    def action_next_pane(self) -> None:
        """Chart, log, checkpoints: the next of those that are shown."""
        self.focus_next()

    def action_side(self) -> None:
        """Show or hide checkpoints, guards and statistics; a narrow terminal shows them alone."""
        before = self.focused
        self.toggle_class("-side")
        if self.has_class("-narrow") and self.has_class("-side"):
            self._behind = before
            self.query_one(CheckpointList).focus()
        elif isinstance(before, CheckpointList):
            (self._behind or self.query_one(EventLog)).focus()
            self._behind = None

    def action_zoom(self) -> None:
        """Give the pane in focus the whole screen, or give it back."""
        zoomed = self.has_class("-zoomed")
        self.remove_class("-zoomed", "-zoom-chart", "-zoom-log", "-zoom-side")
        if zoomed or self.focused is None:
            return
        names = {"chart": "-zoom-chart", "log": "-zoom-log"}
        self.add_class("-zoomed", names.get(self.focused.id or "", "-zoom-side"))
