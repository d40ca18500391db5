"""The last row: the keys of this place. Help and quitting are named however narrow it is."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widget import Widget

_LAST = ("app.help", "app.help-always", "app.quit")


class KeyBar(Widget):
    """One row, drawn at once; a widget for each key would be many times slower to show.

    A click on a key presses it.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key"}
    DEFAULT_CSS = """
    KeyBar { height: 1; background: $panel; color: $foreground; }
    KeyBar .keybar--key { color: $accent; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[tuple[str, str, str]] = []
        self._last = 0
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Follow the focus: other panes have other keys."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._read())
        self._read()

    def _read(self) -> None:
        if not self.screen.is_current:
            return
        first: list[tuple[str, str, str]] = []
        last: list[tuple[str, str, str]] = []
        seen: set[str] = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not binding.description or binding.action in seen:
                continue
            seen.add(binding.action)
            key = (self.app.get_key_display(binding), binding.description, binding.key)
            (last if binding.id in _LAST else first).append(key)
        keys = first + last
        if keys != self._keys:
            self._keys = keys
            self._last = len(last)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """As many as fit; those that always stay come last."""
        del y
        width, base = self.size.width, self.rich_style
        strong = base + self.get_component_rich_style("keybar--key", partial=True)
        kept = self._keys[len(self._keys) - self._last :] if self._keys else []
        room = width - sum(len(key) + len(text) + 3 for key, text, _ in kept)
        shown = []
        for entry in self._keys[: len(self._keys) - len(kept)]:
            room -= len(entry[0]) + len(entry[1]) + 3
            if room < 0:
                break
            shown.append(entry)
        segments: list[Segment] = []
        self._places, at = [], 0
        for key, text, pressed in [*shown, *kept]:
            segments += [
                Segment(" ", base), Segment(key, strong), Segment(f" {text} ", base),
            ]  # fmt: skip
            end = at + len(key) + len(text) + 3
            self._places.append((at, end, pressed))
            at = end
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        for start, end, key in self._places:
            if start <= event.x < end:
                self.app.simulate_key(key.split(",")[0])
