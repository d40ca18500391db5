"""Keys of one's own: the ``keys`` table of the settings, checked against the real bindings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.binding import Binding
from textual.dom import DOMNode


def action_ids(places: Iterable[type[DOMNode]]) -> dict[str, str]:
    """Every action that can be given other keys: its id and what it does."""
    found: dict[str, str] = {}
    for place in places:
        for action, _, text in actions_of(place):
            found.setdefault(action, text)
    return found


def actions_of(place: type[DOMNode]) -> list[tuple[str, str, str]]:
    """Id, keys (apart by commas) and description of each action of one place."""
    return [
        (binding.id, binding.key, binding.description)
        for binding in place.BINDINGS
        if isinstance(binding, Binding) and binding.id
    ]


def unknown_actions(keys: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    """What is wrong with a ``keys`` table, a sentence each."""
    import difflib

    told = []
    for name in keys:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            told.append(f"keys: there is no action {name!r}.{hint}")
    return told


def clashes(keys: Mapping[str, str], places: Iterable[type[DOMNode]]) -> list[str]:
    """Two actions of one place on one key, after the table is applied."""
    told = []
    for place in places:
        seen: dict[str, str] = {}
        for action, usual, _ in actions_of(place):
            for key in keys.get(action, usual).split(","):
                other = seen.setdefault(key.strip(), action)
                if other != action and (action in keys or other in keys):
                    told.append(f"keys: {key.strip()} would do both {other} and {action}.")
    return told
