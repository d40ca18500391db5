"""The time machine: one prompt, answered by the base and by every checkpoint, scrubbed along the
loss curve."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.asking import Answer, AskSettings, ask_each
from arkor_tui.chat.target import Target
from arkor_tui.session.asking import ask
from arkor_tui.session.session import Session
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.chart.frame import LineSpec, Mark
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.host import host_of
from arkor_tui.tui.widgets.keybar import KeyBar
from arkor_tui.tui.widgets.talk import LONGEST, facts_of, verdict_mark
from arkor_tui.tui.widgets.textdiff import diff_content

from .base import PageScreen


class TimeMachineScreen(PageScreen[None]):
    """Left and right go through the checkpoints; words that changed are marked."""

    ABOUT = "○ not asked yet  ● answered  ✗ failed. Each answer is compared with the one before it."
    DEFAULT_CSS = """
    TimeMachineScreen { background: $background; }
    TimeMachineScreen LossChart { height: 2fr; }
    TimeMachineScreen #time-head { height: auto; background: $panel; padding: 0 1; }
    TimeMachineScreen VerticalScroll { height: 3fr; padding: 0 1; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "earlier", id="time.left", priority=True),
        Binding("right,l", "move(1)", "later", id="time.right", priority=True),
        Binding("home,g", "move(-1000)", "base", id="time.first", show=False),
        Binding("end,G", "move(1000)", "last", id="time.last", show=False),
        Binding("d", "diff", "differences", id="time.diff"),
        Binding("y", "copy", "copy", id="time.copy"),
        Binding("escape,q", "dismiss", "back", id="dialog.back"),
    ]

    def __init__(
        self,
        session: Session,
        run: RunRecord,
        targets: Sequence[Target],
        prompt: str,
        messages: Sequence[Mapping[str, Any]],
        settings: AskSettings,
    ) -> None:
        super().__init__()
        self._session, self._record, self._prompt = session, run, prompt
        self._messages, self._settings = messages, settings
        self.answers = [Answer(target) for target in targets]
        self.place = 0
        self._diff = True
        self._touched = False

    def compose(self) -> ComposeResult:
        """Curve, strip of checkpoints, answer."""
        yield LossChart(id="time-chart")
        yield Static(id="time-head", markup=False)
        with VerticalScroll():
            yield Static(id="time-answer", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Draw the curve, and begin to ask."""
        self.query_one(LossChart).can_focus = False
        self.query_one(VerticalScroll).focus()
        self._draw_curve()
        self._ask_all()
        self._show()

    def on_resize(self) -> None:
        """Other targets fit into the strip."""
        self._show()

    @work(group="curve", exclusive=True)
    async def _draw_curve(self) -> None:
        series = await self._session.runs.curves(self._record.key)
        lines = [LineSpec("loss", series["loss"], "solid", "train")]
        if len(series["evalLoss"]):
            lines.append(LineSpec("eval", series["evalLoss"], "dashed", "eval"))
        steps = [a.target.step for a in self.answers if a.target.step is not None]
        self.query_one(LossChart).show(lines, [Mark(step) for step in steps], {})
        self._show()

    @work(group="ask", exclusive=True)
    async def _ask_all(self) -> None:
        """One after the other: quicker on a small machine, and training is disturbed less."""
        group = uuid.uuid4().hex

        def show(answer: Answer) -> None:
            if not self._touched:
                self.place = self.answers.index(answer)
            self._show()

        await ask_each(
            self.answers,
            lambda answer: ask(
                self._session, self._record, answer, self._messages, self._settings, group=group
            ),
            show,
        )

    def action_move(self, by: int) -> None:
        """To another checkpoint."""
        self._touched = True
        self.place = min(max(self.place + by, 0), len(self.answers) - 1)
        self._show()

    def action_diff(self) -> None:
        """Mark differences to the answer before, or show the answer alone."""
        self._diff = not self._diff
        self._show()

    def action_copy(self) -> None:
        """Copy this answer."""
        host_of(self).copy(plain(self.answers[self.place].text))

    def _step_of(self, place: int) -> float | None:
        target = self.answers[place].target
        if target.kind == "final":
            return float(self._record.last_step or 0)
        return float(target.step) if target.step is not None else None

    def _show(self) -> None:
        if not self.is_mounted:
            return
        answer = self.answers[self.place]
        chart = self.query_one(LossChart)
        chart.set_cursor(self._step_of(self.place), tell=False)
        prompt = plain(self._prompt, limit=200, newlines=False)
        done = sum(1 for one in self.answers if one.done)
        head = Content.assemble(
            ("› ", "bold"), prompt, (f"   {done}/{len(self.answers)} answered", "$muted"), "\n"
        )
        self.query_one("#time-head", Static).update(head + self._strip())
        text = plain(answer.text, limit=LONGEST)
        if answer.error is not None:
            hint = f"\n{answer.hint}" if answer.hint else ""
            body = Content.styled(plain(answer.error + hint, limit=600), "$error")
        elif not answer.done:
            body = Content.styled("not answered yet …", "$muted")
        elif self._diff and self.place > 0 and self.answers[self.place - 1].done:
            before = plain(self.answers[self.place - 1].text, limit=LONGEST)
            body = (
                diff_content(before, text)
                if before != text
                else Content(text) + Content.styled("\n\n(the same as before)", "$muted")
            )
        else:
            body = Content(text)
        facts = facts_of(answer)
        if answer.verdict:
            facts += f" · {verdict_mark(answer.passed)[0]} {plain(answer.verdict, limit=200)}"
        self.query_one("#time-answer", Static).update(
            body + Content.styled(f"\n\n{facts}", "$muted")
        )

    def _strip(self) -> Content:
        """The targets in one row, as many as fit around the one that is shown."""
        labels = []
        for one in self.answers:
            mark = "✗" if one.error else "●" if one.done else "○"
            labels.append(f" {mark} {one.target.label} ")
        shown = around([len(label) + 1 for label in labels], self.place, self.size.width - 6)
        parts = [Content.styled("‹ " if shown.start else "  ", "$muted")]
        for place in shown:
            style = "bold reverse" if place == self.place else "$muted"
            parts += [Content.styled(labels[place], style), Content(" ")]
        parts.append(Content.styled("›" if shown.stop < len(labels) else "", "$muted"))
        return Content.assemble(*parts)


def around(widths: Sequence[int], place: int, room: int) -> range:
    """The places that fit into ``room`` cells around ``place``, which is always among them."""
    start, stop = place, place + 1
    room -= widths[place]
    while True:
        if start > 0 and widths[start - 1] <= room:
            start -= 1
            room -= widths[start]
            if stop < len(widths) and widths[stop] <= room:
                room -= widths[stop]
                stop += 1
        elif stop < len(widths) and widths[stop] <= room:
            room -= widths[stop]
            stop += 1
        else:
            return range(start, stop)
