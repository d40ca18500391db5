"""The fields of a form, and the rows that say what the field in focus is for."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static, TextArea

from arkor_tui.run.form import FormField
from arkor_tui.text.sanitize import one_line


class FieldInput(Input):
    """A field of the form; up and down go to the next one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", "previous field", show=False),
        Binding("down,enter", "app.focus_next", "next field", show=False),
    ]

    def __init__(self, field: FormField) -> None:
        super().__init__(id=f"field-{field.name}")
        self.become(field)
        self.cursor_blink = False

    def become(self, field: FormField) -> None:
        """The same field with other choices."""
        self.field = field
        self.placeholder = field.hint
        self.suggester = SuggestFromList(field.choices) if field.choices else None


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


class FieldHelp(Static):
    """What is wrong with the field in focus, or what it is for; and its choices.

    Beside the field there is room for a few words only. Here are two rows, and for a mistake as
    many as it needs, up to six; F1 has all of it.
    """

    DEFAULT_CSS = """
    FieldHelp { height: auto; min-height: 2; max-height: 6; padding: 0 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.said = ""

    def on_resize(self) -> None:
        """The rows that it takes from the form must not be those of the field."""
        self.call_after_refresh(self._keep_in_sight)

    def _keep_in_sight(self) -> None:
        focused = self.screen.focused
        if isinstance(focused, FieldInput | LinesArea):
            focused.scroll_visible(animate=False)

    def tell(self, field: FormField | None, wrong: str = "") -> None:
        """Say it about this field; None where no field has the focus."""
        if field is None:
            self.said = ""
            self.update("")
            return
        label = Content.styled(f"{field.label}: ", "bold")
        if wrong:
            text = Content.styled(one_line(wrong, limit=600), "$error")
        else:
            text = Content(field.hint)
        found = label + text
        if field.choices and not (wrong and len(wrong) > 60):
            keys = "  (→ completes)" if len(field.choices) > 2 else ""
            found += Content.styled(f"\nknown here: {', '.join(field.choices)}{keys}", "$muted")
        self.said = found.plain
        self.update(found)
