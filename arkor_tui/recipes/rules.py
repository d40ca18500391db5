"""Conditions of the user's own: a function of what was logged, or of how a prompt was answered.

Unlike a guard (:mod:`~arkor_tui.recipes.guards`) a rule does not measure how far it is from firing
by a number of the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from arkor_tui.run.contexts import LogContext
from arkor_tui.run.findings import Finding, Gauge
from arkor_tui.text.sanitize import plain

from .guards import whole

REASON_LENGTH = 200
"""Characters of a reply that a reason quotes at most."""


@dataclass(slots=True)
class Predicate:
    """Fires when ``function`` of the log event returns True, or a text that says why."""

    function: Callable[[LogContext], bool | str | None]
    name: str = field(default="predicate", init=False)

    def check(self, ctx: LogContext) -> str | None:
        """Why it fires with this event."""
        answer = self.function(ctx)
        if not answer:
            return None
        named = getattr(self.function, "__name__", "a condition")
        return answer if isinstance(answer, str) else f"{named} says so"

    def gauge(self) -> Gauge:
        """It tells no distance."""
        named = getattr(self.function, "__name__", "a condition")
        return Gauge(self.name, text=f"{named} of your own")


@dataclass(slots=True)
class SampleRule:
    """Fires when ``function`` of a sample says so ``times`` times in a row for the same prompt.

    The sample is the ``data`` of a finding of kind ``sample``. Only answers of checkpoints count:
    the base model is expected to do badly.
    """

    function: Callable[[dict[str, Any]], bool | str | None]
    times: int = 1
    words: str = "a rule of your own"
    name: str = field(default="sample", init=False)
    _rows: dict[tuple[str, int], int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        whole("times", self.times)

    @classmethod
    def failed(cls, times: int = 1) -> SampleRule:
        """Fires when a golden prompt was answered wrongly at so many checkpoints in a row."""
        return cls(lambda sample: sample.get("passed") is False, times, "a golden prompt fails")

    @classmethod
    def field(
        cls,
        name: str,
        *,
        equals: Any = None,
        not_in: Collection[Any] | None = None,
        times: int = 1,
    ) -> SampleRule:
        """Fires when a field of the JSON reply equals a value, or is none of the allowed ones.

        A reply that is no JSON object, or has no such field, counts as a value of None.
        """

        def judge(sample: dict[str, Any]) -> bool | str:
            value = field_of(str(sample.get("reply", "")), name)
            if not_in is not None:
                bad = not any(_same(value, allowed) for allowed in not_in)
            else:
                bad = _same(value, equals)
            return bad and f"{name} is {value!r}"

        return cls(judge, times, f"the field {name} of a reply")

    def see_sample(self, finding: Finding) -> str | None:
        """Why it fires with this sample."""
        data = finding.data
        if finding.kind != "sample" or data.get("target") != "checkpoint":
            return None
        place = (finding.name, int(data.get("prompt", 0)))
        answer = self.function(data)
        if not answer:
            self._rows[place] = 0
            return None
        row = self._rows[place] = self._rows.get(place, 0) + 1
        if row < self.times:
            return None
        words = answer if isinstance(answer, str) else self.words
        what = plain(words, limit=REASON_LENGTH, newlines=False)
        often = f" ({row} times in a row)" if self.times > 1 else ""
        return f"at checkpoint {finding.step}, prompt {place[1] + 1}: {what}{often}"

    def gauge(self) -> Gauge:
        """The prompt that is nearest to firing."""
        most = max(self._rows.values(), default=0)
        text = f"{self.words}: {most} of {self.times}"
        return Gauge(self.name, most, self.times, min(most / self.times, 1.0), text)


def field_of(reply: str, name: str) -> Any:
    """A field of a reply that should be a JSON object; None where it is none or has none."""
    try:
        value = json.loads(reply)
    except (ValueError, RecursionError):  # the latter for what is nested too deeply
        return None
    return value.get(name) if isinstance(value, dict) else None


def _same(value: Any, expected: Any) -> bool:
    """Equal as JSON is: true is not 1, and a list may be compared with anything."""
    same: bool = value == expected
    return same and isinstance(value, bool) == isinstance(expected, bool)
