"""The dialog over system prompt, sampling and constraint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static, TextArea

from arkor_tui.chat.asking import settings_from
from arkor_tui.chat.options import OPTIONS, USUAL, typed_sampling
from arkor_tui.chat.verdict import KINDS
from arkor_tui.tui.view import Dialog

FIELDS = (
    *((option.name, option.label, option.hint) for option in OPTIONS if option.in_form),
    ("history", "remember", "yes: earlier turns are sent along, if one is asked"),
    ("tools", "tools file", "a .py file with functions marked @tool"),
    ("tool_choice", "tool choice", "auto, required, none, or the name of a function"),
    ("constraint_kind", "constraint", ", ".join(k for k in KINDS if k) + "; json? only judges"),
)
DEFAULTS: dict[str, str] = {
    **typed_sampling(USUAL), "system": "", "history": "", "tools": "", "tool_choice": "",
    "constraint_kind": "", "constraint": "",
}  # fmt: skip


class AskSettingsScreen(Dialog[dict[str, str] | None]):
    """Returns the texts once all of them are right."""

    DEFAULT_CSS = """
    AskSettingsScreen { align: center middle; background: $background 60%; }
    AskSettingsScreen > VerticalScroll {
        width: 86; max-width: 98%; height: auto; max-height: 96%; padding: 0 2;
        background: $surface; border: round $primary;
    }
    AskSettingsScreen Horizontal { height: 1; }
    AskSettingsScreen Label { width: 14; color: $muted; }
    AskSettingsScreen Input { width: 1fr; height: 1; border: none; padding: 0 1; }
    AskSettingsScreen Input:focus { border: none; background: $panel; text-style: bold; }
    AskSettingsScreen .wrong { width: auto; color: $error; padding-left: 1; }
    AskSettingsScreen TextArea { height: 4; border: none; background: $panel; }
    AskSettingsScreen .head { margin-top: 1; color: $muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "discard", id="dialog.back"),
        Binding("ctrl+s", "keep", "keep", id="dialog.keep", priority=True),
    ]

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__()
        self._texts = {**DEFAULTS, **texts}

    def compose(self) -> ComposeResult:
        """Fields, and two texts of several lines."""
        with VerticalScroll(can_focus=False) as box:
            # in the frame: what is in it scrolls
            box.border_title = "Settings of the next prompt · ctrl+s keeps, Esc discards"
            yield Static("system prompt", classes="head")
            area = TextArea(self._texts["system"], id="ask-system", compact=True)
            area.cursor_blink = False
            yield area
            for name, label, hint in FIELDS:
                with Horizontal():
                    yield Label(label, markup=False)
                    field = Input(self._texts[name], placeholder=hint, id=f"ask-{name}")
                    field.cursor_blink = False
                    yield field
                    yield Static("", id=f"ask-wrong-{name}", classes="wrong", markup=False)
            yield Static(
                "the schema, pattern, choices apart by |, or grammar",
                classes="head",
            )
            area = TextArea(self._texts["constraint"], id="ask-constraint", compact=True)
            area.cursor_blink = False
            yield area
            yield Static("", id="ask-wrong-constraint", classes="wrong", markup=False)

    def _read(self) -> dict[str, str]:
        texts = {name: self.query_one(f"#ask-{name}", Input).value for name, _, _ in FIELDS}
        texts["system"] = self.query_one("#ask-system", TextArea).text
        texts["constraint"] = self.query_one("#ask-constraint", TextArea).text
        return texts

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    def action_keep(self) -> None:
        """Check, and hand back."""
        texts = self._read()
        _, wrong = settings_from(texts)
        for name in (*(name for name, _, _ in FIELDS), "constraint"):
            self.query_one(f"#ask-wrong-{name}", Static).update(Content(wrong.get(name, "")))
        if not wrong:
            self.dismiss(texts)
