"""Bisect: from which checkpoint on an answer holds a text, or no longer does."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.asking import AskSettings
from arkor_tui.chat.assertions import Expect, fields_from
from arkor_tui.chat.target import Target
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.session.session import Session
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.widgets.keybar import KeyBar
from arkor_tui.tui.widgets.talk import verdict_mark

from .base import PageScreen

KINDS: tuple[tuple[Literal["contains", "not_contains", "regex", "equals"], str], ...] = (
    ("contains", "its answer has to contain"),
    ("not_contains", "its answer must not contain"),
    ("regex", "its answer has to match the pattern"),
    ("equals", "its answer has to be JSON with FIELD=VALUE"),
)
"""What can be expected of an answer, and how that is asked for."""


class BisectScreen(PageScreen[Target | None]):
    """Asks the ends, then the middle of what is left. Gives the target that was found."""

    ABOUT = (
        "One change between the first and the last target is assumed. ctrl+o chooses what is "
        "expected of the answer: a text in it or not in it, a pattern, or a field of its JSON."
    )
    DEFAULT_CSS = """
    BisectScreen { background: $background; }
    BisectScreen #bisect-head { height: 1; background: $panel; padding: 0 1; }
    BisectScreen Label { height: 1; padding: 0 1; color: $muted; }
    BisectScreen Input { height: 1; border: none; padding: 0 1; background: $surface; }
    BisectScreen Input:focus { border: none; background: $panel; }
    BisectScreen VerticalScroll { height: 1fr; padding: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "field", show=False, priority=True),
        Binding("down", "app.focus_next", "next field", show=False, priority=True),
        Binding("ctrl+o", "kind", "other expectation", id="bisect.kind", priority=True),
        Binding("ctrl+g", "talk", "talk to what was found", id="bisect.talk", priority=True),
        Binding("escape", "dismiss(None)", "back", id="dialog.back"),
    ]

    def __init__(
        self,
        session: Session,
        run: RunRecord,
        targets: list[Target],
        prompt: str,
        settings: AskSettings,
    ) -> None:
        super().__init__()
        self._session, self._record, self._targets = session, run, targets
        self._prompt, self._settings = prompt, settings
        self._lines: list[Content] = []
        self._found: Target | None = None
        self._kind = 0

    def compose(self) -> ComposeResult:
        """What is asked, what is expected, what was found."""
        name = plain(self._record.name, limit=60, newlines=False)
        text = f"Bisect {name}: {len(self._targets)} targets"
        yield Static(Content.styled(text, "bold"), id="bisect-head", markup=False)
        for field, label, value in (
            ("prompt", "prompt", self._prompt),
            ("expected", "", ""),
        ):
            yield Label(label, id=f"bisect-{field}-label", markup=False)
            box = Input(value, id=f"bisect-{field}")
            box.cursor_blink = False
            yield box
        with VerticalScroll():
            yield Static(id="bisect-found", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """The expectation is what is missing."""
        self.query_one("#bisect-expected" if self._prompt else "#bisect-prompt").focus()
        self._show_kind()

    def action_kind(self) -> None:
        """Expect something of another kind."""
        self._kind = (self._kind + 1) % len(KINDS)
        self._show_kind()
        self._forget()

    def _show_kind(self) -> None:
        label = self.query_one("#bisect-expected-label", Label)
        label.update(f"{KINDS[self._kind][1]} (Enter begins)")

    @on(Input.Changed)
    def _forget(self) -> None:
        """A verdict on something else goes, and so does the search for it."""
        self.workers.cancel_group(self, "bisect")
        self._lines, self._found = [], None
        self.query_one("#bisect-found", Static).update("")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        prompt = self.query_one("#bisect-prompt", Input).value.strip()
        expected = self.query_one("#bisect-expected", Input).value
        if not prompt or not expected:
            self.notify("Give a prompt, and what is expected of its answer.", severity="warning")
            return
        kind = KINDS[self._kind][0]
        try:
            value: Any = fields_from([expected]) if kind == "equals" else expected
            expect = Expect(**{kind: value})
        except UsageError as error:
            self.notify(plain(error, limit=300), severity="warning", markup=False)
            return
        self._search(prompt, expect)

    @work(group="bisect", exclusive=True)
    async def _search(self, prompt: str, expect: Expect) -> None:
        from arkor_tui.chat.bisect import bisect_targets
        from arkor_tui.chat.golden import Golden, GoldenAnswer

        self._lines, self._found = [], None
        golden = Golden(prompt, self._settings.system, expect).sampled(self._settings.sampling)

        def tell(target: Target, answer: GoldenAnswer) -> None:
            mark, style = verdict_mark(answer.verdict.passed)
            reply = plain(answer.reply, limit=300, newlines=False)
            self._say(Content.assemble((f"{mark} {target.label:>10}  ", style), reply))

        self._say()
        try:
            found = await bisect_targets(
                lambda target: self._session.infer(self._record, target),
                self._targets, golden, tell,
            )  # fmt: skip
        except ArkorTuiError as error:
            self._say(Content.styled(plain(error, limit=400), "$error"))
            return
        self._found = found.first
        self._say(Content.styled(f"\n{plain(found.text)}", "bold $accent"))

    def _say(self, line: Content | None = None) -> None:
        if line is not None:
            self._lines.append(line)
        shown = Content("\n").join(self._lines) if self._lines else Content("asking the ends …")
        self.query_one("#bisect-found", Static).update(shown)

    def action_talk(self) -> None:
        """Leave with the target that was found."""
        if self._found is None:
            self.notify("Nothing was found yet.", timeout=3)
        else:
            self.dismiss(self._found)
