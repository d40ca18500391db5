"""The log of a run with its title, filter and search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from arkor_tui.archive.records import LogRow
from arkor_tui.session.updates import Update
from arkor_tui.text.sanitize import plain

from .eventdetail import EventDetail
from .eventlog import EventLog

if TYPE_CHECKING:
    from arkor_tui.session.runlog import RunLog

FILTERS: tuple[tuple[str, frozenset[str] | None], ...] = (
    ("all events", None),
    ("start, checkpoints, end", frozenset({
        "training.started", "training.resumed", "checkpoint.saved", "training.completed",
        "training.failed",
    })),
    ("checkpoints", frozenset({"checkpoint.saved"})),
)  # fmt: skip


class LogPane(Vertical):
    """Everything that was archived of a run, and what comes in; keys of the screen act on it."""

    DEFAULT_CSS = """
    LogPane #search { height: 1; border: none; padding: 0 1; background: $panel; }
    """

    class StepReached(Message):
        """The cursor came to an event of ``step``; ``by_hand`` if a person moved it."""

        def __init__(self, step: int, by_hand: bool) -> None:
            super().__init__()
            self.step, self.by_hand = step, by_hand

    def __init__(self, events: RunLog, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._events = events
        self._key: int | None = None
        self._filter = 0
        self._text = ""
        """Only events that hold this are shown, if there is any."""
        self._search = ""
        self._found: int | None = None
        """How many events hold what is searched for, once that is counted."""
        self._matching: Sequence[int] | None = None
        self._syncing = False

    def compose(self) -> ComposeResult:
        """Title, list, and a line to type in."""
        yield Static(id="log-title", markup=False)
        yield EventLog(id="log")
        yield Input(id="search", placeholder="search the log, Enter keeps, Esc clears")

    def on_mount(self) -> None:
        """Quiet input."""
        field = self.query_one("#search", Input)
        field.display = False
        field.cursor_blink = False

    @property
    def log_list(self) -> EventLog:
        """The list itself."""
        return self.query_one(EventLog)

    def show_run(self, key: int) -> None:
        """Show another run from its newest event on."""
        self._key, self._filter, self._text, self._matching, self._search = key, 0, "", None, ""
        self._found = None
        self.query_one("#search", Input).display = False
        self.log_list.following = True
        self.load()

    def grow(self, update: Update) -> None:
        """Take in events that have just been archived."""
        if not update.rows:
            return
        if self._matching is None:
            self.log_list.grow(update.rows[-1].seq, update.rows)
        else:
            self.load()

    @work(group="log", exclusive=True)
    async def load(self) -> None:
        """Read the log again, as it is filtered."""
        await self._load()

    async def _load(self) -> None:
        if self._key is None:
            return
        before = self.log_list.current
        key, events = self._key, self._events
        kinds = FILTERS[self._filter][1]
        log = self.log_list
        if kinds is None and not self._text:
            count = await events.count(key)

            async def fetch(offset: int, limit: int) -> Sequence[LogRow]:
                return await events.page(key, after=offset, limit=limit)

            self._matching = None
            start = max(count - 200, 0) // 100 * 100
            rows = await events.page(key, after=start, limit=300)
            log.show(count, fetch)
            log.prime(rows, start)
        else:
            text = self._text
            matching = await events.matching(key, kinds=kinds or (), text=text)
            self._matching = matching

            async def fetch(offset: int, limit: int) -> Sequence[LogRow]:
                wanted = list(matching[offset : offset + limit])
                return await events.rows(key, wanted)

            log.show(len(matching), fetch)
        log.sought = self._text or self._search
        if log.following:
            log.to_end()
        elif before is not None:  # the same event as before, wherever it is now
            log.cursor = self._index_of(before.seq)
            log.reveal(log.cursor)
        self._show_title()

    def _show_title(self) -> None:
        label = FILTERS[self._filter][0]
        title = f" Log · {label}" + (" (v next kind)" if self._filter else "")
        if self._text:
            title += f" · with “{self._text}” (Esc shows all)"
        elif self._search:
            many = "" if self._found is None else f"{self._found:,} found, "
            title += f" · “{self._search}”: {many}n next, N previous, V only these"
        self.query_one("#log-title", Static).update(Content(title))

    def next_filter(self) -> None:
        """Show other kinds of events only."""
        self._filter = (self._filter + 1) % len(FILTERS)
        self.load()

    def only_found(self) -> None:
        """Show only events that hold what was searched for, or all again."""
        self._text = "" if self._text else self._search
        self.load()

    # searching

    def begin_search(self) -> None:
        """Type what to look for."""
        field = self.query_one("#search", Input)
        field.display = True
        field.focus()

    @on(Input.Submitted, "#search")
    async def _searched(self, message: Input.Submitted) -> None:
        message.stop()
        self._search, self._found = plain(message.value, limit=200, newlines=False), None
        message.input.display = False
        self.log_list.focus()
        self._text = ""
        if self._search:
            self.search_next(False, first=True)
        else:
            self.load()

    @work(group="search", exclusive=True)
    async def search_next(self, forward: bool, first: bool = False) -> None:
        """Go to the next or previous event that holds the text."""
        key, text = self._key, self._search
        if key is None or not text:
            return
        if first or self._filter or self._text:
            self._filter, self._text = 0, ""
            await self._load()
        log = self.log_list
        start = log.count + 1 if first else log.cursor + 1
        seq = await self._events.search(key, text, start=start, forward=forward)
        if seq is None:
            where = "below" if forward else "above"
            said = f"No event holds “{text}”." if first else f"No more “{text}” {where}."
            self.notify(said, markup=False, timeout=3)
        else:
            log.following = False
            log.cursor = seq - 1
        if self._found is None:
            self._found = await self._events.count_matching(key, text)
            self._show_title()

    def step_back(self) -> bool:
        """Put away the search field, the text filter, then the search; False if none was there."""
        field = self.query_one("#search", Input)
        if field.display:
            field.display = False
            field.value = ""
            self.log_list.focus()
        elif self._text:
            self._text = ""
            self.load()
        elif self._search:
            self._search, self._found = "", None
            self.load()
        else:
            return False
        return True

    # the cursor

    @work(group="cursor", exclusive=True)
    async def go_to_step(self, step: int) -> None:
        """Put the cursor on the event of a step."""
        key = self._key
        if key is None or self._syncing:
            return
        seq = await self._events.of_step(key, step)
        if seq is None:
            return
        self.log_list.following = False
        self._syncing = True
        self.log_list.cursor = self._index_of(seq)
        self.call_after_refresh(self._synced)

    def _synced(self) -> None:
        self._syncing = False

    def _index_of(self, seq: int) -> int:
        if self._matching is None:
            return seq - 1
        places = [place for place, found in enumerate(self._matching) if found <= seq]
        return places[-1] if places else 0

    @on(EventLog.Moved, "#log")
    def _moved(self, message: EventLog.Moved) -> None:
        message.stop()
        row = message.item
        if isinstance(row, LogRow) and row.step is not None and not self._syncing:
            log = self.log_list
            self.post_message(self.StepReached(row.step, not log.following and log.has_focus))

    @on(EventLog.Chosen, "#log")
    def _chosen(self, message: EventLog.Chosen) -> None:
        message.stop()
        if isinstance(message.item, LogRow):
            self.app.push_screen(EventDetail(message.item))

    @property
    def current_text(self) -> str | None:
        """The event under the cursor as JSON."""
        row = self.log_list.current
        return plain(row.data) if row is not None else None
