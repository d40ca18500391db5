"""What makes a run not worth its GPU: small machines that see one log event after another.

A guard is fed what was logged and says once why it fires. It does nothing about it: stopping is
:class:`~arkor_tui.recipes.early_stopping.EarlyStopping`'s, and trying settings on an archived run
is :mod:`~arkor_tui.recipes.whatif`'s. Losses are nats per trained token.
"""

from __future__ import annotations

import math
import operator
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from arkor_tui.errors import UsageError
from arkor_tui.run.contexts import LogContext
from arkor_tui.run.findings import Gauge

Metric = Literal["loss", "eval_loss"]
METRICS: tuple[Metric, ...] = ("loss", "eval_loss")
LARGEST = 1e290
"""What larger values count as, so that a sum of them stays finite."""
PUT_ASIDE = 64
"""Ordinary events that are taken in together."""
PLENTY = 1_000_000
_WORDS = {"loss": "loss", "eval_loss": "eval loss"}


class Observation(NamedTuple):
    """The numbers of one log event; None where it carries none.

    ``non_finite`` says that the backend named a loss that JSON cannot hold.
    """

    step: int
    loss: float | None = None
    eval_loss: float | None = None
    non_finite: bool = False


def is_odd(ctx: LogContext) -> bool:
    """Whether the backend named a loss that is no number."""
    return "loss" in ctx.non_finite or "evalLoss" in ctx.non_finite


