"""Keys of one's own, held against the real bindings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from textual.binding import Binding
from textual.dom import DOMNode

from arkor_tui.config.settings import KeyTable

from .textual_compat import key_of_character


def action_ids(places: Iterable[type[DOMNode]]) -> dict[str, str]:
    """Every action that can be given other keys: its id and what it does."""
    found: dict[str, str] = {}
    for place in places:
        for action, _, text in actions_of(place):
            found.setdefault(action, text)
    return found


def actions_of(place: type[DOMNode]) -> list[tuple[str, str, str]]:
    """Id, keys (apart by commas) and description of each action that one place declares itself."""
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
            told.append(f"{_place(keys, name)}: there is no action {name!r}.{hint}")
    return told


def clashes(keys: Mapping[str, str], places: Iterable[type[DOMNode]]) -> list[str]:
    """Two actions of one place on one key, after the table is applied; each is told once."""
    told: dict[str, None] = {}
    for place in places:
        taken: dict[str, tuple[str, str]] = {}
        for key, binding in _bindings_of(place).items():
            usual = binding.id or binding.action
            pressed = keys[usual].split(",") if usual in keys else [key]
            for one in map(_long_name, pressed):
                other, what = taken.setdefault(one, (usual, binding.description))
                if other == usual or (usual not in keys and other not in keys):
                    continue
                mine = next(name for name in (usual, other) if name in keys)
                both = f"{_called(other, what)} and {_called(usual, binding.description)}"
                told[f"{_place(keys, mine)}: {one} would do both {both}."] = None
    return list(told)


def _bindings_of(place: type[DOMNode]) -> dict[str, Binding]:
    """By key, with those of the classes that it builds on, as Textual merges them."""
    found: dict[str, Binding] = {}
    for base in reversed(place.__mro__):
        for binding in Binding.make_bindings(base.__dict__.get("BINDINGS", ())):
            found[binding.key] = binding
    return found


def _long_name(key: str) -> str:
    key = key.strip()
    return key_of_character(key) if len(key) == 1 else key


def _called(action: str, description: str) -> str:
    return action if "." in action and "(" not in action else f"“{description or action}”"


def _place(keys: Mapping[str, str], action: str) -> str:
    return keys.place(action) if isinstance(keys, KeyTable) else "keys"
