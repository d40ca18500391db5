"""The checkpoints of a run, each ready to be talked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from arkor_tui.archive.records import CheckpointRow
from arkor_tui.tui.text import clock, number

from .paged import PagedList, Part

TITLE = f" Checkpoints{'loss':>7} {'eval':>8}  saved"
"""A heading over the columns."""


class CheckpointList(PagedList[CheckpointRow]):
    """Newest last; Enter talks to the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "talk to it", id="checkpoints.choose"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, empty="none saved yet")
        self._rows: Sequence[CheckpointRow] = ()
        self._marked: int | None = None

    def show_rows(self, rows: Sequence[CheckpointRow], *, final: bool = False) -> None:
        """Show these; ``final`` says that the last is the final adapter too."""
        del final
        at_last = self.cursor >= self.count - 1
        self._rows = rows

        async def fetch(offset: int, limit: int) -> Sequence[CheckpointRow]:
            return rows[offset : offset + limit]

        self.show(len(rows), fetch)
        self.prime(rows)
        if at_last:
            self.cursor = max(len(rows) - 1, 0)

    def mark(self, step: int) -> None:
        """Point at the checkpoint that was the newest at ``step``."""
        found = [row.step for row in self._rows if row.step <= step]
        marked = found[-1] if found else None
        if marked != self._marked:
            self._marked = marked
            self.refresh()

    def parts(self, index: int, item: CheckpointRow, width: int) -> list[Part]:
        """Step, losses, time."""
        pointer = "▸" if item.step == self._marked else " "
        parts: list[Part] = [
            (f"{pointer}◆ {item.step:<7}", "paged--accent"),
            (f" {number(item.loss):>8}", ""),
            (f" {number(item.eval_loss):>8}", "paged--strong"),
        ]
        if width >= 38:
            parts.append((f"  {clock(item.at)}", "paged--muted"))
        return parts
