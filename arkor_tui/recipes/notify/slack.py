"""Slack, and what takes the same (Mattermost, Rocket.Chat)."""

from __future__ import annotations

from typing import Any, ClassVar

from .http import HttpNotifier, short_words
from .message import Message

_NEW = "the webhook was removed or disabled; make a new one in Slack and set its address"
_REPORT = "that is a mistake of arkor-tui; please report it"


class SlackNotifier(HttpNotifier):
    """Posts to an incoming webhook of Slack; ``<!here>`` where a run has failed."""

    service = "Slack"
    default_env = "SLACK_WEBHOOK_URL"
    advice: ClassVar = {
        "action_prohibited": "an administrator of the workspace does not allow it; ask them",
        "channel_is_archived": "unarchive its channel, or make a webhook for another one",
        "channel_not_found": "its channel is gone; make a webhook for another one",
        "invalid_payload": _REPORT,
        "invalid_token": _NEW,
        "no_active_hooks": _NEW,
        "no_service": _NEW,
        "no_service_id": _NEW,
        "no_team": "its workspace is gone; make a webhook in another one",
        "no_text": _REPORT,
        "posting_to_general_channel_denied": "make a webhook for another channel",
        "team_disabled": "its workspace is disabled; make a webhook in another one",
        "user_not_found": "whom it wrote to is gone; make a webhook for a channel",
    }

    def payload(self, message: Message) -> dict[str, Any]:
        """The one field, with what Slack would take for a mention or a link made harmless."""
        text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {"text": f"<!here> {text}" if message.mention else text}

    def words_of(self, answer: bytes) -> tuple[str | None, str | None]:
        """Read Slack's code, such as ``no_service``, which is all that it answers."""
        code = short_words(answer.decode("utf-8", "replace"))
        return code, code