class Guard(Protocol):
    """Sees every log event in order."""

    name: str

    def see(self, seen: Observation) -> str | None:
        """Why it fires with this event; None where it does not."""

    def gauge(self) -> Gauge:
        """How far it is from firing."""

    def cap(self) -> float:
        """A value of the metric up to this is an ordinary one to this guard."""

    def room(self) -> int:
        """How many ordinary values in a row cannot make it fire."""

    def skim(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """Take in ordinary values of the metric, at least one and no more than :meth:`room`."""


@dataclass(slots=True)
class Ceiling:
    """Fires when the metric is above ``limit``."""

    limit: float
    metric: Metric = "loss"
    name: str = field(default="ceiling", init=False)
    _last: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        _positive("ceiling", self.limit)

    def see(self, seen: Observation) -> str | None:
        """Why it fires with this event."""
        value = seen.loss if self.metric == "loss" else seen.eval_loss
        if value is None:
            return None
        self._last = value
        if value > self.limit:
            return f"the {_WORDS[self.metric]} {value:.4g} is above {self.limit:g}"
        return None

    def gauge(self) -> Gauge:
        """The last value, as a share of the limit."""
        last, words = self._last, _WORDS[self.metric]
        if last is None:
            return Gauge(self.name, None, self.limit, None, f"no {words} yet", "warming")
        text = f"{words} {last:.4g} of {self.limit:g}"
        return Gauge(self.name, last, self.limit, _share(last, self.limit), text)

    def cap(self) -> float:
        """The limit itself."""
        return self.limit

    def room(self) -> int:
        """It has no memory."""
        return PLENTY

    def skim(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """Only the last one is told by the gauge."""
        self._last = values[-1]


@dataclass(slots=True)
class Smoothed:
    """Fires when the mean of the last ``window`` finite values is above ``limit``.

    The mean is exact. It is added up anew only where a running sum, whose error is bounded, does
    not rule out that it is above the limit: a wide window costs no more than a narrow one.
    """

    limit: float
    window: int = 10
    metric: Metric = "loss"
    name: str = field(default="smoothed", init=False)
    _values: deque[float] = field(init=False, repr=False)
    _since_above: int = field(default=0, init=False, repr=False)
    _total: float = field(default=0.0, init=False, repr=False)
    _error: float = field(default=0.0, init=False, repr=False)
    _until_exact: int = field(default=0, init=False, repr=False)
    _harmless: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _positive("ceiling", self.limit)
        whole("window", self.window)
        self._values = deque(maxlen=self.window)
        self._harmless = self.limit * self.window * (1 - 4 * sys.float_info.epsilon)

    def see(self, seen: Observation) -> str | None:
        """Why it fires with this event; never before the window is full."""
        value = seen.loss if self.metric == "loss" else seen.eval_loss
        if value is None:
            return None
        if not -LARGEST < value < LARGEST:
            if not math.isfinite(value):
                return None
            value = math.copysign(LARGEST, value)
        values = self._values
        oldest = values[0] if len(values) == self.window else 0.0
        values.append(value)
        self._since_above = 0 if value > self.limit else self._since_above + 1
        self._until_exact -= 1
        if self._until_exact <= 0:
            self._total = total = math.fsum(values)
            self._error, self._until_exact = abs(total) * sys.float_info.epsilon, self.window
        else:
            self._total = total = self._total + (value - oldest)
            self._error += (abs(value) + abs(oldest) + abs(total)) * sys.float_info.epsilon
        if len(values) < self.window or total + self._error <= self._harmless:
            return None
        mean = self._mean()
        if mean > self.limit:
            word = _WORDS[self.metric]
            what = f"mean {word} of the last {self.window}" if self.window > 1 else word
            return f"the {what}, {mean:.4g}, is above {self.limit:g}"
        return None

    def _mean(self) -> float:
        # rounded up, it would be above the highest value: losses at the limit are not above it
        return min(math.fsum(self._values) / len(self._values), max(self._values))

    def cap(self) -> float:
        """The limit itself."""
        return self.limit

    def room(self) -> int:
        """A mean is above the limit only if some value is."""
        return PLENTY if self._since_above >= len(self._values) else 0

    def skim(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """The window moves on."""
        self._values.extend(values)
        self._since_above += len(values)
        self._until_exact = 0

    def gauge(self) -> Gauge:
        """The mean as a share of the limit, or how full the window is."""
        count = len(self._values)
        if count < self.window:
            text = f"{count} of {self.window} for a mean"
            return Gauge(self.name, None, self.limit, None, text, "warming")
        mean = self._mean()
        text = f"mean {_WORDS[self.metric]} {mean:.4g} of {self.limit:g}"
        return Gauge(self.name, mean, self.limit, _share(mean, self.limit), text)


@dataclass(slots=True)
class Patience:
    """Fires after ``logs`` values in a row none of which is a new minimum.

    A value counts as one if it is lower than the best by more than ``min_delta``.
    """

    logs: int = 30
    min_delta: float = 0.0
    metric: Metric = "loss"
    name: str = field(default="patience", init=False)
    _best: float = field(default=math.inf, init=False, repr=False)
    _best_step: int | None = field(default=None, init=False, repr=False)
    _since: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        whole("patience", self.logs)
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise UsageError(f"min_delta is {self.min_delta:g}, but must be 0 or above.")

    def see(self, seen: Observation) -> str | None:
        """Why it fires with this event."""
        value = seen.loss if self.metric == "loss" else seen.eval_loss
        if value is None:
            return None
        if value < self._best - self.min_delta or (self._best_step is None and value < math.inf):
            self._best, self._best_step, self._since = value, seen.step, 0
            return None
        self._since += 1
        if self._since >= self.logs:
            words = f"the {_WORDS[self.metric]} has not improved for {self._since} values"
            if self._best_step is None:
                return words
            return f"{words} (best {self._best:.4g} at step {self._best_step})"
        return None

    def gauge(self) -> Gauge:
        """How many of the values are used up."""
        text = f"{self._since} of {self.logs} without a better {_WORDS[self.metric]}"
        if self._best_step is not None:
            text += f" than {self._best:.4g}"
        return Gauge(self.name, self._since, self.logs, min(self._since / self.logs, 1.0), text)

    def cap(self) -> float:
        """Any value will do."""
        return math.inf

    def room(self) -> int:
        """What is left of its patience, less the event that ends it."""
        return self.logs - self._since - 1

    def skim(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """Find the best one among many."""
        if self.min_delta:
            for step, value in zip(steps, values, strict=True):
                if value < self._best - self.min_delta or self._best_step is None:
                    self._best, self._best_step, self._since = value, step, 0
                else:
                    self._since += 1
            return
        lowest = min(values)
        if lowest < self._best:
            place = values.index(lowest)
            self._best, self._best_step = lowest, steps[place]
            self._since = len(values) - 1 - place
        else:
            self._since += len(values)


@dataclass(slots=True)
class NonFinite:
    """Fires when a loss is infinite, or was named as no number by the backend.

    JSON has no NaN, so divergence often arrives as a loss that is null or missing. One such event
    is no sign; ``missing`` of them in a row, with neither loss nor eval loss, are.
    """

    missing: int = 5
    name: str = field(default="non-finite", init=False)
    _row: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        whole("missing", self.missing)

    def see(self, seen: Observation) -> str | None:
        """Why it fires with this event."""
        if seen.non_finite:
            return "the backend says that the loss is not a number"
        loss, eval_loss = seen.loss, seen.eval_loss
        if loss is None and eval_loss is None:
            self._row += 1
            if self._row >= self.missing:
                return f"{self._row} log events in a row carry no loss"
            return None
        self._row = 0
        if loss is not None and not math.isfinite(loss):
            return f"the loss is {loss:g}"
        if eval_loss is not None and not math.isfinite(eval_loss):
            return f"the eval loss is {eval_loss:g}"
        return None

    def gauge(self) -> Gauge:
        """How many events in a row carry no loss."""
        text = f"{self._row} of {self.missing} without a loss" if self._row else "losses are finite"
        return Gauge(self.name, self._row, self.missing, min(self._row / self.missing, 1.0), text)

    def cap(self) -> float:
        """The largest number that there is."""
        return sys.float_info.max

    def room(self) -> int:
        """An event with a loss is no sign, however many come."""
        return PLENTY

    def skim(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """A value came."""
        self._row = 0


class GuardSet:
    """Several guards over one metric of one stream, at little cost for each ordinary event.

    An event whose value is below every ceiling, and whose turn cannot end anybody's patience, is
    put aside; guards take in what was put aside together. What fires, and when, is what would have
    been found by showing every event to every guard.
    """

    __slots__ = ("_alive", "_cap", "_on_loss", "_room", "_steps", "_values", "guards")

    def __init__(self, guards: Sequence[Guard], metric: Metric = "loss") -> None:
        self.guards = list(guards)
        self._on_loss = metric == "loss"
        self._cap = min([LARGEST, *(guard.cap() for guard in guards)])
        self._room = 0
        self._steps: list[int] = []
        self._values: list[float] = []
        # an event was put aside that carries only the other metric, which says: no loss is missing
        self._alive = False

    def take(
        self, step: int, loss: float | None, eval_loss: float | None, odd: bool
    ) -> tuple[str, str] | None:
        """Which guard fires with this event, and why; the first one of several."""
        if self._room and not odd:
            value, other = (loss, eval_loss) if self._on_loss else (eval_loss, loss)
            if other is None or -LARGEST < other < LARGEST:
                if value is None:
                    if other is not None:
                        self._alive = True
                        return None
                elif -LARGEST < value <= self._cap:
                    self._room -= 1
                    self._steps.append(step)
                    self._values.append(value)
                    return None
        self.settle()
        seen = Observation(step, loss, eval_loss, odd)
        found: tuple[str, str] | None = None
        room = PUT_ASIDE
        for guard in self.guards:
            reason = guard.see(seen)
            if reason is not None and found is None:
                found = guard.name, reason
            if room > 0:
                room = min(room, guard.room())
        self._room = max(room, 0)
        return found

    def settle(self) -> None:
        """Have the guards take in what was put aside."""
        if self._values:
            for guard in self.guards:
                guard.skim(self._steps, self._values)
            self._steps.clear()
            self._values.clear()
        elif self._alive:
            for guard in self.guards:
                if isinstance(guard, NonFinite):
                    guard.skim((), ())
        self._alive = False

    def gauges(self) -> list[Gauge]:
        """How far each is from firing, everything taken in."""
        self.settle()
        return [guard.gauge() for guard in self.guards]


def guards_of(
    *,
    ceiling: float | None,
    window: int | None,
    patience: int | None,
    min_delta: float,
    non_finite: bool,
    metric: Metric,
) -> list[Guard]:
    """The guards that settings ask for, those that need the fewest events first.

    Raises:
        UsageError: a setting has no meaning.
    """
    if metric not in METRICS:
        raise UsageError(f"The metric is {metric!r}, but must be one of: {', '.join(METRICS)}.")
    if window is not None and ceiling is None:
        raise UsageError("A window smooths a ceiling, but there is none.")
    guards: list[Guard] = [NonFinite()] if non_finite else []
    if ceiling is not None:
        guards.append(
            Ceiling(ceiling, metric) if window is None else Smoothed(ceiling, window, metric)
        )
    if patience is not None:
        guards.append(Patience(patience, min_delta, metric))
    return guards


def _share(value: float, limit: float) -> float:
    return 1.0 if not math.isfinite(value) else min(max(value / limit, 0.0), 1.0)


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{name} is {value!r}, but must be above 0.")


def whole(name: str, value: int) -> None:
    """Refuse a setting that is no whole number above 0.

    Raises:
        UsageError: it is none; ``name`` says which.
    """
    try:
        whole = operator.index(value)
    except TypeError:
        whole = 0
    if whole < 1:
        raise UsageError(f"{name} is {value!r}, but must be a whole number above 0.")
