"""The screens and widgets there are, each imported only when it is needed."""

from __future__ import annotations

import importlib

from textual.dom import DOMNode


def load_screens() -> None:
    """Import what the first screen came without; takes a while, so not on the event loop."""
    for name in ("live", "console", "setup", "welcome", "compare", "timemachine"):
        importlib.import_module(f"arkor_tui.tui.screens.{name}")


def bound_places() -> list[type[DOMNode]]:
    """Everything that has keys of ours."""
    from .app import ArkorApp
    from .chart.widget import LossChart
    from .screens.bisect import BisectScreen
    from .screens.blind import BlindScreen
    from .screens.compare import CompareScreen
    from .screens.console import ConsoleScreen
    from .screens.live import LiveScreen
    from .screens.matrix import MatrixScreen
    from .screens.runs import RunsScreen, RunTable
    from .screens.setup import SetupScreen
    from .screens.timemachine import TimeMachineScreen
    from .widgets.asksettings import AskSettingsScreen
    from .widgets.dialogs import ChooseSeveral
    from .widgets.eventlog import EventLog
    from .widgets.logpane import LogPane
    from .widgets.paged import PagedList
    from .widgets.talk import PromptArea, TalkPane
    from .widgets.targets import TargetList

    return [
        ArkorApp, RunsScreen, SetupScreen, LiveScreen, ConsoleScreen, TimeMachineScreen,
        MatrixScreen, BlindScreen, BisectScreen, CompareScreen, LossChart, EventLog, LogPane,
        PagedList, RunTable, TargetList, TalkPane, PromptArea, AskSettingsScreen, ChooseSeveral,
    ]  # fmt: skip
