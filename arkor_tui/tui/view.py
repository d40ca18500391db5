"""What views and dialogs need beyond Textual's: no work for what is gone, no size that is past."""

from __future__ import annotations

from typing import TypeVar

from textual import events, on
from textual.messages import Prune
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class View(Screen[Result]):
    """Anything that fills the terminal."""

    @on(events.Resize)
    def _take_newest_size(self, event: events.Resize) -> None:
        """Lay out for the terminal as it is now, whichever size this event was of.

        Each layout posts its own size to the view again, and that replaces what waits before it:
        where the view was busy meanwhile, it would stay at a size that the terminal had before.
        """
        event.size = self.app.size

    @on(Prune)
    def _cancel_workers(self) -> None:
        # work for a view ends before its widgets go, so that it never looks for one that is gone:
        # Textual cancels the workers of a screen only when everything in it has been removed
        for worker in self.workers:
            if worker.node is self or self in worker.node.ancestors:
                worker.cancel()


class Dialog(ModalScreen[Result], View[Result]):
    """A view over another, whose keys do not reach it meanwhile."""
