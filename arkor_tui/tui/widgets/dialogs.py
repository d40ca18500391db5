"""Questions over the screen. Nothing is chosen by accident: the safe answer has the focus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from arkor_tui.text.sanitize import plain
from arkor_tui.tui.view import Dialog, Result

_CSS = """
{name} {{ align: center middle; background: $background 60%; }}
{name} > Vertical {{
    width: 72; max-width: 94%; height: auto; max-height: 90%; padding: 1 2;
    background: $surface; border: round $primary; border-subtitle-color: $muted;
}}
{name} ToastRack {{ display: none; }}  /* they would cover the question; they are shown after it */
{name} .dialog-title {{ text-style: bold; margin-bottom: 1; width: 1fr; }}
{name} .dialog-body {{ color: $text; margin-bottom: 1; width: 1fr; }}
{name} .dialog-note {{ color: $error; height: auto; }}
{name} Horizontal {{ height: auto; align-horizontal: right; }}
{name} Button {{ min-width: 10; margin-left: 1; }}
{name} OptionList, {name} OptionList:focus {{
    height: auto; max-height: 20; border: none; padding: 0; background: $surface;
}}
"""


@dataclass(frozen=True, slots=True)
class DialogChoice:
    """An answer: ``key`` presses it, ``id`` is what the dialog returns."""

    key: str
    id: str
    label: str
    danger: bool = False


class _Box(Vertical):
    """The frame of a dialog, with the keys that answer it in its lower edge."""

    def __init__(self, keys: str) -> None:
        super().__init__()
        self.border_subtitle = keys


class Confirm(Dialog[str | None]):
    """Asks for one of a few answers; the first has the focus. Esc answers None."""

    DEFAULT_CSS = _CSS.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="dialog.back"),
        Binding("left,h,up,k", "app.focus_previous", "previous", show=False),
        Binding("right,l,down,j", "app.focus_next", "next", show=False),
    ]

    def __init__(self, title: str, body: str, choices: Sequence[DialogChoice]) -> None:
        super().__init__()
        self._title, self._body, self._choices = title, body, choices

    def compose(self) -> ComposeResult:
        """Title, body, buttons."""
        with _Box("← → choose   enter answers   esc back"):
            yield Static(Content(self._title), classes="dialog-title", markup=False)
            yield Static(Content(self._body), classes="dialog-body", markup=False)
            with Horizontal():
                for choice in self._choices:
                    label = Content.assemble((choice.key, "underline bold"), " ", choice.label)
                    button = Button(
                        label, id=choice.id, variant="error" if choice.danger else "default"
                    )
                    button.compact = True
                    yield button

    def on_mount(self) -> None:
        """Focus the first answer."""
        self.query(Button).first().focus()

    def on_key(self, event: events.Key) -> None:
        """A letter presses its answer."""
        for choice in self._choices:
            if event.key == choice.key:
                event.stop()
                self.dismiss(choice.id)

    @on(Button.Pressed)
    def _pressed(self, message: Button.Pressed) -> None:
        self.dismiss(message.button.id)


class Ask(Dialog[str | None]):
    """Asks for a line of text. ``check`` returns what is wrong with it, or None."""

    DEFAULT_CSS = _CSS.format(name="Ask")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="dialog.back")
    ]

    def __init__(
        self,
        title: str,
        body: str = "",
        *,
        value: str = "",
        placeholder: str = "",
        check: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._title, self._body, self._value = title, body, value
        self._shown = plain(value, newlines=False)
        self._placeholder, self._check = placeholder, check

    def compose(self) -> ComposeResult:
        """Title, body, a line to type in, and what is wrong with it."""
        with _Box("enter accepts   esc back"):
            yield Static(Content(self._title), classes="dialog-title", markup=False)
            if self._body:
                yield Static(Content(self._body), classes="dialog-body", markup=False)
            field = Input(self._shown, placeholder=self._placeholder)
            field.cursor_blink = False
            yield field
            yield Static("", classes="dialog-note", markup=False)

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        # whoever changes nothing means the value itself, such as a path, not how it is shown
        value = self._value if message.value == self._shown else message.value
        wrong = self._check(value)
        if wrong is None:
            self.dismiss(value)
        else:
            self.query_one(".dialog-note", Static).update(Content(wrong))


class Filtered(Dialog[Result]):
    """A list of ids and labels; typing filters it."""

    KEYS = "↑ ↓ move   enter chooses   esc back"
    DEFAULT_CSS = _CSS.format(name="Filtered")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", id="dialog.back"),
        Binding("down", "move(1)", "next", show=False),
        Binding("up", "move(-1)", "previous", show=False),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._options = title, options

    def compose(self) -> ComposeResult:
        """Title, filter, list."""
        with _Box(self.KEYS):
            yield Static(Content(self._title), classes="dialog-title", markup=False)
            field = Input(placeholder="type to filter")
            field.cursor_blink = False
            yield field
            yield OptionList(markup=False)
            yield Static("", classes="dialog-note", markup=False)

    def on_mount(self) -> None:
        """Show everything first."""
        self._show("")

    def _label(self, id: str, label: str) -> str:
        del id
        return label

    def _show(self, text: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        words = text.lower().split()
        for place, (id, label) in enumerate(self._options):
            if all(word in label.lower() for word in words):
                options.add_option(Option(Content(self._label(id, label)), id=str(place)))
        if options.option_count:
            options.highlighted = 0
        self._note("" if options.option_count else "Nothing here holds these words.")

    def _note(self, text: str) -> None:
        note = self.query_one(".dialog-note", Static)
        note.update(Content(text))
        note.display = bool(text)

    def action_move(self, by: int) -> None:
        """Move through the list while the filter keeps the focus."""
        options = self.query_one(OptionList)
        if options.option_count:
            options.highlighted = ((options.highlighted or 0) + by) % options.option_count

    @on(Input.Changed)
    def _filtered(self, message: Input.Changed) -> None:
        self._show(message.value)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        current = self._current
        if current is not None:
            self._choose(current)

    @on(OptionList.OptionSelected)
    def _selected(self, message: OptionList.OptionSelected) -> None:
        self._choose(self._options[int(message.option.id or 0)][0])

    @property
    def _current(self) -> str | None:
        options = self.query_one(OptionList)
        if options.highlighted is None:
            return None
        return self._options[int(options.get_option_at_index(options.highlighted).id or 0)][0]

    def _choose(self, id: str) -> None:
        raise NotImplementedError


class Choose(Filtered[str | None]):
    """A list to choose from. Returns the id of what was chosen."""

    def _choose(self, id: str) -> None:
        self.dismiss(id)


class ChooseSeveral(Filtered[list[str] | None]):
    """One of a list, or, marked with Tab, up to ``most`` of it. Returns their ids."""

    KEYS = "↑ ↓ move   tab marks   enter chooses   esc back"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "mark", "mark", id="choose.mark"),
    ]

    def __init__(
        self, title: str, options: Sequence[tuple[str, str]], *, marked: Sequence[str], most: int
    ) -> None:
        super().__init__(title, options)
        self._marked, self._most = set(marked), most

    def _label(self, id: str, label: str) -> str:
        return f"{'◉' if id in self._marked else ' '} {label}"

    def action_mark(self) -> None:
        """Mark or unmark."""
        options, id = self.query_one(OptionList), self._current
        if id is None:
            return
        if id not in self._marked and len(self._marked) >= self._most:
            self._note(f"At most {self._most} at once.")
            return
        self._marked ^= {id}
        place = options.highlighted or 0
        self._show(self.query_one(Input).value)
        options.highlighted = place

    def _choose(self, id: str) -> None:
        marked = [one for one, _ in self._options if one in self._marked]
        self.dismiss(marked or [id])
