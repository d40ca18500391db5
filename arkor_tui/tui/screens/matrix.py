"""Samples of golden prompts: prompts by checkpoints, and the answer under the cursor."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.matrix import SampleMatrix
from arkor_tui.archive.records import RunRecord, Sample
from arkor_tui.session.session import Session
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.host import host_of
from arkor_tui.tui.widgets.keybar import KeyBar
from arkor_tui.tui.widgets.talk import LONGEST, verdict_mark
from arkor_tui.tui.widgets.textdiff import diff_content

from .base import PageScreen

CELL = 7
NAME = 26
REFRESH_SECONDS = 2.0


class MatrixScreen(PageScreen[None]):
    """Arrows go through the answers; words that changed since the one before are marked."""

    ABOUT = "✓ passed  ✗ failed  ● not judged  · not asked"
    DEFAULT_CSS = """
    MatrixScreen { background: $background; }
    MatrixScreen #matrix-head { height: 1; background: $panel; padding: 0 1; }
    MatrixScreen #matrix-grid { height: auto; max-height: 50%; padding: 0 1; }
    MatrixScreen VerticalScroll { height: 1fr; padding: 0 1; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(0, -1)", "earlier", id="matrix.left", priority=True),
        Binding("right,l", "move(0, 1)", "later", id="matrix.right", priority=True),
        Binding("up,k", "move(-1, 0)", "prompts", id="matrix.up", priority=True),
        Binding("down,j", "move(1, 0)", "next prompt", id="matrix.down", priority=True, show=False),
        Binding("pagedown", "scroll_answer(1)", "scroll", id="matrix.scroll", priority=True,
                show=False),
        Binding("pageup", "scroll_answer(-1)", "scroll up", id="matrix.scroll-up", priority=True,
                show=False),
        Binding("d", "diff", "differences", id="matrix.diff"),
        Binding("y", "copy", "copy", id="matrix.copy"),
        Binding("escape,q", "dismiss", "back", id="dialog.back"),
    ]  # fmt: skip

    def __init__(self, session: Session, run: RunRecord) -> None:
        super().__init__()
        self._session, self._record = session, run
        self._matrix = SampleMatrix([])
        self._row = self._column = 0
        self._touched = False
        self._diff = True

    def compose(self) -> ComposeResult:
        """Title, grid, answer."""
        yield Static(id="matrix-head", markup=False)
        yield Static(id="matrix-grid", markup=False)
        with VerticalScroll():
            yield Static(id="matrix-answer", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Read the samples, and again while more may come."""
        self._load()
        if not self._record.is_terminal:
            self.set_interval(REFRESH_SECONDS, self._load)

    @work(group="samples", exclusive=True)
    async def _load(self) -> None:
        matrix = await self._session.transcripts.samples(self._record.key)
        grown = len(matrix.columns) != len(self._matrix.columns)
        self._matrix = matrix
        if grown and not self._touched:
            self._column = max(len(matrix.columns) - 1, 0)
        self._show()

    def action_move(self, rows: int, columns: int) -> None:
        """To another prompt or another checkpoint."""
        self._touched = self._touched or columns != 0
        self._row = min(max(self._row + rows, 0), max(len(self._matrix.rows) - 1, 0))
        self._column = min(max(self._column + columns, 0), max(len(self._matrix.columns) - 1, 0))
        self.query_one(VerticalScroll).scroll_home(animate=False)
        self._show()

    def action_scroll_answer(self, by: int) -> None:
        """Scroll a long answer."""
        pane = self.query_one(VerticalScroll)
        pane.scroll_relative(y=by * max(pane.size.height - 1, 1), animate=False)

    def action_diff(self) -> None:
        """Mark differences to the answer before, or show the answer alone."""
        self._diff = not self._diff
        self._show()

    def action_copy(self) -> None:
        """Copy this answer."""
        sample = self._sample()
        if sample is not None:
            host_of(self).copy(plain(sample.reply))

    def _sample(self) -> Sample | None:
        matrix = self._matrix
        return matrix.cell(self._row, self._column) if matrix.rows and matrix.columns else None

    def on_resize(self) -> None:
        """Other columns fit."""
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        name = _cut(plain(self._record.name, newlines=False), 24)
        head = Content.assemble((f"Samples of {name}", "bold"), ("   " + self.ABOUT, "$muted"))
        self.query_one("#matrix-head", Static).update(head)
        grid = self.query_one("#matrix-grid", Static)
        answer = self.query_one("#matrix-answer", Static)
        if not self._matrix.rows:
            grid.update(Content("No samples yet."))
            answer.update(
                Content.styled(
                    "Golden prompts are asked at every checkpoint: give them in Setup, or use "
                    "PromptProbe in the trainer file. `arkor-tui probe RUN --prompts FILE` asks "
                    "them afterwards.",
                    "$muted",
                )
            )
            return
        grid.update(self._grid())
        answer.update(self._answer())

    def _grid(self) -> Content:
        matrix = self._matrix
        name = min(NAME, self.size.width // 3)
        fit = max((self.size.width - name - 4) // CELL, 1)
        first = min(max(self._column - fit + 1, 0), max(len(matrix.columns) - fit, 0))
        shown = range(first, min(first + fit, len(matrix.columns)))
        high = max(self.size.height // 2 - 3, 1)
        top = min(max(self._row - high + 1, 0), max(len(matrix.rows) - high, 0))
        labels = "".join(f"{matrix.columns[column].label:>{CELL}}" for column in shown)
        more = "‹" if first else " "
        lines = [Content.styled(f"{'':{name}}{more}{labels}", "$muted")]
        for row in range(top, min(top + high, len(matrix.rows))):
            text = _cut(plain(matrix.rows[row].text, newlines=False), name - 1)
            here = row == self._row
            parts: list[Content] = [Content.styled(f"{text:{name}} ", "bold" if here else "")]
            for column in shown:
                mark, style = _mark(matrix.cell(row, column))
                cell = Content.styled(f"{mark:>{CELL}}", style)
                if here and column == self._column:
                    cell = Content.styled(f"{' ' * (CELL - 3)}[{mark}]", f"bold reverse {style}")
                parts.append(cell)
            lines.append(Content.assemble(*parts))
        passed = "".join(_share(matrix.passed(column)) for column in shown)
        lines.append(Content.styled(f"{'passed':{name}} {passed}", "$muted"))
        return Content("\n").join(lines)

    def _answer(self) -> Content:
        matrix, sample = self._matrix, self._sample()
        prompt = plain(matrix.rows[self._row].text, limit=400, newlines=False)
        label = matrix.columns[self._column].label
        head = Content.assemble((f"{label} › ", "bold"), prompt, "\n\n")
        if sample is None:
            return head + Content.styled("not asked", "$muted")
        text = plain(sample.reply, limit=LONGEST)
        before = matrix.before(self._row, self._column)
        body = Content(text)
        if self._diff and before is not None:
            earlier = plain(before.reply, limit=LONGEST)
            body = (
                diff_content(earlier, text)
                if earlier != text
                else body + Content.styled("\n\n(the same as before)", "$muted")
            )
        mark, style = _mark(sample)
        facts = f"\n\n{mark} {plain(sample.verdict, limit=300)}" if sample.verdict else ""
        took = f"   {sample.seconds:.1f} s" if sample.seconds is not None else ""
        return head + body + Content.styled(facts, style) + Content.styled(took, "$muted")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _mark(sample: Sample | None) -> tuple[str, str]:
    if sample is None:
        return "·", "$muted"
    return verdict_mark(sample.passed)


def _share(counts: tuple[int, int]) -> str:
    passed, judged = counts
    return f"{f'{passed}/{judged}' if judged else '':>{CELL}}"
