"""The ``?`` overlay: the keys that work here, from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from arkor_tui.tui.textual_compat import own_bindings
from arkor_tui.tui.view import Dialog

Row = tuple[str, str]
_PANE, _SCREEN, _EVERYWHERE = "The pane in focus", "This screen", "Everywhere"
_UNINTERESTING = frozenset(
    {"scroll_left", "scroll_right", "page_left", "page_right", "screen.copy_text",
     "app.focus_next", "app.focus_previous", "show_help_panel"}
)  # fmt: skip


def sections(
    screen: Screen[object], panes: Iterable[tuple[str, str]]
) -> list[tuple[str, list[Row]]]:
    """Give titles, and keys with what they do: the focused pane first, then the panes beside it,
    then the screen, then the app. ``panes`` are names and selectors."""
    found: dict[str, dict[str, list[str]]] = {}
    for active in screen.active_bindings.values():
        node = active.node
        if isinstance(node, Input | TextArea) and not active.binding.id:
            continue  # how a text is edited everywhere would bury the keys of the screen
        if node is screen.app:
            place = _EVERYWHERE
        elif isinstance(node, Screen):
            place = _SCREEN
        else:
            place = _PANE
        _add(found.setdefault(place, {}), screen, active.binding)
    focused, titles = screen.focused, {_PANE: _PANE}
    beside = []
    for title, selector in panes:
        for pane in screen.query(selector):
            if pane is focused:
                titles[_PANE] = f"{_PANE}: {title}"
            elif pane in screen.focus_chain:
                beside.append(f"{title[:1].upper()}{title[1:]} (tab goes there)")
                for binding in _own_bindings(pane):
                    _add(found.setdefault(beside[-1], {}), screen, binding)
    order = [_PANE, *beside, _SCREEN, _EVERYWHERE]
    return [
        (titles.get(place, place), [(" ".join(keys), text) for text, keys in found[place].items()])
        for place in order
        if found.get(place)
    ]


def _add(rows: dict[str, list[str]], screen: Screen[object], binding: Binding) -> None:
    if not binding.description or binding.action in _UNINTERESTING:
        return
    text = binding.description
    if not binding.id:  # Textual's own begin with a capital
        text = text[:1].lower() + text[1:]
    keys = rows.setdefault(text, [])
    shown = screen.app.get_key_display(binding)
    if shown not in keys:
        keys.append(shown)


def _own_bindings(pane: Widget) -> list[Binding]:
    """The keys that this kind of pane adds to those of every list, as the user set them."""
    return [
        binding
        for binding in own_bindings(pane)
        if binding.id and not binding.id.startswith("list.")
    ]


class HelpScreen(Dialog[None]):
    """All keys of the place that it was opened over."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 92%; padding: 1 2;
        background: $surface; border: round $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "back", id="dialog.back"),
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
