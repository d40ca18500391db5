"""Setup: a form over a run's settings, from a starter, a file, an earlier run or blank."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static, TextArea
from textual.worker import WorkerError

from arkor_tui.api.errors import ApiError
from arkor_tui.archive.records import RunRecord
from arkor_tui.datasets.sources import BlobDataset
from arkor_tui.errors import ArkorTuiError
from arkor_tui.run import draft as drafts
from arkor_tui.run import formstate
from arkor_tui.run.draft_source import to_source
from arkor_tui.run.form import FIELDS, FORM, PRESETS, field_of, on_backend
from arkor_tui.run.formstate import FormState
from arkor_tui.run.loading import load_trainer
from arkor_tui.starters import TEMPLATES
from arkor_tui.starters.write import write_new, write_starter
from arkor_tui.text.sanitize import one_line, plain
from arkor_tui.tui.widgets.dialogs import Ask, Choose, Confirm, DialogChoice
from arkor_tui.tui.widgets.formfields import FieldHelp, FieldInput, LinesArea
from arkor_tui.tui.widgets.previews import DataPreview

from .base import BaseScreen

PREVIEW_DELAY = 0.4


class SetupScreen(BaseScreen):
    """Type, see what is wrong beside the field, look at data and request, start."""

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
    SetupScreen FieldInput.-wrong:focus { background: $error 40%; }
    SetupScreen FieldInput.-wrong:ansi { background: ansi_default; text-style: underline; }
    SetupScreen .wrong { width: auto; max-width: 30; color: $error; padding-left: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start", id="setup.start", priority=True),
        Binding("escape", "leave", "back", id="setup.back"),
        Binding("ctrl+t", "dry_run", "dry run", id="setup.dry-run", priority=True),
        Binding("ctrl+o", "source", "open…", id="setup.source", priority=True),
        Binding("ctrl+w", "save", "save file", id="setup.save", priority=True),
        Binding("ctrl+n", "test_notify", "test notices", id="setup.test-notify", priority=True,
                show=False),
        Binding("ctrl+e", "previews", "preview", id="setup.preview", priority=True),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._state = FormState({})
        """All that the form holds; the fields show its texts, a start sends its request."""
        self._begun_in: Path | None = None
        self._refused: dict[str, tuple[str, str]] = {}
        """What the backend said of a field, and the text that it said it of."""
        self._data_wrong = ""
        """Why the file of the dataset field cannot be trained on, as far as it was looked at."""
        self._typed_in = ""
        """The field that the preview was opened from."""
        self._filling = False

    @property
    def ABOUT(self) -> str:  # noqa: N802 the name that every screen has for it
        """What this screen is, and what is to be corrected in it, whole."""
        lines = [
            "A mistake is named beside its field. ctrl+s starts what is filled in. A field that is "
            "empty is left to the backend."
        ]
        for name, wrong in self._mistakes().items():
            lines.append(f"{FIELDS[name].label}: {one_line(wrong, limit=600)}")
        return "\n".join(lines)

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
                yield DataPreview(id="data-preview")
                yield Static(" Request", classes="pane-title", markup=False)
                yield Static("", id="request-preview", markup=False)
        yield FieldHelp(id="field-help")

    def on_screen_resume(self) -> None:
        """A run may have been handed over to be run again."""
        super().on_screen_resume()
        self._offer_choices()
        record = self.host.take_setup()
        if record is not None:
            self._begun_in = self.session.folder
            self.fill_from_run(record)
        elif self._begun_in != self.session.folder:
            self._begin()

    def backend_asked(self) -> None:
        """Which backend it is may be known only now."""
        super().backend_asked()
        self._offer_choices()

    def _offer_choices(self) -> None:
        """The base models of this backend, and of no other."""
        for field in self.query(FieldInput):
            found = on_backend(FIELDS[field.field.name], self.session.backend_name)
            if found != field.field:
                field.become(found)
        self._show_field_help()

    @work(group="fill", exclusive=True)
    async def _begin(self) -> None:
        self._begun_in = self.session.folder
        if await asyncio.to_thread((self.session.folder / "trainer.py").is_file):
            await self._fill_from_file(self.session.folder / "trainer.py")
        else:
            self.fill(formstate.of_blank(self.session.folder))

    # filling in

    def fill(self, state: FormState) -> None:
        """Put this state into the form."""
        self._state = state
        self._filling = True
        for field in self.query(FieldInput):
            field.value = state.texts.get(field.field.name, "")
        for area in self.query(LinesArea):
            area.text = state.texts.get(area.field.name, "")
        self._filling = False
        self._check()
        first = self.query(FieldInput).first()
        if self.is_current:
            first.focus()

    @work(group="fill", exclusive=True)
    async def fill_from_run(self, record: RunRecord) -> None:
        """Fill in an earlier run under the next free name, with what watched over it.

        That is what was typed into the form for it, and the callbacks of its file.
        """
        name = await self.session.runs.next_name(record.name)
        watching = await self.session.supervision.recalled(record)
        trainer = None
        if record.trainer_file and record.recipes:
            try:
                trainer = await asyncio.to_thread(load_trainer, record.trainer_file)
            except ArkorTuiError as error:
                self._warn(f"Without its callbacks: {error.message}")
        unknown = drafts.unknown_in(record.config)
        if unknown:
            self._warn(f"Not taken over, for no trainer can send it: {', '.join(unknown)}")
        self.fill(
            formstate.of_run(
                name,
                record.config,
                since=record.name,
                folder=self.session.folder,
                watching=watching,
                trainer=trainer,
            )
        )

    def _warn(self, text: str) -> None:
        self.notify(plain(text, limit=300), severity="warning", markup=False)

    async def _fill_from_file(self, path: Path) -> None:
        try:
            trainer = await asyncio.to_thread(load_trainer, path)
            self.fill(formstate.of_file(trainer, path))
        except ArkorTuiError as error:
            self.host.tell_problem(error)

    @work(group="fill", exclusive=True)
    async def action_source(self) -> None:
        """Choose where the settings come from."""
        options = [(f"starter:{id}", f"starter: {text}") for id, text in TEMPLATES.items()]
        options += [(f"preset:{name}", f"preset: {name}") for name in PRESETS]
        options += [("file", "a trainer file …"), ("blank", "blank")]
        runs = await self.session.runs.page(limit=20)
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
            self.fill(formstate.with_preset(self._state, name, PRESETS[name]))
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
            self.fill(formstate.of_blank(self.session.folder))

    async def _fill_from_starter(self, template: str) -> None:
        folder = self.session.folder
        if await asyncio.to_thread((folder / "trainer.py").exists):
            folder = folder / f"{template}-demo"
        try:
            await asyncio.to_thread(write_starter, template, folder)
        except ArkorTuiError as error:
            self.host.tell_problem(error)
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
        texts = self._texts()
        self._state = self._state.typed(texts)
        self._refused = {
            name: said for name, said in self._refused.items() if texts.get(name) == said[1]
        }
        self._show_wrong()
        self._show_request()
        self._preview()

    def _is_certain(self) -> bool:
        """Whether what is wrong with the file here makes a run fail. A backend at some address
        may have another file of that name."""
        return bool(self._data_wrong) and self.session.backend_name == "local"

    def _mistakes(self) -> dict[str, str]:
        """By field: what the form finds, else the file system, else the backend, as far as it has
        said so or is known not to have a parameter."""
        found = self._state.not_served(self.session.backend_name)
        found |= {name: text for name, (text, _) in self._refused.items()}
        if self._data_wrong:
            found["dataset"] = self._data_wrong
        return {**found, **self._state.wrong}

    def _show_wrong(self) -> None:
        mistakes = self._mistakes()
        for field in self.query("FieldInput, LinesArea"):
            assert isinstance(field, FieldInput | LinesArea)
            wrong = mistakes.get(field.field.name, "")
            mark = self.query_one(f"#wrong-{field.field.name}", Static)
            said = Content(plain(wrong, limit=120, newlines=False))
            if mark.content != said:  # each update lays the whole form out again
                mark.update(said)
            field.set_class(bool(wrong), "-wrong")
        state = "ready: ctrl+s starts it" if not mistakes else f"{len(mistakes)} to correct"
        if mistakes and not self._state.wrong and not self._is_certain():
            state += ", ctrl+s tries it"
        origin = plain("/".join(self._state.origin.split("/")[-2:]), limit=60, newlines=False)
        callbacks = len(self._state.callbacks)
        extra = f" · {callbacks} callback{'s' if callbacks > 1 else ''}" if callbacks else ""
        self.query_one("#setup-head", Static).update(
            Content.assemble((" Setup", "bold"), f" · from {origin}{extra} · {state}")
        )
        self._show_field_help()

    @on(events.DescendantFocus)
    def _show_field_help(self) -> None:
        focused = self.focused
        field = focused.field if isinstance(focused, FieldInput | LinesArea) else None
        wrong = self._mistakes().get(field.name, "") if field is not None else ""
        self.query_one(FieldHelp).tell(field, wrong)

    def _show_request(self) -> None:
        shown = self.query_one("#request-preview", Static)
        if self._state.draft is None:
            shown.update(Content("shown when every field is right"))
            return
        try:
            text = self._state.preview()
        except ArkorTuiError as error:
            text = plain(error, limit=400)
        beside = self._state.beside()
        shown.update(Content("\n\n".join([text, *beside])))

    @work(group="preview", exclusive=True)
    async def _preview(self) -> None:
        await asyncio.sleep(PREVIEW_DELAY)  # until typing pauses
        await self._look_at_data()

    async def _look_at_data(self) -> None:
        """Show the first rows, and beside the field what is wrong with the file."""
        texts, pane = self._texts(), self.query_one(DataPreview)
        dataset, layout = drafts.dataset_in(texts), drafts.layout_in(texts)
        wrong = await pane.look(dataset, self._state.folder, layout)
        if wrong != self._data_wrong:
            self._data_wrong = wrong
            self._show_wrong()

    # starting

    def action_start(self) -> None:
        """Submit and show it live."""
        self._start_once(dry_run=False)

    def action_dry_run(self) -> None:
        """A short run on little data, to see that everything fits."""
        self._start_once(dry_run=True)

    def _start_once(self, *, dry_run: bool) -> None:
        """Start anew, unless the backend may have the last one: it would train unwatched."""
        if self.host.session.submitting:
            self.notify("A run is being submitted; the backend's answer is waited for.")
            return
        self._start(dry_run)

    @work(group="start", exclusive=True)
    async def _start(self, dry_run: bool) -> None:
        await self._filled()
        self._check()  # what was typed last may not have been told yet
        state = self._state
        if state.draft is None:
            name = next(iter(state.wrong))
            self._point_to(name, state.wrong[name])
            return
        await self._look_at_data()  # it may have been corrected since, or never looked at
        if self._is_certain():
            self._point_to("dataset", self._data_wrong)
            return
        if dry_run:
            state = state.for_dry_run()
        if not await self._is_meant(state):
            return
        trainer, file = state.trainer(), state.trainer_file
        source = to_source(state.draft) if state.draft and state.draft.has_recipes else None
        started = await self.host.start_run(
            trainer, trainer_file=file, recipe_source=source, tell=self._tell_refusal
        )
        if started and file:
            await self._load_anew(file)

    async def _filled(self) -> None:
        """Wait until the form holds what it is being filled with."""
        filling = [worker for worker in self.workers if worker.group == "fill"]
        with suppress(WorkerError):
            await self.workers.wait_for_complete(filling)

    async def _is_meant(self, state: FormState) -> bool:
        """Name what starts, and ask."""
        rows = self.query_one(DataPreview).rows
        answer = await self.app.push_screen_wait(
            Confirm(
                "Start this run?",
                plain(state.summary(rows), newlines=False),
                [DialogChoice("s", "start", "start"), DialogChoice("n", "no", "not yet")],
            )
        )
        return answer == "start"

    async def _load_anew(self, file: str) -> None:
        """The callbacks of a file belong to one run; the next has its own."""
        try:
            trainer = await asyncio.to_thread(load_trainer, file)
        except ArkorTuiError as error:
            self.host.tell_problem(error)
            trainer = None
        if self._state.trainer_file == file:
            self._state = self._state.with_file(trainer)
            self._check()

    def _point_to(self, name: str, wrong: str) -> None:
        """Why nothing is started, and where to correct it."""
        self.query_one(f"#field-{name}").focus()
        text = one_line(f"{FIELDS[name].label}: {wrong}", limit=200)
        self.notify(text, severity="warning", markup=False)

    def _tell_refusal(self, error: ArkorTuiError) -> None:
        """What the backend refuses stands beside its field; the rest is told."""
        said = error.fields if isinstance(error, ApiError) else {}
        texts = self._texts()
        fields = {path: field_of(path) for path in said}
        named = {name: said[path] for path, name in fields.items() if name is not None}
        self._refused = {name: (text, texts[name]) for name, text in named.items()}
        if not named or None in fields.values():
            self.host.tell_problem(error)
            return
        many = f"{len(named)} fields" if len(named) > 1 else "1 field"
        text = f"The backend refuses {many}; beside it stands why, and f1 has all of it."
        self.notify(text, severity="error")
        self.query_one(f"#field-{next(name for name in FIELDS if name in named)}").focus()
        self._show_wrong()

    @work(group="save", exclusive=True)
    async def action_save(self) -> None:
        """Write a trainer file; never over one that exists."""
        self._check()
        state = self._state
        if state.draft is None:
            self.notify("Correct the marked fields first.", severity="warning")
            return
        path = await self.app.push_screen_wait(
            Ask("Save as", "A new file; what exists is not overwritten.",
                value=str(state.folder / "my_trainer.py"))
        )  # fmt: skip
        if not path:
            return
        source = to_source(state.draft, _path(path).name).encode()
        try:
            written = await asyncio.to_thread(write_new, _path(path), source)
        except ArkorTuiError as error:
            self.host.tell_problem(error)
            return
        text = f"Wrote {path}" if written else f"{path} exists already; nothing was written."
        if written and state.callbacks:
            text += f". The callbacks of {state.trainer_file} are not in it: copy them over."
        dataset = state.settings.dataset
        is_bare = dataset == drafts.dataset_of(state.draft)
        if written and isinstance(dataset, BlobDataset) and not is_bare:
            text += ". What is secret of its dataset's address is not in it either."
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
        for name, ok, text in await self.session.supervision.test_notify(names):
            self.notify(
                plain(f"{name}: {text}", limit=300, newlines=False),
                severity="information" if ok else "error",
                markup=False,
                timeout=8,
            )

    def action_previews(self) -> None:
        """Data and request, in place of the form where both do not fit; and back."""
        if self._in_previews():
            self.remove_class("-previews")
            fields = self.query("FieldInput, LinesArea")
            (next((f for f in fields if f.id == self._typed_in), None) or fields.first()).focus()
        else:
            self._typed_in = (self.focused.id or "") if self.focused is not None else ""
            self.add_class("-previews")
            self.query_one("#previews").focus()

    def _in_previews(self) -> bool:
        covers = self.has_class("-narrow") and self.has_class("-previews")
        return covers or self.query_one("#previews").has_focus

    def action_leave(self) -> None:
        """From the preview to the form, from there to the view before."""
        if self._in_previews():
            self.action_previews()
        else:
            self.host.go_back()


def _path(text: str) -> Path:
    return Path(text).expanduser()
