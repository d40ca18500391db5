"""Discord."""

from __future__ import annotations

import json
import re
from typing import Any

from .http import HttpNotifier, short_words
from .message import Message

LIMIT = 2_000
"""Characters of a message that Discord takes, counted in UTF-16 units to be on the safe side."""
_MARKUP = re.compile(r"([\\*_~`|>\[\]<#])")


class DiscordNotifier(HttpNotifier):
    """Posts to a webhook of a Discord channel; ``@here`` where a run has failed."""

    service = "Discord"
    default_env = "DISCORD_WEBHOOK_URL"

    def payload(self, message: Message) -> dict[str, Any]:
        """The content, in which nothing but our own mention is one, and no markup works."""
        # Where @here is allowed @everyone is too, so that an error text must not hold it.
        text = _MARKUP.sub(r"\\\1", message.text).replace("@", "@\N{ZERO WIDTH SPACE}")
        content = _cut(f"@here {text}" if message.mention else text)
        allowed = ["everyone"] if message.mention else []
        return {"content": content, "allowed_mentions": {"parse": allowed}}

    def words_of(self, answer: bytes) -> str | None:
        """Discord answers with a JSON object that holds a message."""
        try:
            said = json.loads(answer)
        except ValueError:
            return None
        return short_words(said.get("message")) if isinstance(said, dict) else None


def _cut(text: str) -> str:
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * LIMIT:
        return text
    # "ignore" drops half of a pair that the cut went through
    return units[: 2 * (LIMIT - 1)].decode("utf-16-le", "ignore") + "…"
