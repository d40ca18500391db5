"""A draft as a trainer file, with its guards, golden prompts and notifications."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from shlex import quote
from typing import Any

from arkor_tui.datasets.sources import BlobDataset, FileDataset, HuggingFaceDataset, LocalModel
from arkor_tui.text.sanitize import plain

from .config import LoraConfig
from .draft import RECIPE_FIELDS, RunDraft, arguments
from .fieldtext import text_of

_IN = " " * 8
_MARK = "# set up in arkor-tui: "
_NOTIFIERS = {
    "slack": "SlackNotifier.from_settings()",
    "discord": "DiscordNotifier.from_settings()",
    "webhook": "WebhookNotifier.from_settings()",
    "apprise": "AppriseNotifier.from_settings()",
    "bell": "BellNotifier()",
}
_NAMES = (
    "AppriseNotifier", "BellNotifier", "DiscordNotifier", "EarlyStopping", "Expect", "Golden",
    "PromptProbe", "SlackNotifier", "WebhookNotifier",
)  # fmt: skip


def recipe_calls(draft: RunDraft) -> list[str]:
    """An expression for each callback that the draft asks for."""
    calls = [_guard(draft)] if draft.has_guard else []
    if draft.golden_prompts:
        prompts = "".join(f"\n{_IN}    {_golden(*one)}," for one in draft.golden_prompts)
        calls.append(f"PromptProbe([{prompts}\n{_IN}])")
    return calls + [_NOTIFIERS[name] for name in draft.notify.split(", ") if name]


def recipe_names(calls: list[str]) -> list[str]:
    """What these expressions need from ``arkor_tui.recipes``."""
    return [name for name in _NAMES if any(name in call for call in calls)]


def _guard(draft: RunDraft) -> str:
    given: dict[str, object] = {
        "ceiling": draft.guard_ceiling,
        "window": draft.guard_window,
        "patience": draft.guard_patience,
        "metric": draft.guard_metric if draft.guard_metric != "loss" else None,
        "non_finite": None if draft.guard_non_finite else False,
        "action": draft.guard_action if draft.guard_action != "now" else None,
    }
    parts = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return f"EarlyStopping({parts})"


def _golden(text: str, expected: str) -> str:
    if not expected:
        return repr(text)
    return f"Golden({text!r}, expect=Expect(contains={expected!r}))"


def remember(texts: Mapping[str, str]) -> str:
    """A comment that holds the fields of the form, for :func:`recall`."""
    kept = {name: texts[name] for name in RECIPE_FIELDS if texts.get(name)}
    return _MARK + json.dumps(kept)


def recall(source: str) -> dict[str, str]:
    """The fields that a file was made from; empty where it was written otherwise."""
    for line in source.splitlines():
        if line.startswith(_MARK):
            try:
                kept = json.loads(line.removeprefix(_MARK))
            except (ValueError, RecursionError):
                return {}
            if isinstance(kept, dict):
                return {name: str(kept[name]) for name in RECIPE_FIELDS if name in kept}
    return {}


def to_source(draft: RunDraft, file: str = "trainer.py") -> str:
    """A trainer file with these settings, and with the guards, prompts and notifications.

    ``file`` is the name that it will have, for the command that runs it.
    """
    values = arguments(draft)
    command = "arkor-tui start" if file == "trainer.py" else f"arkor-tui start {quote(file)}"
    lines = [f'"""{_safe(draft.name)}: a trainer for arkor-tui.', "", f"Run it:  {_safe(command)}",
             '"""', ""]  # fmt: skip
    imports = {"create_arkor", "create_trainer", type(values["dataset"]).__name__}
    if "lora" in values:
        imports.add("LoraConfig")
    if isinstance(values["model"], LocalModel):
        imports.add("LocalModel")
    lines.append(f"from arkor_tui import {', '.join(sorted(imports))}")
    recipes = recipe_calls(draft)
    if recipes:
        lines.append(f"from arkor_tui.recipes import {', '.join(recipe_names(recipes))}")
        texts = {name: text_of(getattr(draft, name)) for name in RECIPE_FIELDS}
        lines += ["", remember(texts)]
    lines += ["", "trainer = create_trainer("]
    lines += [f"    {name}={_literal(value)}," for name, value in values.items()]
    if recipes:
        lines += ["    callbacks=[", *(f"{_IN}{call}," for call in recipes), "    ],"]
    lines += [")", "", "arkor = create_arkor(trainer=trainer)", ""]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    if isinstance(value, LocalModel):
        return f"LocalModel({str(value.location)!r})"
    if isinstance(value, FileDataset):
        return f"FileDataset({str(value.path)!r})"
    if isinstance(value, BlobDataset):
        return f"BlobDataset({value.url!r})"
    if isinstance(value, HuggingFaceDataset):
        given = {"name": value.name, "split": value.split, "subset": value.subset}
        parts = ", ".join(f"{name}={text!r}" for name, text in given.items() if text is not None)
        return f"HuggingFaceDataset({parts})"
    if isinstance(value, LoraConfig):
        given = {item.name: getattr(value, item.name) for item in fields(value)}
        parts = ", ".join(f"{name}={part!r}" for name, part in given.items() if part is not None)
        return f"LoraConfig({parts})"
    return repr(value)


def _safe(text: str) -> str:
    return plain(text, newlines=False).replace("\\", "/").replace('"', "'")
