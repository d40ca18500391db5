"""Blind A/B: two answers, nobody says whose; press 1, 2 or t."""

from __future__ import annotations

import asyncio
import random
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.asking import Answer, AskSettings
from arkor_tui.chat.blind import Vote
from arkor_tui.chat.golden import messages_of
from arkor_tui.chat.target import Target
from arkor_tui.session.asking import ask, save_vote, tally_of
from arkor_tui.session.session import Session
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.widgets.keybar import KeyBar
from arkor_tui.tui.widgets.talk import LONGEST

from .base import PageScreen


class BlindScreen(PageScreen[None]):
    """Asks both at once and shows the answers in an order that chance decides each time."""

    ABOUT = (
        "r, or ctrl+r while a prompt is typed, shows whose answers won so far, in all sittings, "
        "and whether that is more than chance."
    )
    DEFAULT_CSS = """
    BlindScreen { background: $background; }
    BlindScreen #blind-head { height: auto; background: $panel; padding: 0 1; }
    BlindScreen Horizontal { height: 1fr; }
    BlindScreen VerticalScroll { width: 1fr; padding: 0 1; border: round $panel; }
    BlindScreen VerticalScroll:focus { border: round $primary; }
    BlindScreen Input { height: 1; border: none; padding: 0 1; background: $surface; }
    BlindScreen Input:focus { border: none; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "vote('first')", "first is better", id="blind.first"),
        Binding("2", "vote('second')", "second is better", id="blind.second"),
        Binding("t", "vote('tie')", "tie", id="blind.tie"),
        Binding("r", "reveal", "reveal", id="blind.reveal"),
        Binding("ctrl+r", "reveal", "reveal", id="blind.reveal-always", priority=True),
        Binding("tab", "app.focus_next", "next pane", show=False),
        Binding("escape", "dismiss", "back", id="dialog.back"),
    ]

    def __init__(
        self,
        session: Session,
        run: RunRecord,
        targets: tuple[Target, Target],
        prompt: str,
        settings: AskSettings,
    ) -> None:
        super().__init__()
        self._session, self._record, self._targets = session, run, targets
        self._prompt, self._settings = prompt, settings
        self._answers: tuple[Answer, Answer] | None = None
        self._asked = ""
        self._votes = 0
        self._revealed = ""

    def compose(self) -> ComposeResult:
        """Head, two answers, prompt."""
        yield Static(id="blind-head", markup=False)
        with Horizontal():
            for number in (1, 2):
                with VerticalScroll(id=f"blind-pane-{number}") as pane:
                    pane.border_title = str(number)
                    yield Static(id=f"blind-{number}", markup=False)
        box = Input(self._prompt, placeholder="a prompt; Enter asks both", id="blind-prompt")
        box.cursor_blink = False
        yield box
        yield KeyBar()

    def on_mount(self) -> None:
        """Ask what was typed before, if anything was."""
        self.query_one(Input).focus()
        self._show()
        if self._prompt.strip():
            self._ask(self._prompt)

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        if message.value.strip():
            self._ask(message.value)

    @work(group="blind", exclusive=True)
    async def _ask(self, prompt: str) -> None:
        first, second = random.sample(self._targets, 2)
        answers = (Answer(first), Answer(second))
        self._answers, self._asked, self._revealed = answers, prompt, ""
        self._show()
        messages = messages_of(prompt, self._settings.system)
        # both are shown when both are there: the faster one would give itself away
        async with asyncio.TaskGroup() as group:
            for answer in answers:
                group.create_task(
                    ask(self._session, self._record, answer, messages, self._settings)
                )
        self.query_one("#blind-pane-1").focus()
        self._show()

    @property
    def _is_asked(self) -> bool:
        answers = self._answers
        return answers is not None and all(one.done and one.error is None for one in answers)

    @work(group="vote", exclusive=True)
    async def action_vote(self, vote: Vote) -> None:
        """Prefer one answer, or neither."""
        answers = self._answers
        if not self._is_asked or answers is None:
            self.notify("There is nothing to vote on: Enter asks both.", timeout=3)
            return
        self._answers = None
        first, second = answers
        await save_vote(
            self._session, self._record.key, self._asked, first.target, second.target, vote
        )
        self._votes += 1
        self.query_one(Input).focus()
        self._show()

    @work(group="reveal", exclusive=True)
    async def action_reveal(self) -> None:
        """The tally of these two, of all sittings."""
        self._revealed = (await tally_of(self._session, self._record.key, *self._targets)).text
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        name = plain(self._record.name, limit=40, newlines=False)
        labels = " and ".join(target.label for target in self._targets)
        answers = self._answers
        if answers is not None and not all(one.done for one in answers):
            state = "both are answering …"
        elif self._is_asked:
            state = "which one is better?"
        else:
            state = "Enter asks both"
        votes = f"{self._votes} vote{'' if self._votes == 1 else 's'}"
        head = Content.assemble(
            ("Blind A/B", "bold"), f" · {name}: {labels} · {votes} now · ",
            (state, "bold $accent"),
        )  # fmt: skip
        if self._revealed:
            head = head + Content.styled(f"\n{plain(self._revealed)}", "bold")
        self.query_one("#blind-head", Static).update(head)
        for number in (1, 2):
            answer = answers[number - 1] if answers is not None else None
            both = answers is not None and all(one.done for one in answers)
            if answer is None or not both:
                body = Content("")
            elif answer.error is not None:
                body = Content.styled(plain(f"{answer.error}\n{answer.hint}", limit=600), "$error")
            else:
                body = Content(plain(answer.text, limit=LONGEST) or "(an empty answer)")
            self.query_one(f"#blind-{number}", Static).update(body)
