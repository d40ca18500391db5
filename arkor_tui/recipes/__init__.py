"""Ready-made callbacks. Each goes into ``callbacks=[…]`` of a trainer; many compose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_tui._lazy import lazy

if TYPE_CHECKING:
    from arkor_tui.chat.assertions import Expect as Expect

    from .early_stopping import EarlyStopping as EarlyStopping
    from .guards import Observation as Observation
    from .notify import AppriseNotifier as AppriseNotifier
    from .notify import BellNotifier as BellNotifier
    from .notify import DiscordNotifier as DiscordNotifier
    from .notify import SlackNotifier as SlackNotifier
    from .notify import WebhookNotifier as WebhookNotifier
    from .probe import PromptProbe as PromptProbe
    from .prompts import Golden as Golden
    from .rules import SampleRule as SampleRule
    from .whatif import GuardSettings as GuardSettings
    from .whatif import WhatIf as WhatIf
    from .whatif import what_if as what_if

_HOMES = {
    "Expect": ".chat.assertions",
    "EarlyStopping": "early_stopping",
    "Observation": "guards",
    "AppriseNotifier": "notify",
    "BellNotifier": "notify",
    "DiscordNotifier": "notify",
    "SlackNotifier": "notify",
    "WebhookNotifier": "notify",
    "PromptProbe": "probe",
    "Golden": "prompts",
    "SampleRule": "rules",
    "GuardSettings": "whatif",
    "WhatIf": "whatif",
    "what_if": "whatif",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES, globals())
