"""What screens, widgets and the driver see of the app: these protocols, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from arkor_tui.archive.records import RunRecord
    from arkor_tui.chat.target import Target
    from arkor_tui.errors import ArkorTuiError
    from arkor_tui.run.trainer import Trainer
    from arkor_tui.session.monitor import RunMonitor
    from arkor_tui.session.session import Session

    from .chart.frame import Symbols


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """What the line says; every text is sanitised already.

    ``view`` is the name of the view. ``stream`` is that of the run ``name``, which is where
    ``running`` says; ``mood`` colours it: ``good``, ``warn``, ``bad`` or empty.
    """

    view: str = ""
    backend: str = ""
    scope: str = ""
    identity: str = ""
    stream: str = ""
    mood: str = ""
    name: str = ""
    running: str = ""
    more: int = 0


class TerminalOwner(Protocol):
    """Whoever has to know that the terminal is gone."""

    def terminal_gone(self) -> None:
        """End because nobody can see this any more."""


class Host(Protocol):
    """The app, as screens see it."""

    session: Session
    current: RunMonitor | None
    """The run that Live shows and Console talks to."""
    to_ask: tuple[RunRecord, Target] | None
    """What Console is asked to talk to next."""
    symbols: Symbols
    """What charts are drawn with."""
    redraws_per_second: float
    """How often a chart may be drawn anew by itself."""

    @property
    def printed(self) -> Iterable[str]:
        """Give what trainer files printed, newest last."""

    # views

    def action_view(self, name: str) -> None:
        """Go to a view by its name."""

    def go_back(self) -> None:
        """Go one view back."""

    @property
    def view_titles(self) -> tuple[tuple[str, str, str], ...]:
        """Give name, key and title of each view."""

    def status_info(self) -> StatusInfo:
        """Give what the status line says at this moment."""

    def show_title(self) -> None:
        """Write what runs into the window's title."""

    # telling

    def tell_problem(self, error: ArkorTuiError) -> None:
        """Tell a failure: what happened, and what to do."""

    def copy(self, text: str, what: str = "") -> None:
        """Put a text on the clipboard of the terminal, and say so, or why not."""

    # runs

    async def open_run(self, record: RunRecord, *, show: bool = True) -> RunMonitor:
        """Make a run the current one, and follow it unless all of it is archived."""

    async def follow(self, monitor: RunMonitor, *, asked: bool = False) -> None:
        """Follow a run, because a person asked for it or by itself; a failure is told."""

    async def start_run(
        self,
        trainer: Trainer,
        *,
        trainer_file: str | None = None,
        recipe_source: str | None = None,
        tell: Callable[[ArkorTuiError], None] | None = None,
    ) -> bool:
        """Submit a run and show it; False where it could not be submitted, which is told."""

    async def refresh_runs(self) -> None:
        """Ask the backend for its runs and follow those that are live."""

    def set_up_from(self, record: RunRecord) -> None:
        """Open Setup, filled in from an earlier run."""

    def take_setup(self) -> RunRecord | None:
        """Give the run that Setup was asked to begin with, once."""

    def talk_to(self, monitor: RunMonitor, step: int | None) -> None:
        """Open Console on a checkpoint; without a step on the newest one."""

    def export_run(self, record: RunRecord) -> object:
        """Write a run into a file of the current folder."""

    def export_transcripts(self, record: RunRecord) -> object:
        """Write a run's transcripts into a file of the current folder."""


def host_of(node: DOMNode) -> Host:
    """Give the app that a screen or widget is shown in."""
    return cast("Host", node.app)
