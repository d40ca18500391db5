"""Ready-made callbacks. Each goes into ``callbacks=[…]`` of a trainer; many compose."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assertions import Expect as Expect
    from .early_stopping import EarlyStopping as EarlyStopping
    from .guards import SampleRule as SampleRule
    from .notify import AppriseNotifier as AppriseNotifier
    from .notify import BellNotifier as BellNotifier
    from .notify import DiscordNotifier as DiscordNotifier
    from .notify import SlackNotifier as SlackNotifier
    from .notify import WebhookNotifier as WebhookNotifier
    from .probe import PromptProbe as PromptProbe
    from .prompts import Golden as Golden

_HOMES = {
    "Expect": "assertions",
    "EarlyStopping": "early_stopping",
    "SampleRule": "guards",
    "AppriseNotifier": "notify",
    "BellNotifier": "notify",
    "DiscordNotifier": "notify",
    "SlackNotifier": "notify",
    "WebhookNotifier": "notify",
    "PromptProbe": "probe",
    "Golden": "prompts",
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
