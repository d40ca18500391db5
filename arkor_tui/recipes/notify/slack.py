"""Slack, and what takes the same (Mattermost, Rocket.Chat)."""

from __future__ import annotations

from typing import Any

from .http import HttpNotifier, short_words
from .message import Message


class SlackNotifier(HttpNotifier):
    """Posts to an incoming webhook of Slack; ``<!here>`` where a run has failed."""

    service = "Slack"
    default_env = "SLACK_WEBHOOK_URL"

    def payload(self, message: Message) -> dict[str, Any]:
        """The one field, with what Slack would take for a mention or a link made harmless."""
        text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {"text": f"<!here> {text}" if message.mention else text}

    def words_of(self, answer: bytes) -> str | None:
        """Slack answers with a code such as ``no_service``."""
        return short_words(answer.decode("utf-8", "replace"))
