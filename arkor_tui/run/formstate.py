"""What Setup holds and sends: one state, of which form, preview and request are views."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from arkor_tui.api.jobs import JobCreate
from arkor_tui.datasets.sources import BlobDataset
from arkor_tui.errors import UsageError
from arkor_tui.params import PARAMETERS
from arkor_tui.text.jsonsafe import shown_as_sent
from arkor_tui.text.redact import redact_url
from arkor_tui.text.sanitize import one_line, plain

from . import draft as drafts
from .config import TrainerInput
from .draft import RunDraft
from .form import FIELDS
from .trainer import Trainer

HIDDEN = "•••"
_ADDRESS = re.compile(r"([^:/?#]+://)([^/?#]*@)?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)


@dataclass(frozen=True)
class FormState:
    """The texts of the form, and what a trainer file has that no field can show.

    ``origin`` says where the texts are from, ``folder`` is where relative paths start. ``file`` is
    the trainer of a loaded file: its callbacks and how it runs, and what is secret of its dataset.
    ``before`` holds the texts that ``since`` had, for what was changed since then.
    """

    texts: Mapping[str, str]
    origin: str = "blank"
    folder: Path = field(default_factory=Path.cwd)
    file: Trainer | None = None
    before: Mapping[str, str] | None = None
    since: str = ""

    def typed(self, texts: Mapping[str, str]) -> FormState:
        """The state after these texts were typed."""
        return replace(self, texts=dict(texts))

    @cached_property
    def checked(self) -> tuple[RunDraft | None, dict[str, str]]:
        """The draft, or what is wrong with which field."""
        return drafts.check(self.texts)

    @property
    def draft(self) -> RunDraft | None:
        """The draft; None where a field is wrong."""
        return self.checked[0]

    @property
    def wrong(self) -> dict[str, str]:
        """What is wrong, by the field."""
        return self.checked[1]

    @cached_property
    def settings(self) -> TrainerInput:
        """What a trainer sends: the fields, and nothing but them.

        Only what is secret of a dataset comes from the file, while the field names that dataset.

        Raises:
            ValueError: a field is wrong.
        """
        if self.draft is None:
            raise ValueError("there is something to correct")
        settings = drafts.to_settings(self.draft)
        if self.file is not None and self.file.settings is not None:
            settings = drafts.with_secrets_of(self.file.settings, settings)
        return settings

    def request(self) -> JobCreate:
        """The request that starts this run.

        Raises:
            UsageError: it cannot be sent.
            ValueError: a field is wrong.
        """
        return self.settings.job_request(self.folder)

    def preview(self) -> str:
        """The request's body as it is sent, but for secrets, of which it says that they are hidden.

        Raises:
            UsageError: it cannot be sent.
            ValueError: a field is wrong.
        """
        wire = self.request().to_wire()
        hidden = hide_secrets(wire)
        note = f"{HIDDEN} stands for {' and '.join(hidden)}\n" if hidden else ""
        return note + shown_as_sent(wire)

    def trainer(self) -> Trainer:
        """A trainer of its own that starts this run, with the callbacks of the file.

        Raises:
            ValueError: a field is wrong.
        """
        trainer = Trainer(self.settings) if self.file is None else self.file.again(self.settings)
        trainer.folder = self.folder
        return trainer

    def for_dry_run(self) -> FormState:
        """The same as a dry run."""
        return self.typed({**self.texts, "dry_run": "yes"})

    def not_served(self, backend: str) -> dict[str, str]:
        """What ``backend`` (``local``, ``cloud``, or an address) is known not to have, by field."""
        if self.draft is None or backend not in ("local", "cloud"):
            return {}
        return {
            name: PARAMETERS[name].refusal
            if backend == "local"
            else "Arkor's cloud does not have it; leave it empty there"
            for name, value in self.draft.parameters.items()
            if (backend == "local" and PARAMETERS[name].refusal and value is not False)
            or (backend == "cloud" and PARAMETERS[name].served == "embedded")
        }

    @property
    def trainer_file(self) -> str | None:
        """The path of the loaded file, whose callbacks the run will have."""
        return str(self.file.file) if self.file is not None and self.file.file else None

    @property
    def callbacks(self) -> list[str]:
        """The callbacks of the file, by their kinds."""
        return [type(callback).__name__ for callback in self.file.callbacks] if self.file else []

    def with_file(self, file: Trainer | None) -> FormState:
        """The same with the file's trainer loaded anew."""
        return replace(self, file=file)

    def beside(self) -> list[str]:
        """What goes along with the request and is no part of it, a line each."""
        told = []
        if self.file is not None:
            name = one_line(self.file.file.name if self.file.file else "the file", limit=60)
            if self.callbacks:
                told.append(f"With the callbacks of {name}: {', '.join(self.callbacks)}")
            if self.file.backend is not None:
                backend = one_line(redact_url(self.file.backend), limit=100)
                told.append(f"{name} is for the backend {backend}")
        if self.draft is not None and self.draft.has_recipes:
            told.append("With the guards, prompts and notices of the form")
        return told

    def changes(self) -> list[str]:
        """What was changed since the texts were filled in: ``learning rate 0.01 → 0.002``."""
        if self.before is None:
            return []
        found = []
        for name, item in FIELDS.items():
            old, new = self.before.get(name, "").strip(), self.texts.get(name, "").strip()
            if name != "name" and old != new:
                shown = [one_line(text, limit=40) or "–" for text in (old, new)]
                found.append(f"{item.label} {shown[0]} → {shown[1]}")
        return found

    def summary(self, rows: str = "") -> str:
        """What starts, in one line: run, data and rows, steps, and what was changed since a run.

        Raises:
            ValueError: a field is wrong.
        """
        settings, draft = self.settings, self.draft
        assert draft is not None
        kind = "dry run " if settings.dry_run else ""
        data = one_line(draft.dataset, limit=60) + (f", {rows}" if rows else "")
        if settings.max_steps is not None:
            length = f"{settings.max_steps:,} steps"
            if settings.num_train_epochs is not None:
                length += " (they win over the epochs)"
        elif settings.num_train_epochs is not None:
            length = f"{settings.num_train_epochs:g} epochs"
        else:
            length = "as long as the backend's default, one epoch"
        if settings.dry_run:
            length += ", of which the backend does the first few"
        parts = [kind + one_line(draft.name, limit=60), data, length]
        if self.since:
            changed = ", ".join(self.changes())
            since = one_line(self.since, limit=60)
            parts.append(f"changed from {since}: {changed}" if changed else f"the same as {since}")
        return " · ".join(parts)


