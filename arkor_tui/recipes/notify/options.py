"""What a notifier tells, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict

from arkor_tui.errors import UsageError

EVENTS = ("completed", "failed", "guard", "connection")


class Options(TypedDict, total=False):
    """The options of every notifier, as keywords; :class:`Wishes` says what they mean."""

    on: Collection[str]
    every_steps: int | None
    samples: bool
    connection_minutes: float
    mention_on_failure: bool


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options, checked.

    ``on`` is any of ``completed``, ``failed`` (cancelled runs too), ``guard`` and ``connection``
    (lost for ``connection_minutes``). ``every_steps`` adds progress every so many steps, and
    ``samples`` what checkpoints answer to golden prompts. ``mention_on_failure`` alerts the people
    of a channel when a run fails, and only then.

    Raises:
        UsageError: an option cannot be used.
    """

    on: Collection[str] = EVENTS
    every_steps: int | None = None
    samples: bool = False
    connection_minutes: float = 5
    mention_on_failure: bool = True

    def __post_init__(self) -> None:
        given: Any = self.on
        if isinstance(given, str) or any(event not in EVENTS for event in given):
            raise UsageError(
                f"A notifier cannot be told on={given!r}.",
                hint=f"Give a list of any of {', '.join(EVENTS)}.",
            )
        steps: Any = self.every_steps
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int)):
            raise UsageError(f"every_steps must be a whole number, not {steps!r}.")
        if steps is not None and steps < 1:
            raise UsageError(f"every_steps must be 1 or more, not {steps!r}.")
        minutes = self.connection_minutes
        if not 0 < minutes <= 10_080:
            raise UsageError(
                f"connection_minutes must be above 0 and at most 10080, not {minutes}."
            )

    def wants(self, event: str) -> bool:
        """Whether an event is to be told."""
        return self.samples if event == "sample" else event == "step" or event in self.on
