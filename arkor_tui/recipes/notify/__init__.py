"""Callbacks that tell people how a run goes: Slack, Discord, any webhook, Apprise, the terminal."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .apprise import AppriseNotifier as AppriseNotifier
    from .bell import BellNotifier as BellNotifier
    from .discord import DiscordNotifier as DiscordNotifier
    from .message import Message as Message
    from .notifier import Notifier as Notifier
    from .notifier import Outcome as Outcome
    from .notifier import send_test as send_test
    from .slack import SlackNotifier as SlackNotifier
    from .webhook import WebhookNotifier as WebhookNotifier

_HOMES = {
    "AppriseNotifier": "apprise",
    "BellNotifier": "bell",
    "DiscordNotifier": "discord",
    "Message": "message",
    "Notifier": "notifier",
    "Outcome": "notifier",
    "SlackNotifier": "slack",
    "WebhookNotifier": "webhook",
    "send_test": "notifier",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
