"""Several runs: curves over each other, settings side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.records import RunRecord
from arkor_tui.archive.series import Series
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.chart.frame import LineSpec
from arkor_tui.tui.chart.widget import LossChart
from arkor_tui.tui.text import duration, fit, loss, number
from arkor_tui.tui.widgets.keybar import KeyBar

from .base import PageScreen

Row = tuple[str, list[str]]


def rows_of(runs: Sequence[RunRecord]) -> list[Row]:
    """What the table shows: results first, then every setting that any run has."""
    rows: list[Row] = [
        ("status", [run.status for run in runs]),
        ("final loss", [loss(run.last_loss, run.odd_loss) for run in runs]),
        ("best loss", [number(run.best_loss) for run in runs]),
        ("final eval", [loss(run.last_eval_loss, run.odd_eval_loss) for run in runs]),
        ("best eval", [number(run.best_eval_loss) for run in runs]),
        ("steps", [str(run.last_step or 0) for run in runs]),
        ("duration", [duration(run.duration) for run in runs]),
    ]
    flat = [_flat(run.config) for run in runs]
    names = list(dict.fromkeys(name for config in flat for name in config))
    rows += [(name, [config.get(name, "—") for config in flat]) for name in names]
    return rows


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            found[plain(f"{prefix}{name}", limit=60, newlines=False)] = text
    return found


class CompareScreen(PageScreen[None]):
    """Two to four runs. What differs is marked, and not by colour alone."""

    ABOUT = "≠ marks the rows in which the runs differ."
    DEFAULT_CSS = """
    CompareScreen { background: $background; }
    CompareScreen LossChart { height: 1fr; }
    CompareScreen VerticalScroll { height: 1fr; border-top: solid $panel; }
    CompareScreen Static { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "back", id="dialog.back"),
        Binding("v", "values", "train/eval", id="compare.values"),
    ]

    def __init__(self, runs: Sequence[RunRecord], series: Sequence[Mapping[str, Series]]) -> None:
        super().__init__()
        self._runs, self._series = runs, series
        self._evals = False

    def compose(self) -> ComposeResult:
        """Chart, table."""
        yield LossChart(id="compare-chart")
        with VerticalScroll():
            yield Static(self._table(), id="compare-table", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """The curves."""
        self._show()
        self.query_one(LossChart).focus()

    def on_resize(self) -> None:
        """Narrow columns rather than columns that nobody sees."""
        self.query_one("#compare-table", Static).update(self._table())

    def action_values(self) -> None:
        """Train loss, or eval loss."""
        self._evals = not self._evals
        self._show()

    def _show(self) -> None:
        name = "evalLoss" if self._evals else "loss"
        lines = [
            LineSpec(
                f"{place}:{plain(run.name, limit=18, newlines=False)}", series[name], "solid",
                f"run{place}",
            )
            for place, (run, series) in enumerate(zip(self._runs, self._series, strict=True), 1)
            if name in series
        ]  # fmt: skip
        self.query_one(LossChart).show(lines, (), {})

    def _table(self) -> Content:
        room = (self.app.size.width - 28) // max(len(self._runs), 1)
        cells = min(max(room, 8), 40)
        head = "".join(
            fit(f"{place}: {plain(run.name, limit=60, newlines=False)}", cells - 1) + " "
            for place, run in enumerate(self._runs, 1)
        )
        lines = [Content.styled(fit("", 26) + head, "bold")]
        for name, values in rows_of(self._runs):
            differs = len(set(values)) > 1
            text = "".join(fit(plain(v, limit=60, newlines=False), cells - 1) + " " for v in values)
            mark = "≠ " if differs else "  "
            lines.append(
                Content.assemble((mark + fit(name, 24), "$muted"),
                                 (text, "bold" if differs else "$muted"))
            )  # fmt: skip
        return Content("\n").join(lines)
