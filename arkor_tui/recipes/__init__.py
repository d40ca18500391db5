"""Ready-made callbacks. Each goes into ``callbacks=[…]`` of a trainer; many compose."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .early_stopping import EarlyStopping as EarlyStopping
    from .guards import SampleRule as SampleRule

_HOMES = {
    "EarlyStopping": "early_stopping",
    "SampleRule": "guards",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
