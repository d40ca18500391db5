"""When to try again, and when to give up (docs/protocol.md, section 5, "Reconnect policy")."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from arkor_tui.config.settings import StreamSettings

PERMANENT_STATUSES: frozenset[int] = frozenset({401, 403, 410, 426})
"""Answers to the opening of a stream that no retry can better."""


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """How long to wait between attempts, and how many to make.

    ``base_delay`` and ``max_delay`` are the first and the longest wait, in seconds. ``jitter`` is
    the share of a wait (0.25: a quarter) by which chance makes it shorter or longer.
    ``max_attempts`` is a count: N lets N consecutive failures pass; the next one raises. None never
    gives up. ``idle_timeout`` seconds without a single byte, pings and comments included, count as
    a failure; None waits for ever.
    """

    base_delay: float = 1.0
    max_delay: float = 60.0
    jitter: float = 0.25
    max_attempts: int | None = None
    idle_timeout: float | None = 45.0

    @classmethod
    def of(cls, wishes: StreamSettings) -> ReconnectPolicy:
        """The policy that the user's settings ask for, and the usual one in what they leave out."""
        given: dict[str, Any] = {
            name: value for name, value in asdict(wishes).items() if value is not None
        }
        if given.get("idle_timeout") == 0:
            given["idle_timeout"] = None
        return cls(**given)

    def delay(self, failures: int, uniform: Callable[[float, float], float] | None = None) -> float:
        """Seconds to wait after ``failures`` earlier consecutive failures (0 for the first).

        ``min(base · 2ⁿ, max)``, give or take the jitter, never above the maximum.
        ``uniform(low, high)`` draws; it is a parameter so that tests can fix it.
        """
        # the exponent is capped because 2.0 ** 1024 overflows
        expected = min(self.base_delay * 2.0 ** min(failures, 1023), self.max_delay)
        spread = expected * self.jitter
        drawn = expected + (uniform or random.uniform)(-spread, spread)
        return min(max(drawn, 0.0), self.max_delay)


GOES_ON = "Check the free space of the backend's disk; the run goes on as soon as there is room."
"""What to do where :attr:`StreamState.waits` says why."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """How the connection is, for people to see.

    ``attempt`` counts consecutive failures and ``delay`` is the wait in seconds before the next
    try; both belong to phase ``reconnecting``, and ``reason`` tells why. In phase ``live`` it tells
    why no events come, where the embedded backend said so.
    """

    phase: Literal["connecting", "live", "reconnecting", "ended"]
    attempt: int = 0
    delay: float = 0.0
    reason: str = ""

    @property
    def waits(self) -> str:
        """Why no events come although the connection is live; empty where nobody said so."""
        return self.reason if self.phase == "live" else ""
