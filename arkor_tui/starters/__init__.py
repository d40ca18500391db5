"""The starter projects: a trainer to edit, a README, and a small dataset.

Only the standard library is used here, so that the command line can list them at once.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

__all__ = ["BLANK", "STARTERS", "TEMPLATES", "Starter", "starter_files", "starter_of"]

BLANK = "blank"
"""The template without a subject: a commented trainer and two rows of data."""

# Everything a project gets, relative to its folder.
_FILES: tuple[str, ...] = (
    "trainer.py",
    "README.md",
    "data/train.jsonl",
    "data/heldout.jsonl",
)


@dataclass(frozen=True)
class Starter:
    """What a starter teaches, and how to ask for it."""

    id: str
    title: str
    description: str
    run_name: str
    system_prompt: str
    example_prompt: str
    _schema: dict[str, Any] = field(repr=False)

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer: all fields required, no others. A fresh copy."""
        return copy.deepcopy(self._schema)


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_STRING: dict[str, Any] = {"type": "string"}

STARTERS: dict[str, Starter] = {
    starter.id: starter
    for starter in (
        Starter(
            id="triage",
            title="Support triage",
            description="Sorts a support ticket: category, urgency, summary, next action.",
            run_name="triage-run",
            system_prompt="You triage support tickets.",
            example_prompt="I can't log in to my account.",
            _schema=_object(
                category=_STRING,
                urgency={"type": "string", "enum": ["low", "medium", "high"]},
                summary=_STRING,
                nextAction=_STRING,
            ),
        ),
        Starter(
            id="translate",
            title="Translation",
            description="Translates a customer message from nine languages into English.",
            run_name="translate-run",
            system_prompt="You translate customer messages into English.",
            example_prompt="パスワードを忘れました。",
            _schema=_object(translation=_STRING, detectedLanguage=_STRING),
        ),
        Starter(
            id="redaction",
            title="Redaction",
            description="Hides e-mails, phones, names, cards and addresses, and counts them.",
            run_name="redaction-run",
            system_prompt="You hide private details in text.",
            example_prompt="Please write to anna.keller@example.com about order 48213.",
            _schema=_object(
                redactedText=_STRING,
                redactedCount={"type": "integer"},
                tags={"type": "array", "items": _STRING},
            ),
        ),
    )
}


TEMPLATES: dict[str, str] = {
    **{starter.id: f"{starter.title}. {starter.description}" for starter in STARTERS.values()},
    BLANK: "A trainer of your own. Comments say what to change; two rows show the data's format.",
}
"""What can be written, and a sentence about each."""


def starter_files(id: str) -> dict[str, Traversable]:
    """The files of a template by the path they get in a project. KeyError for an unknown id."""
    names = [name for name in _FILES if id != BLANK or "heldout" not in name]
    folder = files(__name__) / (BLANK if id == BLANK else STARTERS[id].id)
    return {name: folder.joinpath(*name.split("/")) for name in names}


def starter_of(run_name: str) -> Starter | None:
    """The starter that a run was made from, as far as its name tells."""
    return next((one for one in STARTERS.values() if run_name.startswith(one.id)), None)
