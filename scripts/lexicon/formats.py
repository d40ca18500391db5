"""The answer formats of the starters: what fine-tuning teaches and pretraining must not show."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from scripts.lexicon import phrases, private, tickets
from scripts.lexicon.split import is_heldout

SYSTEM_PROMPTS: dict[str, str] = {
    "triage": "You triage support tickets.",
    "translate": "You translate customer messages into English.",
    "redaction": "You hide private details in text.",
}
KEY_SETS: dict[str, tuple[str, ...]] = {
    "triage": ("category", "urgency", "summary", "nextAction"),
    "translate": ("translation", "detectedLanguage"),
    "redaction": ("redactedText", "redactedCount", "tags"),
}
FORBIDDEN: frozenset[frozenset[str]] = frozenset(frozenset(keys) for keys in KEY_SETS.values())
MARKER = "[REDACTED]"

Row = dict[str, Any]


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _row(starter: str, text: str, answer: dict[str, object]) -> Row:
    assert tuple(answer) == KEY_SETS[starter]
    return {
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPTS[starter]},
            {"role": "user", "content": text},
            {"role": "assistant", "content": compact(answer)},
        ]
    }


def make_row(starter: str, rng: Random) -> tuple[str, Row]:
    """A row and the sentence that decides on which side of the split it belongs."""
    if starter == "triage":
        ticket = tickets.make_ticket(rng)
        answer: dict[str, object] = {
            "category": ticket.category,
            "urgency": ticket.urgency,
            "summary": ticket.summary,
            "nextAction": ticket.action,
        }
        return ticket.text, _row(starter, ticket.text, answer)
    if starter == "translate":
        phrase = phrases.make_phrase(rng)
        answer = {"translation": phrase.english, "detectedLanguage": phrase.language}
        # Split on the meaning: a held-out sentence is held out in every language.
        return phrase.english, _row(starter, phrase.text, answer)
    if starter == "redaction":
        line = private.make_line(rng)
        answer = {
            "redactedText": line.hidden(MARKER),
            "redactedCount": len(line.pieces),
            "tags": line.kinds,
        }
        return line.text, _row(starter, line.text, answer)
    raise ValueError(f"unknown starter {starter!r}")


def make_rows(starter: str, count: int, seed: str, heldout: bool) -> list[Row]:
    """Distinct rows of one side of the split."""
    rng = Random(f"{starter}-{seed}-{heldout}")
    rows: dict[str, Row] = {}
    while len(rows) < count:
        key, row = make_row(starter, rng)
        if is_heldout(key) == heldout:
            rows.setdefault(row["messages"][1]["content"], row)
    return list(rows.values())
