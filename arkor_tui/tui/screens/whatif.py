"""What other guard settings would have done to a run: the curve, and where it would have ended."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Label, Static

from arkor_tui.archive.records import RunRecord
from arkor_tui.errors import UsageError
from arkor_tui.session.session import Session
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.chart.frame import LineSpec, Mark
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.widgets.keybar import KeyBar

from .base import PageScreen

FIELDS = (
    ("ceiling", "ceiling", "a loss, such as 5"),
    ("window", "window", "mean of so many losses"),
    ("patience", "patience", "logs without a better loss"),
    ("min_delta", "min delta", "by how much a minimum counts"),
    ("metric", "metric", "loss or eval_loss"),
)
USUAL = {"ceiling": "5", "patience": "30", "metric": "loss"}
TYPING_SECONDS = 0.3


class WhatIfScreen(PageScreen[None]):
    """Type settings; the curve shows where the run would have stopped."""

    ABOUT = "Every change runs the whole log through the guards again."
    DEFAULT_CSS = """
    WhatIfScreen { background: $background; }
    WhatIfScreen #whatif-head { height: 1; background: $panel; padding: 0 1; }
    WhatIfScreen LossChart { height: 1fr; }
    WhatIfScreen #whatif-found { height: auto; max-height: 6; padding: 0 1; background: $panel; }
    WhatIfScreen Horizontal { height: 1; }
    WhatIfScreen Label { width: 12; padding-left: 1; color: $muted; }
    WhatIfScreen Input { width: 40; height: 1; border: none; padding: 0 1; background: $surface; }
    WhatIfScreen Input:focus { background: $panel; text-style: bold; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "field", show=False, priority=True),
        Binding("down,enter", "app.focus_next", "next field", priority=True),
        Binding("escape", "dismiss", "back", id="dialog.back"),
    ]

    def __init__(self, session: Session, run: RunRecord) -> None:
        super().__init__()
        self._session, self._record = session, run

    def compose(self) -> ComposeResult:
        """Curve, finding, fields."""
        name = plain(self._record.name, limit=60, newlines=False)
        yield Static(f"What if: {name}", id="whatif-head", markup=False)
        yield LossChart(id="whatif-chart")
        yield Static("…", id="whatif-found", markup=False)
        for field, label, hint in FIELDS:
            with Horizontal():
                yield Label(label, markup=False)
                box = Input(USUAL.get(field, ""), placeholder=hint, id=f"whatif-{field}")
                box.cursor_blink = False
                yield box
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin with the recipe's own settings."""
        self.query_one(LossChart).can_focus = False
        self.query(Input).first().focus()
        self._try()

    @on(Input.Changed)
    def _changed(self) -> None:
        self.set_timer(TYPING_SECONDS, self._try, name="typed")

    @work(group="what-if", exclusive=True)
    async def _try(self) -> None:
        from arkor_tui.recipes.whatif import settings_of

        found_text = self.query_one("#whatif-found", Static)
        runs, key = self._session.runs, self._record.key
        try:
            texts = {f: self.query_one(f"#whatif-{f}", Input).value for f, *_ in FIELDS}
            settings = settings_of(texts)
            found = await runs.what_if(key, settings)
        except UsageError as error:
            found_text.update(Content.styled(plain(error, limit=200), "$error"))
            return
        lines = found.lines()
        style = "bold $warning" if found.step is not None else "bold"
        shown = Content.styled(plain(lines[0]), style)
        found_text.update(Content("\n").join([shown, *(Content(plain(one)) for one in lines[1:])]))
        series = await runs.curves(key)
        curves = [LineSpec("loss", series["loss"], "solid", "train")]
        if len(series["evalLoss"]):
            curves.append(LineSpec("eval", series["evalLoss"], "dashed", "eval"))
        marks = [Mark(found.step, "stop")] if found.step is not None else []
        chart = self.query_one(LossChart)
        chart.show(curves, marks, {})
        chart.set_cursor(float(found.step) if found.step is not None else None, tell=False)
