"""The ``?`` overlay: the keys that work here, from the bindings themselves."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, Static, TextArea

Row = tuple[str, str]
_UNINTERESTING = frozenset(
    {"scroll_left", "scroll_right", "page_left", "page_right", "screen.copy_text",
     "app.focus_next", "app.focus_previous", "show_help_panel"}
)  # fmt: skip


def sections(screen: Screen[object]) -> list[tuple[str, list[Row]]]:
    """Titles, and keys with what they do: the focused pane first, then the screen, then the app."""
    found: dict[str, dict[str, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.action in _UNINTERESTING:
            continue
        node = active.node
        if isinstance(node, Input | TextArea) and not binding.id:
            continue  # how a text is edited everywhere would bury the keys of the screen
        if node is screen.app:
            place = "Everywhere"
        elif isinstance(node, Screen):
            place = "This screen"
        else:
            place = "The pane in focus"
        keys = found.setdefault(place, {}).setdefault(binding.description, [])
        shown = screen.app.get_key_display(binding)
        if shown not in keys:
            keys.append(shown)
    order = ("The pane in focus", "This screen", "Everywhere")
    return [
        (place, [(" ".join(keys), text) for text, keys in found[place].items()])
        for place in order
        if place in found
    ]


class HelpScreen(ModalScreen[None]):
    """All keys of the place that it was opened over."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 92%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "back", id="dialog.back"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, parts: list[tuple[str, list[Row]]], about: str) -> None:
        super().__init__()
        self._parts, self._about = parts, about

    def compose(self) -> ComposeResult:
        """One text."""
        lines: list[Content] = [Content(self._about)] if self._about else []
        for place, rows in self._parts:
            lines.append(Content.styled(f"\n{place}", "bold $accent"))
            width = min(max((len(keys) for keys, _ in rows), default=0), 22)
            for keys, text in rows:
                lines.append(Content.assemble((f"  {keys:<{width}}", "bold"), "  ", text))
        with VerticalScroll():
            yield Static(Content("\n").join(lines), markup=False)

    def action_scroll(self, by: int) -> None:
        """Scroll the text."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
