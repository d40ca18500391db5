"""Callbacks that tell people how a run goes: Slack, Discord, any webhook, Apprise, the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_tui._lazy import lazy

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
__getattr__, __dir__ = lazy(__name__, _HOMES, globals())
