"""What other guard settings would have done to a run that has been logged already."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from arkor_tui.errors import UsageError

from .guards import METRICS, GuardSet, Metric, Observation, guards_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The settings of ``EarlyStopping`` that numbers alone decide."""

    ceiling: float | None = None
    window: int | None = None
    patience: int | None = None
    min_delta: float = 0.0
    non_finite: bool = True
    metric: Metric = "loss"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Where a run would have stopped: at ``step``, by ``guard``, for ``reason``; None: nowhere.

    ``last_step`` is how far it went. ``best_before`` and ``best_after`` are the lowest values of
    the metric up to that step and beyond it.
    """

    step: int | None
    guard: str | None
    reason: str | None
    last_step: int
    events: int
    best_before: float | None = None
    best_after: float | None = None

    @property
    def saved_steps(self) -> int:
        """Steps that would not have been trained."""
        return max(self.last_step - self.step, 0) if self.step is not None else 0

    @property
    def saved_share(self) -> float:
        """The same as a share of the whole run, from 0 to 1."""
        return self.saved_steps / self.last_step if self.last_step > 0 else 0.0

    @property
    def too_early(self) -> bool:
        """Whether the metric became better later than it had been at the stop."""
        return (
            self.best_after is not None
            and self.best_before is not None
            and self.best_after < self.best_before
        )

    def lines(self) -> list[str]:
        """For people."""
        if not self.events:
            return ["Nothing was logged."]
        if self.step is None:
            return [f"It would not have stopped: all {self.last_step} steps, as it was."]
        lines = [
            f"It would have stopped at step {self.step}: {self.reason}.",
            f"That saves {self.saved_steps} of {self.last_step} steps ({self.saved_share:.0%}).",
        ]
        if self.too_early:
            lines.append(
                f"Too early: the best value then was {self.best_before:.4g}, and later it was "
                f"{self.best_after:.4g}."
            )
        return lines


def what_if(observations: Iterable[Observation], settings: GuardSettings) -> WhatIf:
    """Feed the log of a run to fresh guards.

    Raises:
        UsageError: a setting has no meaning.
    """
    guards = GuardSet(
        guards_of(
            ceiling=settings.ceiling,
            window=settings.window,
            patience=settings.patience,
            min_delta=settings.min_delta,
            non_finite=settings.non_finite,
            metric=settings.metric,
        ),
        settings.metric,
    )
    on_loss = settings.metric == "loss"
    found: tuple[str, str] | None = None
    stopped_at: int | None = None
    best = [math.inf, math.inf]  # before the stop, after it
    lowest = math.inf
    step = events = 0
    for step, loss, eval_loss, odd in observations:
        events += 1
        value = loss if on_loss else eval_loss
        if value is not None and -math.inf < value < lowest:
            lowest = value
        if found is None:
            found = guards.take(step, loss, eval_loss, odd)
            if found is not None:
                stopped_at, best[0], lowest = step, lowest, math.inf
    best[found is not None] = lowest
    guard, reason = found or (None, None)
    before, after = (value if value < math.inf else None for value in best)
    return WhatIf(stopped_at, guard, reason, step, events, before, after)


def settings_of(texts: Mapping[str, str]) -> GuardSettings:
    """Settings as they are typed; empty texts leave the default.

    Raises:
        UsageError: a text is no number, or names no metric.
    """
    metric = texts.get("metric", "").strip() or "loss"
    if metric not in METRICS:
        raise UsageError(f"the metric must be one of: {', '.join(METRICS)}")
    delta = _number(texts, "min_delta", float)
    return GuardSettings(
        ceiling=_number(texts, "ceiling", float),
        window=_number(texts, "window", int),
        patience=_number(texts, "patience", int),
        min_delta=0.0 if delta is None else delta,
        metric=next(known for known in METRICS if known == metric),
    )


def _number(texts: Mapping[str, str], name: str, kind: Callable[[str], T]) -> T | None:
    text = texts.get(name, "").strip()
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"{name.replace('_', ' ')} must be {what}") from None
