"""The command palette: every action of the place that it was opened over, by its description."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

_OWN = frozenset({"command_palette", "app.focus_next", "app.focus_previous"})


class ActionCommands(Provider):
    """Active bindings as commands, with the keys that do the same."""

    def _actions(self) -> list[tuple[str, str, Callable[[], object]]]:
        found: dict[str, tuple[str, str, Callable[[], object]]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.description or not active.enabled or binding.action in _OWN:
                continue
            text = binding.description[:1].upper() + binding.description[1:]
            keys = self.app.get_key_display(binding)
            run = partial(self._run, binding.action, active.node)
            found.setdefault(binding.action, (text, keys, run))
        return list(found.values())

    async def _run(self, action: str, place: DOMNode) -> None:
        await self.app.run_action(action, place)

    async def discover(self) -> Hits:
        """Everything, before a word is typed."""
        for text, keys, run in self._actions():
            yield DiscoveryHit(text, run, help=f"key {keys}")

    async def search(self, query: str) -> Hits:
        """What fits the words."""
        matcher = self.matcher(query)
        for text, keys, run in self._actions():
            score = matcher.match(text)
            if score > 0:
                yield Hit(score, matcher.highlight(text), run, help=f"key {keys}")