def of_blank(folder: Path) -> FormState:
    """A new form."""
    return FormState(_shown(drafts.defaults()), folder=folder)


def of_file(trainer: Trainer, path: Path) -> FormState:
    """The form for a trainer file.

    Raises:
        UsageError: the trainer follows a run of elsewhere.
    """
    if trainer.settings is None:
        raise UsageError(
            "That trainer follows a run of elsewhere.",
            hint="Name a file whose trainer is made with create_trainer(…).",
        )
    texts = _shown(drafts.from_settings(trainer.settings))
    folder = trainer.folder or path.parent
    return FormState(texts, str(path), folder, trainer, texts, path.name)


def of_run(
    name: str,
    config: Mapping[str, Any],
    *,
    since: str,
    folder: Path,
    watching: Mapping[str, str],
    trainer: Trainer | None,
) -> FormState:
    """The form for the earlier run ``since`` with this configuration, under another ``name``.

    ``watching`` are the recipe fields that were typed in for it, ``trainer`` is its file's.
    """
    texts = _shown({**drafts.from_config(name, config), **watching})
    folder = (trainer.folder if trainer is not None else None) or folder
    return FormState(texts, f"run {since}", folder, trainer, texts, since)


def with_preset(state: FormState, name: str, preset: Mapping[str, str]) -> FormState:
    """The state with a preset's texts; whatever it does not name stays as it is."""
    return replace(state.typed({**state.texts, **preset}), origin=f"preset {name}")


def hide_secrets(wire: dict[str, Any]) -> list[str]:
    """Put :data:`HIDDEN` in place of what is secret in a request's dataset; names what was."""
    source = wire.get("config", {}).get("datasetSource")
    if not isinstance(source, dict) or source.get("type") != "blob":
        return []
    dataset = BlobDataset(str(source.get("url")), source.get("token"))
    hidden = []
    if dataset.token:
        source["token"] = HIDDEN
        hidden.append("the dataset's token")
    if (bare := _without_secrets(dataset.url)) != dataset.url:
        source["url"] = bare
        hidden.append("what may be secret in its address")
    return hidden


def _without_secrets(url: str) -> str:
    found = _ADDRESS.fullmatch(url)
    if found is None:
        return HIDDEN
    scheme, login, place, query, fragment = (part or "" for part in found.groups())
    login = f"{HIDDEN}@" if len(login) > 1 else login
    query = f"?{HIDDEN}" if len(query) > 1 else query
    fragment = f"#{HIDDEN}" if len(fragment) > 1 else fragment
    return f"{scheme}{login}{place}{query}{fragment}"


def _shown(texts: Mapping[str, str]) -> dict[str, str]:
    """What stands in the fields, and is sent from there: never more than one can see."""
    return {
        name: plain(text, newlines=name in FIELDS and FIELDS[name].kind == "lines")
        for name, text in texts.items()
    }
