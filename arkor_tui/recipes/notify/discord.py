"""Discord."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from .http import HttpNotifier, short_words
from .message import Message

LIMIT = 2_000
"""Characters of a message that Discord takes, counted in UTF-16 units to be on the safe side."""
_MARKUP = re.compile(r"([\\*_~`|>\[\]<#])")

_NEW = "the webhook was deleted; make a new one in Discord and set its address"


class DiscordNotifier(HttpNotifier):
    """Posts to a webhook of a Discord channel; ``@here`` where a run has failed."""

    service = "Discord"
    default_env = "DISCORD_WEBHOOK_URL"
    advice: ClassVar = {
        "10003": "its channel or thread is gone; check ?thread_id= in the address, or make a new "
        "webhook",
        "10015": _NEW,
        "20029": "its channel has slow mode; ask for fewer messages (every_steps, samples)",
        "50001": "it may not see that channel; make a webhook in another one",
        "50027": _NEW,
        "50035": "that is a mistake of arkor-tui; please report it",
        "50083": "its thread is archived; put another one's id into the address (?thread_id=ID)",
        "220001": "a forum channel takes messages in its threads only; add ?thread_id=ID to the "
        "address, with the id of a thread",
        "220003": "only a forum channel has such threads; take ?thread_name= off the address",
    }

    def payload(self, message: Message) -> dict[str, Any]:
        """The content, in which nothing but our own mention is one, and no markup works."""
        # Where @here is allowed @everyone is too, so that an error text must not hold it.
        text = _MARKUP.sub(r"\\\1", message.text).replace("@", "@\N{ZERO WIDTH SPACE}")
        content = _cut(f"@here {text}" if message.mention else text)
        allowed = ["everyone"] if message.mention else []
        return {"content": content, "allowed_mentions": {"parse": allowed}}

    def words_of(self, answer: bytes) -> tuple[str | None, str | None]:
        """Read the number and the message of the JSON object that Discord answers with."""
        try:
            said = json.loads(answer)
        except (ValueError, RecursionError):
            return None, None
        if not isinstance(said, dict):
            return None, None
        number, words = said.get("code"), short_words(said.get("message"))
        code = str(number) if type(number) is int and abs(number) < 10**9 else None
        return code, ", ".join(filter(None, (words, f"code {code}" if code else None))) or None


def _cut(text: str) -> str:
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * LIMIT:
        return text
    # "ignore" drops half of a pair that the cut went through
    return units[: 2 * (LIMIT - 1)].decode("utf-16-le", "ignore") + "…"
