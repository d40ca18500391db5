"""The command palette: every action of the place that it was opened over, by its description.

Textual's own list is not used beside it: its "Quit" would not ask, and its order would differ from
start to start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from .view import View

_OWN = frozenset({"command_palette", "app.focus_next", "app.focus_previous"})
_SYSTEM = ("Theme", "Screenshot")


class Palette(CommandPalette, View[None]):
    """Textual's palette, which like every view has the size that the terminal has now."""


Action = tuple[str, str, Callable[[], object]]
"""What it is called, what is said about it, and the action itself."""


def _about(place: DOMNode, action: str) -> str:
    """What an action says of itself: the first line of its docstring, which is written for this."""
    name = action.partition("(")[0].rpartition(".")[2]
    for node in (place, place.app):
        method = getattr(node, f"action_{name}", None)
        if method is not None:
            return (method.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return ""


class ActionCommands(Provider):
    """Active bindings of ours as commands, with the keys that do the same."""

    def _actions(self) -> list[Action]:
        found: dict[str, Action] = {}
        # what the key bar names comes before what only moves
        bindings = self.screen.active_bindings.values()
        for active in sorted(bindings, key=lambda active: not active.binding.show):
            binding = active.binding
            if not binding.description or not active.enabled or binding.action in _OWN:
                continue
            if not binding.id:  # Textual's, such as "scroll right"
                continue
            text = binding.description[:1].upper() + binding.description[1:]
            keys = self.app.get_key_display(binding)
            run = partial(self._run, binding.action, active.node)
            about = f"{keys} · {_about(active.node, binding.action)}".rstrip(" ·")
            found.setdefault(binding.action, (text, about, run))
        return [*found.values(), *self._system()]

    def _system(self) -> list[Action]:
        commands = {command[0]: command for command in self.app.get_system_commands(self.screen)}
        found = [commands[name] for name in _SYSTEM if name in commands]
        return [(title, about, run) for title, about, run, _ in found]

    async def _run(self, action: str, place: DOMNode) -> None:
        await self.app.run_action(action, place)

    async def discover(self) -> Hits:
        """Everything, before a word is typed."""
        for text, about, run in self._actions():
            yield DiscoveryHit(text, run, help=about)

    async def search(self, query: str) -> Hits:
        """What fits the words."""
        matcher = self.matcher(query)
        for text, about, run in self._actions():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), run, help=about)
