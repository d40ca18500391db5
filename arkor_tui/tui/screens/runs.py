"""Runs: every run of this project, or of all, live ones on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, get_args

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from arkor_tui.archive.records import RunQuery, RunRecord, Sort
from arkor_tui.session.updates import Update
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.text import loss, number
from arkor_tui.tui.widgets.runtable import NOTHING, RunTable

from .base import BaseScreen

if TYPE_CHECKING:
    from arkor_tui.session.monitor import RunMonitor

REFRESH_SECONDS = 5.0
STATUSES = ("", "running", "completed", "failed", "cancelled")
SORTS: tuple[Sort, ...] = get_args(Sort)


class RunsScreen(BaseScreen):
    """The archive and the backend's list, merged."""

    ABOUT = "Every run that was seen, on disk. Enter opens one; space marks runs to compare."
    # the first screen: with CSS instead, Textual would parse every style once more
    DEFAULT_CSS = """
    RunsScreen #runs { height: 1fr; }
    RunsScreen #runs-head { height: 1; background: $panel; color: $muted; }
    RunsScreen #filter { height: 1; border: none; padding: 0 1; background: $panel; display: none; }
    RunsScreen #detail { height: 9; border-top: solid $panel; padding: 0 1; }
    RunsScreen.-low #detail { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", id="runs.filter"),
        Binding("f", "status", "next status", id="runs.status", show=False),
        Binding("s", "sort", "sort", id="runs.sort"),
        Binding("S", "reverse", "reverse", id="runs.reverse", show=False),
        Binding("space", "mark", "mark", id="runs.mark"),
        Binding("c", "compare", "compare", id="runs.compare"),
        Binding("e", "rerun", "re-run", id="runs.rerun"),
        Binding("a", "all", "all projects", id="runs.all"),
        Binding("i", "talk", "talk", id="runs.talk"),
        Binding("t", "tag", "tags", id="runs.tag", show=False),
        Binding("n", "note", "note", id="runs.note", show=False),
        Binding("x", "export", "export", id="runs.export", show=False),
        Binding("d", "delete", "delete", id="runs.delete", show=False),
        Binding("u", "undo", "undo delete", id="runs.undo", show=False),
        Binding("r", "refresh", "refresh", id="runs.refresh", show=False),
        Binding("w", "welcome", "welcome", id="runs.welcome", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.query_now = RunQuery()
        self._everywhere = False
        self._deleted: list[int] = []
        self._greeted = False
        self._shown: tuple[RunQuery, int, list[RunRecord]] | None = None

    def content(self) -> ComposeResult:
        """Title, filter, table, detail."""
        yield Static(id="runs-head", markup=False)
        yield RunTable(id="runs")
        yield Static(id="detail", markup=False)

    def on_mount(self) -> None:
        """Read the first page; look at the backend now and then."""
        table = self.query_one(RunTable)
        table.ascii_only = self.host.symbols == "ascii"
        table.focus()
        self.set_interval(REFRESH_SECONDS, self._look)

    def on_resize(self) -> None:
        """Other widths have other columns."""
        if self._shown is not None:
            self._show_head(self._shown[1])

    def on_screen_resume(self) -> None:
        """What changed while another screen was shown."""
        super().on_screen_resume()
        self.load()

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        if self.is_current and self.session.backend_name:
            await self.host.refresh_runs()

    def backend_asked(self) -> None:
        """Show what it said."""
        super().backend_asked()
        if self.is_mounted:
            self.load()

    @work(group="load", exclusive=True)
    async def load(self) -> None:
        """Read what is in view."""
        query, runs = self._scoped(), self.session.runs

        async def fetch(offset: int, limit: int) -> Sequence[RunRecord]:
            return await runs.page(query, limit=limit, offset=offset)

        count, page = await runs.first_page(query)
        table = next(iter(self.query(RunTable)), None)
        if table is None:
            return  # the app has ended while the archive was read
        if (query, count, page) != self._shown:  # else nothing would look different
            self._shown = (query, count, page)
            cursor, table.empty = table.cursor, self._why_nothing(query)
            table.show(count, fetch)
            table.prime(page)
            table.cursor = min(cursor, max(count - 1, 0))
            self._show_head(count)
            self._show_detail(table.current)
        if not self._greeted:
            is_new = count == 0 and await self._is_new()
            self._greeted = True  # not before: the next load may have ended this one while it asked
            if is_new:
                self.action_welcome()

    async def _is_new(self) -> bool:
        return await self.session.runs.count() == 0

    def _why_nothing(self, query: RunQuery) -> str:
        if query.text:
            return "no run holds these words: Esc clears them"
        if query.statuses:
            return f"no run is {' or '.join(sorted(query.statuses))}: f shows others"
        return NOTHING if query.project is None else f"{NOTHING}, a those of other projects"

    def _scoped(self) -> RunQuery:
        return self.query_now if self._everywhere else self.session.scoped(self.query_now)

    def _show_head(self, count: int) -> None:
        query, table = self.query_now, self.query_one(RunTable)
        scope = self._scoped()
        where = "all projects" if scope.project is None else f"{scope.backend}/{scope.project}"
        facts = [f"{count} run{'' if count == 1 else 's'}", where]
        facts.append(f"by {query.sort}{' ↓' if query.descending else ' ↑'}")
        if query.statuses:
            facts.append(" ".join(query.statuses))
        if query.text:
            facts.append(f"“{plain(query.text, limit=40, newlines=False)}”")
        head = Content.styled(" Runs", "bold") + Content(" · " + " · ".join(facts))
        columns = table.heading(max(self.size.width - 1, 20))
        self.query_one("#runs-head", Static).update(head)
        self.query_one("#runs-head", Static).styles.height = 2
        self.query_one("#runs-head", Static).update(head + Content("\n" + columns))

    def _show_detail(self, run: RunRecord | None) -> None:
        detail = self.query_one("#detail", Static)
        if run is None:
            detail.update("")
            return
        config = run.config
        settings = "  ".join(
            f"{name} {plain(config[name], limit=40, newlines=False)}"
            for name in ("loraR", "loraAlpha", "learningRate", "batchSize", "maxSteps", "seed")
            if config.get(name) is not None
        )
        lines = [
            Content.assemble((plain(run.name, limit=100, newlines=False), "bold"),
                             f"  {plain(run.identity.job_id, limit=80, newlines=False)}"),
            Content(f"model {plain(run.model, limit=80, newlines=False)}   "
                    f"dataset {plain(run.dataset, limit=80, newlines=False)}"),
            Content(settings),
            Content(f"loss {loss(run.last_loss, run.odd_loss, where=True)} "
                    f"(best {number(run.best_loss)})   "
                    f"eval {loss(run.last_eval_loss, run.odd_eval_loss, where=True)} "
                    f"(best {number(run.best_eval_loss)})   "
                    f"{run.checkpoints} checkpoints   {run.events} events"),
        ]  # fmt: skip
        if why := run.why_stopped or run.error:
            text = plain(why, limit=300, newlines=False)
            lines.append(Content.styled(text, "$error"))
        if run.tags:
            tags = " ".join(f"#{plain(tag, limit=40, newlines=False)}" for tag in run.tags)
            lines.append(Content.styled(tags, "$accent"))
        if run.note:
            lines.append(Content(plain(run.note, limit=300)))
        detail.update(Content("\n").join(lines))

    def monitor_changed(self, monitor: RunMonitor, update: Update) -> None:
        """A row of a live run is drawn again."""
        super().monitor_changed(monitor, update)
        if update.rows or update.ended:
            self.query_one(RunTable).reload()

    @on(RunTable.Moved, "#runs")
    def _moved(self, message: RunTable.Moved) -> None:
        if message.item is not None:
            self._show_detail(message.item)

    @on(RunTable.Chosen, "#runs")
    def _chosen(self, message: RunTable.Chosen) -> None:
        if isinstance(message.item, RunRecord):
            self._open(message.item)

    @work(group="open", exclusive=True)
    async def _open(self, record: RunRecord) -> None:
        await self.host.open_run(record)

    # keys

    async def action_filter(self) -> None:
        """Type words."""
        found = self.query("#filter")
        if not found:
            field = Input(id="filter", placeholder="words in name, model, id, tags, note")
            field.cursor_blink = False
            await self.mount(field, before="#runs")
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, message: Input.Changed) -> None:
        self.query_now = replace(self.query_now, text=message.value)
        self.load()

    @on(Input.Submitted, "#filter")
    def _filter_kept(self, message: Input.Submitted) -> None:
        message.input.display = False
        self.query_one(RunTable).focus()

    def key_escape(self) -> None:
        """Clear the filter, then the marks, then go back."""
        fields, table = self.query("#filter").results(Input), self.query_one(RunTable)
        field = next(iter(fields), None)
        if field is not None and (field.display or self.query_now.text):
            field.value = ""
            field.display = False
            table.focus()
        elif table.chosen:
            table.chosen.clear()
            table.refresh()

    def action_status(self) -> None:
        """The next status to show."""
        now = next(iter(self.query_now.statuses), "")
        status = STATUSES[(STATUSES.index(now) + 1) % len(STATUSES)]
        statuses = frozenset({status}) if status else frozenset[str]()
        self.query_now = replace(self.query_now, statuses=statuses)
        self.load()

    def action_sort(self) -> None:
        """The next order."""
        place = SORTS.index(self.query_now.sort)
        sort = SORTS[(place + 1) % len(SORTS)]
        self.query_now = replace(self.query_now, sort=sort, descending=sort in _DOWNWARDS)
        self.load()

    def action_reverse(self) -> None:
        """The other direction."""
        self.query_now = replace(self.query_now, descending=not self.query_now.descending)
        self.load()

    def action_all(self) -> None:
        """This project, or all."""
        self._everywhere = not self._everywhere
        self.load()

    def action_mark(self) -> None:
        """Mark a run for comparing or deleting, and go on."""
        table = self.query_one(RunTable)
        run = table.current
        if run is not None:
            table.chosen ^= {run.key}
            table.refresh()
            table.action_move(1)

    async def _marked(self) -> list[int]:
        """The marked runs that are listed: what a filter hides is not acted on."""
        keys = sorted(self.query_one(RunTable).chosen)
        query = self._shown[0] if self._shown is not None else self._scoped()
        return await self.session.runs.among(keys, query)

    @work(group="compare", exclusive=True)
    async def action_compare(self) -> None:
        """Curves over each other, settings side by side."""
        keys = (await self._marked())[:4]
        if len(keys) < 2:
            self.notify("Mark two to four runs with space first.", timeout=3)
            return
        from .compare import CompareScreen

        runs = await self.session.runs.known(keys)
        series = [await self.session.runs.curves(run.key) for run in runs]
        await self.app.push_screen(CompareScreen(runs, series))

    def action_rerun(self) -> None:
        """Setup, filled in from this run."""
        run = self.query_one(RunTable).current
        if run is not None:
            self.host.set_up_from(run)

    @work(group="talk", exclusive=True)
    async def action_talk(self) -> None:
        """Talk to the newest checkpoint of this run."""
        run = self.query_one(RunTable).current
        if run is not None:
            self.host.talk_to(await self.session.view(run), None)

    @work(group="edit", exclusive=True)
    async def action_tag(self) -> None:
        """Edit the tags."""
        run = self.query_one(RunTable).current
        if run is None:
            return
        from arkor_tui.tui.widgets.dialogs import Ask

        answer = await self.app.push_screen_wait(
            Ask("Tags", "Words, with spaces or commas between them.", value=" ".join(run.tags))
        )
        if answer is not None:
            tags = [tag.lstrip("#") for tag in answer.replace(",", " ").split()]
            await self.session.runs.tag(run.key, tags)
            self._tell_kept(run, " ".join(f"#{tag}" for tag in tags) or "no tags")
            self.load()

    @work(group="edit", exclusive=True)
    async def action_note(self) -> None:
        """Edit the note."""
        run = self.query_one(RunTable).current
        if run is None:
            return
        from arkor_tui.tui.widgets.dialogs import Ask

        answer = await self.app.push_screen_wait(Ask("Note", value=run.note))
        if answer is not None:
            await self.session.runs.note(run.key, answer)
            self._tell_kept(run, f"note: {answer}" if answer else "no note")
            self.load()

    def _tell_kept(self, run: RunRecord, text: str) -> None:
        """A low terminal has no room for tags and note of a run."""
        if self.has_class("-low"):
            said = plain(f"{run.name}: {text}", limit=200, newlines=False)
            self.notify(said, timeout=4, markup=False)

    @work(group="edit", exclusive=True)
    async def action_delete(self) -> None:
        """Delete the marked runs, or this one, from the archive; undone by u."""
        table = self.query_one(RunTable)
        current = table.current
        keys = await self._marked() or ([current.key] if current else [])
        live = {monitor.key for monitor in self.session.monitors.live}
        if live & set(keys):
            self.notify("A run that is live cannot be deleted. Cancel it first.", timeout=4)
            return
        if keys:
            await self.session.runs.delete(keys)
            self._deleted = keys
            table.chosen.difference_update(keys)
            many = f"{len(keys)} runs" if len(keys) > 1 else "1 run"
            self.notify(f"Deleted {many} from the archive; u brings back.", timeout=5)
            self.load()

    @work(group="edit", exclusive=True)
    async def action_undo(self) -> None:
        """Bring back what was deleted last."""
        keys, self._deleted = self._deleted, []
        if not keys:
            self.notify("There is nothing to bring back.", timeout=4)
            return
        await self.session.runs.undelete(keys)
        back = await self.session.runs.known(keys)
        listed = await self.session.runs.among(keys, self._scoped())
        one = len(back) == 1
        what = plain(back[0].name, limit=60, newlines=False) if one else f"{len(back)} runs"
        left = len(back) - len(listed)
        hidden = f" The filter hides {'it' if one else f'{left} of them'}." if left else ""
        self.notify(f"Brought back {what}.{hidden}", timeout=5, markup=False)
        self.load()

    def action_export(self) -> None:
        """Write this run into a file."""
        run = self.query_one(RunTable).current
        if run is not None:
            self.host.export_run(run)

    def action_refresh(self) -> None:
        """Ask the backend now."""
        self._look()

    def action_welcome(self) -> None:
        """What this is, and where to begin."""
        from .welcome import WelcomeScreen

        self.app.push_screen(WelcomeScreen())


_DOWNWARDS = frozenset({"created", "duration", "steps"})
