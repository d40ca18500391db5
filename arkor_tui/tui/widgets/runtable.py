"""The list of runs, one row each."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from arkor_tui.archive.records import RunRecord
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.chart.spark import sparkline
from arkor_tui.tui.text import MARKS, STATUS_PARTS, duration, fit, loss, when

from .paged import PagedList, Part

NOTHING = "no runs yet: 2 sets one up, w shows the welcome"


class RunTable(PagedList[RunRecord]):
    """One row a run; columns come and go with the width."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", id="runs.open"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, empty=NOTHING)
        self.ascii_only = False
        self.chosen: set[int] = set()

    def columns(self, width: int) -> list[tuple[str, int]]:
        """Names and widths of what fits."""
        spare = width - 2 - 12 - 11 - 9 - 12
        name = 20 if width < 100 else min(max(spare - 32, 20), 36)
        columns = [("", 2), ("name", name), ("status", 12), ("step", 11), ("loss", 9)]
        rest = width - sum(w for _, w in columns)
        for column, need in (
            ("curve", 14), ("created", 13), ("eval", 9), ("time", 9), ("project", 18),
            ("model", 26), ("tags", 20),
        ):  # fmt: skip
            if rest >= need:
                columns.append((column, need))
                rest -= need
        return columns

    def heading(self, width: int) -> str:
        """The row above."""
        return "".join(fit(name, cells) for name, cells in self.columns(width))

    def parts(self, index: int, item: RunRecord, width: int) -> list[Part]:
        """The cells of a run."""
        columns = self.columns(width)
        found = []
        for name, cells in columns:
            text, style = self._cell(name, item, cells - 1)
            if name == "name":
                text, more = fit(text, cells - 1).rstrip(), self._marks(item, columns)
                found += [(text, style), (fit(more, cells - len(text)), "paged--accent")]
            else:
                found.append((fit(text, cells - 1) + " ", style))
        return found

    def _marks(self, run: RunRecord, columns: list[tuple[str, int]]) -> str:
        """What stands behind a name: a dry run; tags where they have no column."""
        marks = ["dry run"] if run.config.get("dryRun") is True else []
        if all(name != "tags" for name, _ in columns):
            marks += [f"#{plain(tag, limit=40, newlines=False)}" for tag in run.tags]
        return "".join(f" {mark}" for mark in marks)

    def _cell(self, name: str, run: RunRecord, cells: int) -> Part:
        def safe(text: str) -> str:
            return plain(text, limit=200, newlines=False)

        steps = str(run.last_step or 0) + (f"/{run.max_steps}" if run.max_steps else "")
        cell: dict[str, Part] = {
            "": ("◉" if run.key in self.chosen else " ", "paged--accent"),
            "name": (safe(run.name), "paged--strong"),
            "status": (
                f"{MARKS.get(run.status, '?')} {safe(run.status)}",
                STATUS_PARTS.get(run.status, ""),
            ),
            "step": (steps, ""),
            "loss": (loss(run.last_loss, run.odd_loss), ""),
            "eval": (loss(run.last_eval_loss, run.odd_eval_loss), ""),
            "time": (duration(run.duration), "paged--muted"),
            "created": (when(run.created_at), "paged--muted"),
            "curve": (
                sparkline(run.sparkline, cells, ascii_only=self.ascii_only), "paged--accent",
            ),
            "model": (safe(run.model), "paged--muted"),
            "project": (
                safe(f"{run.identity.backend}/{run.identity.project}"), "paged--muted",
            ),
            "tags": (safe(" ".join(f"#{tag}" for tag in run.tags)), "paged--accent"),
        }  # fmt: skip
        return cell[name]
