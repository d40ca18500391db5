"""What was said to models: transcripts, the prompt library, samples of golden prompts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from .foreign import clean, to_json
from .records import Exchange, Prompt, now
from .schema import transaction

_VISIBLE = "(run IS NULL OR run IN (SELECT key FROM runs WHERE deleted_at IS NULL))"

_EXCHANGE_FIELDS = (
    "run_key", "target", "step", "model", "messages", "reply", "settings", "finish_reason",
    "first_token_s", "total_s", "tokens", "verdict", "error", "group", "created_at", "id",
)  # fmt: skip
_COLUMN_OF = {"run_key": "run", "group": "grp"}
_EXCHANGE = ", ".join(_COLUMN_OF.get(name, name) for name in _EXCHANGE_FIELDS)


class TalkStore:
    """The part of the archive that knows prompts and replies."""

    db: sqlite3.Connection

    def save_exchange(self, exchange: Exchange) -> int:
        """Keep one prompt and its reply, in place of what has its id; returns the id."""
        with transaction(self.db):
            row = self.db.execute(
                f"INSERT OR REPLACE INTO exchanges ({_EXCHANGE}) VALUES"  # noqa: S608
                " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    exchange.run_key, exchange.target, exchange.step, clean(exchange.model),
                    to_json(exchange.messages), clean(exchange.reply), to_json(exchange.settings),
                    _clean(exchange.finish_reason), exchange.first_token_s, exchange.total_s,
                    exchange.tokens, _clean(exchange.verdict), _clean(exchange.error),
                    _clean(exchange.group), exchange.created_at or now(), exchange.id,
                ),
            ).fetchone()  # fmt: skip
        return int(row[0])

    def exchanges(
        self, run_key: int | None = None, *, text: str = "", limit: int = 100
    ) -> list[Exchange]:
        """The newest exchanges first, of one run or of all, that hold every word of a text."""
        where, values = [_VISIBLE], list[Any]()
        if run_key is not None:
            where.append("run = ?")
            values.append(run_key)
        for word in clean(text).casefold().split():
            where.append("instr(folded(messages || ' ' || reply), ?) > 0")
            values.append(word)
        rows = self.db.execute(
            f"SELECT {_EXCHANGE} FROM exchanges WHERE {' AND '.join(where)}"  # noqa: S608
            " ORDER BY id DESC LIMIT ?",
            (*values, limit),
        )
        return [_exchange(row) for row in rows]

    def save_prompt(self, prompt: Prompt) -> int:
        """Keep a prompt, in place of an earlier one of its name or id; returns the id."""
        with transaction(self.db):
            if prompt.id is not None:
                self.db.execute("DELETE FROM prompts WHERE id = ?", (prompt.id,))
            row = self.db.execute(
                "INSERT INTO prompts (id, name, prompt, system, settings, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " prompt = excluded.prompt, system = excluded.system, settings = excluded.settings"
                " RETURNING id",
                (
                    prompt.id,
                    clean(prompt.name),
                    clean(prompt.prompt),
                    clean(prompt.system),
                    to_json(prompt.settings),
                    prompt.created_at or now(),
                ),
            ).fetchone()
        return int(row[0])

    def prompts(self, text: str = "") -> list[Prompt]:
        """The library by name; those that hold every word of a text."""
        words = clean(text).casefold().split()
        where = "".join(
            " AND instr(folded(name || ' ' || system || ' ' || prompt), ?) > 0" for _ in words
        )
        rows = self.db.execute(
            "SELECT name, prompt, system, settings, created_at, id FROM prompts"  # noqa: S608
            f" WHERE 1{where} ORDER BY name COLLATE NOCASE",
            words,
        )
        names = ("name", "prompt", "system", "settings", "created_at", "id")
        return [
            Prompt(**{**dict(zip(names, row, strict=True)), "settings": json.loads(row[3])})
            for row in rows
        ]


def _clean(text: str | None) -> str | None:
    return clean(text) if text is not None else None


def _exchange(row: Sequence[Any]) -> Exchange:
    values = dict(zip(_EXCHANGE_FIELDS, row, strict=True))
    values["messages"] = tuple(json.loads(values["messages"]))
    values["settings"] = json.loads(values["settings"])
    return Exchange(**values)
