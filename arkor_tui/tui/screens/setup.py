"""Setup: a form over a run's settings, from a starter, a file, an earlier run or blank."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static, TextArea

from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.history.records import RunRecord
from arkor_tui.plain import plain
from arkor_tui.starters import TEMPLATES
from arkor_tui.starters.write import write_new, write_starter
from arkor_tui.training import draft as drafts
from arkor_tui.training.draft import FORM, FormField, RunDraft
from arkor_tui.training.draft_source import to_source
from arkor_tui.training.loading import load_trainer
from arkor_tui.training.preview import DatasetPreview, preview
from arkor_tui.training.trainer import Trainer
from arkor_tui.tui.widgets.dialogs import Ask, Choose

from .base import BaseScreen

PREVIEW_DELAY = 0.4


class FieldInput(Input):
    """A field of the form; up and down go to the next one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "previous field", show=False),
        Binding("down,enter", "app.focus_next", "next field", show=False),
    ]

    def __init__(self, field: FormField) -> None:
        suggest = SuggestFromList(field.choices) if field.choices else None
        super().__init__(id=f"field-{field.name}", placeholder=field.hint, suggester=suggest)
        self.field = field
        self.cursor_blink = False


class LinesArea(TextArea):
    """A field of several lines; up and down leave it at its edges."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next field", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "previous field", show=False, priority=True),
    ]

    def __init__(self, field: FormField) -> None:
        super().__init__(id=f"field-{field.name}", placeholder=field.hint, compact=True)
        self.field = field
        self.cursor_blink = False

    def action_cursor_up(self, select: bool = False) -> None:
        """To the field above from the first line."""
        if self.cursor_location[0] == 0 and not select:
            self.screen.focus_previous()
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """To the field below from the last line."""
        if self.cursor_location[0] == self.document.line_count - 1 and not select:
            self.screen.focus_next()
        else:
            super().action_cursor_down(select)


class SetupScreen(BaseScreen):
    """Type, see what is wrong beside the field, look at data and request, start."""

    ABOUT = "A mistake is named beside its field. ctrl+s starts what is filled in."
    CSS = """
    SetupScreen #setup-head { height: 1; background: $panel; }
    SetupScreen #setup-panes { height: 1fr; }
    SetupScreen #form { width: 1fr; min-width: 60; }
    SetupScreen #previews { width: 1fr; border-left: solid $panel; padding: 0 1; }
    SetupScreen.-narrow #previews { display: none; }
    SetupScreen.-narrow.-previews #previews { display: block; border-left: none; }
    SetupScreen.-narrow.-previews #form { display: none; }
    SetupScreen .row { height: 1; }
    SetupScreen .row.-lines { height: 4; }
    SetupScreen LinesArea { width: 1fr; height: 4; padding: 0 1; background: $surface; }
    SetupScreen LinesArea:focus { background: $panel; }
    SetupScreen .row Label { width: 16; padding-left: 2; color: $muted; }
    SetupScreen FieldInput {
        width: 1fr; max-width: 44; height: 1; border: none; padding: 0 1; background: $surface;
    }
    SetupScreen FieldInput:focus { background: $panel; text-style: bold; border: none; }
    SetupScreen FieldInput.-wrong { background: $error 20%; }
    SetupScreen FieldInput.-wrong:ansi { background: ansi_default; text-style: underline; }
    SetupScreen .wrong { width: auto; max-width: 30; color: $error; padding-left: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start", id="setup.start", priority=True),
        Binding("ctrl+t", "dry_run", "dry run", id="setup.dry-run", priority=True),
        Binding("ctrl+o", "source", "open from…", id="setup.source", priority=True),
        Binding("ctrl+w", "save", "save file", id="setup.save", priority=True),
        Binding(
            "ctrl+n",
            "test_notify",
            "test notices",
            id="setup.test-notify",
            priority=True,
            show=False,
        ),
        Binding("ctrl+e", "previews", "preview", id="setup.preview", priority=True),
        Binding("escape", "leave", "back", id="setup.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._origin = "blank"
        self._trainer: Trainer | None = None
        """The trainer of a loaded file: its callbacks are kept."""
        self._loaded: dict[str, str] = {}
        self._begun_in: Path | None = None
        self._draft: RunDraft | None = None
        self._wrong: dict[str, str] = {}
        self._filling = False

    def content(self) -> ComposeResult:
        """The form on the left, previews on the right."""
        yield Static(id="setup-head", markup=False)
        with Horizontal(id="setup-panes"):
            with VerticalScroll(id="form", can_focus=False):
                for title, fields in FORM:
                    yield Static(f" {title}", classes="pane-title", markup=False)
                    for field in fields:
                        lines = field.kind == "lines"
                        with Horizontal(classes="row -lines" if lines else "row"):
                            yield Label(field.label, markup=False)
                            yield LinesArea(field) if lines else FieldInput(field)
                            yield Static("", id=f"wrong-{field.name}", classes="wrong",
                                         markup=False)  # fmt: skip
            with VerticalScroll(id="previews"):
                yield Static(" Dataset", classes="pane-title", markup=False)
                yield Static("", id="data-preview", markup=False)
                yield Static(" Request", classes="pane-title", markup=False)
                yield Static("", id="request-preview", markup=False)

    def on_screen_resume(self) -> None:
        """A run may have been handed over to be run again."""
        super().on_screen_resume()
        record = self.arkor.take_setup()
        if record is not None:
            self._begun_in = self.session.folder
            self.fill_from_run(record)
        elif self._begun_in != self.session.folder:
            self._begin()

    @work(group="fill", exclusive=True)
    async def _begin(self) -> None:
        self._begun_in = self.session.folder
        if await asyncio.to_thread((self.session.folder / "trainer.py").is_file):
            await self._fill_from_file(self.session.folder / "trainer.py")
        else:
            self.fill(drafts.defaults(), "blank")

    # filling in

    def fill(self, texts: dict[str, str], origin: str, trainer: Trainer | None = None) -> None:
        """Put these texts into the form."""
        texts = {name: _shown(name, text) for name, text in texts.items()}
        self._origin, self._trainer, self._loaded = origin, trainer, texts
        self._filling = True
        for field in self.query(FieldInput):
            field.value = texts.get(field.field.name, "")
        for area in self.query(LinesArea):
            area.text = texts.get(area.field.name, "")
        self._filling = False
        self._check()
        first = self.query(FieldInput).first()
        if self.is_current:
            first.focus()

    def fill_from_run(self, record: RunRecord) -> None:
        """An earlier run, under a name of its own."""
        texts = drafts.from_config(_next_name(record.name), record.config)
        self.fill(texts, f"run {record.name}")
        self._recall_recipes(record, texts)

    @work(group="fill", exclusive=True)
    async def _recall_recipes(self, record: RunRecord, texts: dict[str, str]) -> None:
        """What watched over the earlier run: the callbacks of its file, and the form's."""
        texts = {**texts, **await self.session.watchers.recalled(record)}
        trainer = None
        if record.trainer_file and record.recipes:
            try:
                trainer = await asyncio.to_thread(load_trainer, record.trainer_file)
            except ArkorTuiError as error:
                self.notify(
                    plain(f"Without its callbacks: {error.message}", limit=300),
                    severity="warning",
                    markup=False,
                )
        self.fill(texts, record.trainer_file or f"run {record.name}", trainer)
        self._loaded = {}  # the form counts, whatever the file says

    async def _fill_from_file(self, path: Path) -> None:
        try:
            trainer = await asyncio.to_thread(load_trainer, path)
        except ArkorTuiError as error:
            self.arkor.tell_problem(error)
            return
        if trainer.settings is None:
            self.notify("That trainer follows a run of elsewhere.", severity="error")
            return
        self.fill(drafts.from_settings(trainer.settings), str(path), trainer)

    @work(group="fill", exclusive=True)
    async def action_source(self) -> None:
        """Choose where the settings come from."""
        options = [(f"starter:{id}", f"starter: {text}") for id, text in TEMPLATES.items()]
        options += [(f"preset:{name}", f"preset: {name}") for name in drafts.PRESETS]
        options += [("file", "a trainer file …"), ("blank", "blank")]
        runs = await self.session.archive.read(lambda a: a.runs(limit=20))
        options += [
            (f"run:{run.key}", plain(f"run: {run.name} ({run.status})", limit=80, newlines=False))
            for run in runs
        ]
        choice = await self.app.push_screen_wait(Choose("Fill in from", options))
        if choice is None:
            return
        kind, _, name = choice.partition(":")
        if kind == "starter":
            await self._fill_from_starter(name)
        elif kind == "preset":
            texts = {**self._texts(), **drafts.PRESETS[name]}
            self.fill(texts, f"preset {name}", self._trainer)
        elif kind == "file":
            answer = await self.app.push_screen_wait(
                Ask("Trainer file", value=str(self.session.folder / "trainer.py"))
            )
            if answer:
                await self._fill_from_file(_path(answer))
        elif kind == "run":
            record = next(run for run in runs if str(run.key) == name)
            self.fill_from_run(record)
        else:
            self.fill(drafts.defaults(), "blank")

    async def _fill_from_starter(self, template: str) -> None:
        folder = self.session.folder
        if await asyncio.to_thread((folder / "trainer.py").exists):
            folder = folder / f"{template}-demo"
        try:
            await asyncio.to_thread(write_starter, template, folder)
        except ArkorTuiError as error:
            self.arkor.tell_problem(error)
            return
        self.notify(plain(f"The starter is in {folder}", limit=200), markup=False, timeout=5)
        await self._fill_from_file(folder / "trainer.py")

    # checking

    def _texts(self) -> dict[str, str]:
        texts = {field.field.name: field.value for field in self.query(FieldInput)}
        return texts | {area.field.name: area.text for area in self.query(LinesArea)}

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _changed(self) -> None:
        if not self._filling:
            self._check()

    def _check(self) -> None:
        self._draft, self._wrong = drafts.check(self._texts())
        for field in self.query("FieldInput, LinesArea"):
            assert isinstance(field, FieldInput | LinesArea)
            wrong = self._wrong.get(field.field.name, "")
            mark = self.query_one(f"#wrong-{field.field.name}", Static)
            mark.update(Content(plain(wrong, limit=120, newlines=False)))
            field.set_class(bool(wrong), "-wrong")
        count = len(self._wrong)
        state = "ready: ctrl+s starts it" if not count else f"{count} to correct"
        origin = plain("/".join(self._origin.split("/")[-2:]), limit=60, newlines=False)
        callbacks = len(self._trainer.callbacks) if self._trainer else 0
        extra = f" · {callbacks} callback{'s' if callbacks > 1 else ''}" if callbacks else ""
        self.query_one("#setup-head", Static).update(
            Content.assemble((" Setup", "bold"), f" · from {origin}{extra} · {state}")
        )
        self._show_request()
        self._preview()

    def _show_request(self) -> None:
        shown = self.query_one("#request-preview", Static)
        if self._draft is None:
            shown.update(Content("shown when every field is right"))
            return
        try:
            wire = self._make().request(self._folder()).to_wire()
        except (ArkorTuiError, ValueError) as error:
            shown.update(Content(plain(error, limit=400)))
            return
        shown.update(Content(plain(json.dumps(_hidden(wire), indent=1, ensure_ascii=False))))

    @work(group="preview", exclusive=True)
    async def _preview(self) -> None:
        await asyncio.sleep(PREVIEW_DELAY)  # until typing pauses
        shown = self.query_one("#data-preview", Static)
        draft = self._draft
        if draft is None:
            return
        try:
            found = await asyncio.to_thread(
                preview, drafts.dataset_of(draft), self._folder(), limit=3
            )
        except UsageError as error:
            self.query_one("#wrong-dataset", Static).update(Content("cannot be read"))
            shown.update(Content(plain(f"{error.message}\n{error.hint}", limit=400)))
            return
        shown.update(_preview_content(found))

    def _folder(self) -> Path:
        if self._trainer is not None and self._trainer.folder is not None:
            return self._trainer.folder
        return self.session.folder

    def _make(self) -> Trainer:
        """A fresh trainer with what is in the form; callbacks of a loaded file stay."""
        assert self._draft is not None
        trainer = drafts.to_trainer(self._draft)
        trainer.folder = self._folder()
        if self._trainer is not None:
            trainer.callbacks.extend(self._trainer.callbacks)
            if self._texts() == self._loaded:
                trainer.settings = self._trainer.settings
        return trainer

    # starting

    def action_start(self) -> None:
        """Submit and show it live."""
        self._start(dry_run=False)

    def action_dry_run(self) -> None:
        """A short run on little data, to see that everything fits."""
        self._start(dry_run=True)

    @work(group="start", exclusive=True)
    async def _start(self, dry_run: bool) -> None:
        if self._draft is None:
            name = next(iter(self._wrong))
            self.query_one(f"#field-{name}").focus()
            label = drafts.FIELDS[name].label
            text = plain(f"{label}: {self._wrong[name]}", limit=200, newlines=False)
            self.notify(text, severity="warning", markup=False)
            return
        trainer = self._make()
        if dry_run and trainer.settings is not None:
            trainer.settings = trainer.settings.changed(dry_run=True)
        file = self._origin if self._trainer is not None else None
        source = to_source(self._draft) if self._draft.has_recipes else None
        texts = self._texts()
        if await self.arkor.start_run(trainer, trainer_file=file, recipe_source=source) and file:
            await self._fill_from_file(Path(file))  # its callbacks belong to one run
            if self._trainer is not None and texts != self._loaded:
                self.fill(texts, file, self._trainer)

    @work(group="save", exclusive=True)
    async def action_save(self) -> None:
        """Write a trainer file; never over one that exists."""
        if self._draft is None:
            self.notify("Correct the marked fields first.", severity="warning")
            return
        path = await self.app.push_screen_wait(
            Ask("Save as", "A new file; what exists is not overwritten.",
                value=str(self._folder() / "my_trainer.py"))
        )  # fmt: skip
        if not path:
            return
        source = to_source(self._draft).encode()
        try:
            written = await asyncio.to_thread(write_new, _path(path), source)
        except ArkorTuiError as error:
            self.arkor.tell_problem(error)
            return
        text = f"Wrote {path}" if written else f"{path} exists already; nothing was written."
        if written and self._trainer is not None and self._trainer.callbacks:
            text += f". The callbacks of {self._origin} are not in it: copy them over."
        self.notify(
            plain(text, limit=300), markup=False, severity="information" if written else "error"
        )

    @work(group="notify", exclusive=True)
    async def action_test_notify(self) -> None:
        """Send a test message to what is named under Notifications."""
        names = self._texts().get("notify", "").replace(",", " ").split()
        if not names:
            self.notify("Name a service under Notifications first.", severity="warning")
            return
        for name, ok, text in await self.session.watchers.test_notify(names):
            self.notify(
                plain(f"{name}: {text}", limit=300, newlines=False),
                severity="information" if ok else "error",
                markup=False,
                timeout=8,
            )

    def action_previews(self) -> None:
        """Data and request, in place of the form where both do not fit."""
        self.toggle_class("-previews")
        if self.has_class("-previews"):
            self.query_one("#previews").focus()
        else:
            self.query(FieldInput).first().focus()

    def action_leave(self) -> None:
        """Back to the view before."""
        self.arkor.go_back()


def _next_name(name: str) -> str:
    head, _, tail = name.rpartition("-")
    if head and tail.isdecimal() and len(tail) < 6:
        return f"{head}-{int(tail) + 1}"
    return f"{name}-2"


def _shown(name: str, text: str) -> str:
    """What stands in the field, and is sent from there: never more than one can see."""
    lines = name in drafts.FIELDS and drafts.FIELDS[name].kind == "lines"
    return plain(text, newlines=lines)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _hidden(wire: dict[str, Any]) -> dict[str, Any]:
    source = wire.get("config", {}).get("datasetSource")
    if isinstance(source, dict) and "token" in source:
        source["token"] = "•••"  # noqa: S105 no token, but what stands for it
    return wire


def _preview_content(found: DatasetPreview) -> Content:
    lines = [Content.styled(found.note, "$muted")] if found.note else []
    lines += [Content.styled(plain(text, limit=200), "$error") for text in found.problems]
    for row in found.rows:
        messages = row.get("messages")
        if isinstance(messages, list):
            for message in messages:
                if isinstance(message, dict):
                    role = plain(message.get("role", "?"), limit=20, newlines=False)
                    text = plain(message.get("content", ""), limit=300, newlines=False)
                    lines.append(Content.assemble((f"{role:>9} ", "$muted"), text))
        else:
            lines.append(Content(plain(json.dumps(row, ensure_ascii=False), limit=400)))
        lines.append(Content(""))
    return Content("\n").join(lines) if lines else Content("empty")
