"""The list of those that can be talked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from arkor_tui.chat.target import LATEST, Target
from arkor_tui.tui.text import number

from .paged import PagedList, Part

MOST_TARGETS = 4


class TargetList(PagedList[Target]):
    """What can be talked to; marked ones are all asked at once."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark for comparing", id="console.mark"),
        Binding("enter", "choose", "talk to it", id="console.choose"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, empty="no run is open")
        self.targets: list[Target] = []
        self.losses: dict[int, float | None] = {}
        self.marked: set[Target] = set()

    def show_targets(self, targets: list[Target], losses: dict[int, float | None]) -> None:
        """Show these; the cursor stays on its target, or begins on the newest."""
        now = self.current
        self.targets, self.losses = targets, losses

        async def fetch(offset: int, limit: int) -> Sequence[Target]:
            return targets[offset : offset + limit]

        self.show(len(targets), fetch)
        self.prime(targets)
        self.select(now or LATEST)

    def select(self, wanted: Target) -> None:
        """Put the cursor on a target; on the newest if it is not there."""
        places = [i for i, one in enumerate(self.targets) if one.label == wanted.label]
        self.cursor = places[0] if places else max(len(self.targets) - 1, 0)

    def loss_of(self, target: Target) -> str:
        """The loss of a checkpoint as it is shown; empty for others."""
        return "" if target.step is None else number(self.losses.get(target.step))

    def asked(self) -> list[Target]:
        """The marked targets, or the one under the cursor."""
        marked = [target for target in self.targets if target in self.marked]
        if marked:
            return marked[:MOST_TARGETS]
        return [self.current] if self.current is not None else []

    def take(self, places: Sequence[int]) -> None:
        """Ask the one at this place, or all of several; the cursor goes to the first."""
        self.marked.clear()
        if len(places) > 1:
            self.marked = {self.targets[place] for place in places[:MOST_TARGETS]}
        self.cursor = places[0]
        self.refresh()

    def action_mark(self) -> None:
        """Mark or unmark."""
        target = self.current
        if target is not None:
            self.toggle(target)

    def toggle(self, target: Target) -> None:
        """Mark or unmark a target; four at most."""
        if target not in self.marked and len(self.marked) >= MOST_TARGETS:
            self.notify(f"At most {MOST_TARGETS} at once.", timeout=3)
            return
        self.marked ^= {target}
        self.refresh()

    def beside_base(self) -> bool:
        """Add the base to whoever is asked, or take it away; whether it is among them now."""
        base = next((target for target in self.targets if target.kind == "base"), None)
        asked = self.asked()
        if base is None or not asked:
            return False
        others = [target for target in asked if target.kind != "base"]
        if base in asked and others:
            self.marked.clear()
            if len(others) > 1:
                self.marked = set(others)
            else:
                self.select(others[0])
            self.refresh()
            return False
        if not others:
            others = self.targets[-1:]
        if len(others) >= MOST_TARGETS:
            self.notify(f"At most {MOST_TARGETS} at once: unmark one first.", timeout=4)
            return False
        self.marked = {base, *others}
        self.refresh()
        return len(self.marked) > 1

    def parts(self, index: int, item: Target, width: int) -> list[Part]:
        """Mark, label, loss. What Enter in the prompt asks is marked without the focus, too."""
        asked = index == self.cursor and not self.marked
        mark = "◉" if item in self.marked else "›" if asked else " "
        parts: list[Part] = [(f"{mark} ", "paged--accent"), (f"{item.label:<12}", "paged--strong")]
        if item.kind == "checkpoint" and item.step is not None:
            parts.append((f"{self.loss_of(item):>8}", "paged--muted"))
        return parts
