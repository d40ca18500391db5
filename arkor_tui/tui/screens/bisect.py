"""Bisect: from which checkpoint on an answer holds a text, or no longer does."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from arkor_tui.errors import ArkorTuiError
from arkor_tui.history.records import RunRecord
from arkor_tui.monitor.asking import AskSettings
from arkor_tui.monitor.session import Session
from arkor_tui.monitor.updates import Target
from arkor_tui.plain import plain
from arkor_tui.tui.widgets.keybar import KeyBar


class BisectScreen(ModalScreen[Target | None]):
    """Asks the ends, then the middle of what is left. Gives the target that was found."""

    ABOUT = "One change between the first and the last target is assumed."
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
        self._found: str | None = None

    def compose(self) -> ComposeResult:
        """What is asked, what is expected, what was found."""
        name = plain(self._record.name, limit=60, newlines=False)
        text = f"Bisect {name}: {len(self._targets)} targets"
        yield Static(Content.styled(text, "bold"), id="bisect-head", markup=False)
        for field, label, value in (
            ("prompt", "prompt", self._prompt),
            ("contains", "its answer has to contain (Enter begins)", ""),
        ):
            yield Label(label, markup=False)
            box = Input(value, id=f"bisect-{field}")
            box.cursor_blink = False
            yield box
        with VerticalScroll():
            yield Static(id="bisect-found", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """The expectation is what is missing."""
        self.query_one("#bisect-contains" if self._prompt else "#bisect-prompt").focus()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        prompt = self.query_one("#bisect-prompt", Input).value.strip()
        expected = self.query_one("#bisect-contains", Input).value
        if not prompt or not expected:
            self.notify("Give a prompt, and what its answer has to contain.", severity="warning")
            return
        self._search(prompt, expected)

    @work(group="bisect", exclusive=True)
    async def _search(self, prompt: str, expected: str) -> None:
        from arkor_tui.monitor.probing import bisect_run
        from arkor_tui.recipes.assertions import Expect
        from arkor_tui.recipes.probe import GoldenAnswer
        from arkor_tui.recipes.prompts import Golden

        self._lines, self._found = [], None
        settings = self._settings
        golden = Golden(
            prompt, settings.system or None, Expect(contains=expected),
            temperature=settings.temperature or 0.0, max_tokens=settings.max_tokens or 200,
            seed=settings.seed if settings.seed is not None else 0,
        )  # fmt: skip

        def tell(target: Target, answer: GoldenAnswer) -> None:
            passed = answer.verdict.passed
            mark, style = ("✓", "$success") if passed else ("✗", "$error")
            reply = plain(answer.reply, limit=300, newlines=False)
            self._say(Content.assemble((f"{mark} {target.label:>10}  ", style), reply))

        self._say()
        try:
            found = await bisect_run(self._session, self._targets, golden, tell)
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
        self.dismiss(next((t for t in self._targets if t.label == self._found), None))
