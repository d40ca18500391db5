"""The one table of what has keys: views, screens over them, dialogs, and panes of all these.

A new screen is one row here and its module. The app's views and number keys, the status line, the
help, the palette, the checks of a user's own keys and ``doctor --keys`` come from it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from textual.binding import Binding
from textual.dom import DOMNode

if TYPE_CHECKING:
    from textual.screen import Screen

Loader = Callable[[], type[DOMNode]]
Kind = Literal["view", "screen", "dialog", "pane"]


def at(module: str, name: str) -> Loader:
    """Import a class of ``arkor_tui.tui`` only when it is asked for."""
    return lambda: getattr(importlib.import_module(f"arkor_tui.tui.{module}"), name)


@dataclass(frozen=True, slots=True)
class Place:
    """One row; its class declares the keys, each with an id.

    A view has a number key. ``panes`` are what ``?`` calls parts with keys of their own, and their
    selectors.
    """

    kind: Kind
    name: str
    title: str
    load: Loader
    key: str = ""
    panes: tuple[tuple[str, str], ...] = ()


PLACES: tuple[Place, ...] = (
    Place("view", "runs", "Runs", at("screens.runs", "RunsScreen"), "1"),
    Place("view", "setup", "Setup", at("screens.setup", "SetupScreen"), "2"),
    Place("view", "live", "Live", at("screens.live", "LiveScreen"), "3", (
        ("the chart", "#chart"), ("the log", "#log"), ("the checkpoints", "#checkpoints"),
    )),
    Place("view", "console", "Console", at("screens.console", "ConsoleScreen"), "4"),

    Place("screen", "time-machine", "Time machine", at("screens.timemachine", "TimeMachineScreen")),
    Place("screen", "samples", "Samples", at("screens.matrix", "MatrixScreen")),
    Place("screen", "blind", "Blind A/B", at("screens.blind", "BlindScreen")),
    Place("screen", "bisect", "Bisect", at("screens.bisect", "BisectScreen")),
    Place("screen", "compare", "Compare", at("screens.compare", "CompareScreen")),
    Place("screen", "what-if", "What if", at("screens.whatif", "WhatIfScreen")),
    Place("screen", "welcome", "Welcome", at("screens.welcome", "WelcomeScreen")),

    Place("dialog", "ask-settings", "Settings", at("widgets.asksettings", "AskSettingsScreen")),
    Place("dialog", "choose", "Choose", at("widgets.dialogs", "Choose")),
    Place("dialog", "choose-several", "Choose several", at("widgets.dialogs", "ChooseSeveral")),
    Place("dialog", "ask", "Ask", at("widgets.dialogs", "Ask")),
    Place("dialog", "confirm", "Confirm", at("widgets.dialogs", "Confirm")),
    Place("dialog", "event", "Event", at("widgets.eventdetail", "EventDetail")),
    Place("dialog", "printed", "Printed", at("widgets.output", "OutputScreen")),
    Place("dialog", "help", "Keys", at("widgets.help", "HelpScreen")),

    Place("pane", "chart", "Chart", at("chart.widget", "LossChart")),
    Place("pane", "log", "Log", at("widgets.eventlog", "EventLog")),
    Place("pane", "list", "List", at("widgets.paged", "PagedList")),
    Place("pane", "run-table", "List of runs", at("widgets.runtable", "RunTable")),
    Place("pane", "checkpoints", "Checkpoints", at("widgets.checkpoints", "CheckpointList")),
    Place("pane", "targets", "Targets", at("widgets.targets", "TargetList")),
    Place("pane", "talk", "Conversation", at("widgets.talk", "TalkPane")),
    Place("pane", "prompt", "Prompt", at("widgets.talk", "PromptArea")),
)  # fmt: skip


def views(places: Iterable[Place]) -> tuple[Place, ...]:
    """Give the rows that are views, in the order of the status line."""
    return tuple(place for place in places if place.kind == "view")


def modes(places: Iterable[Place]) -> dict[str, str | Callable[[], Screen[Any]]]:
    """Give Textual's modes: a screen for each view, made when it is first shown."""

    def maker(place: Place) -> Callable[[], Screen[Any]]:
        return lambda: place.load()()  # type: ignore[return-value] # a view is a screen

    return {place.name: maker(place) for place in views(places)}


def number_keys(places: Iterable[Place]) -> list[Binding]:
    """Give the keys that go to the views."""
    return [
        Binding(place.key, f"view('{place.name}')", place.title, id=f"view.{place.name}",
                show=False)
        for place in views(places)
    ]  # fmt: skip


def load_all(places: Iterable[Place]) -> list[type[DOMNode]]:
    """Import every place; takes a while, so not on the event loop."""
    return [place.load() for place in places]


def panes_of(screen: DOMNode, places: Iterable[Place]) -> tuple[tuple[str, str], ...]:
    """Give the panes of a screen that is shown."""
    shown = type(screen)
    return next(
        (place.panes for place in places if place.panes and issubclass(shown, place.load())), ()
    )
