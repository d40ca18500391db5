"""Where in a run an answer began to be right, or wrong: a binary search over its checkpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Literal, TypeVar

from arkor_tui.errors import ArkorTuiError

from .golden import Golden, GoldenAnswer, ask_golden
from .infer import Infer
from .target import Target

T = TypeVar("T")
Flip = Literal["began to pass", "began to fail", "always passes", "always fails"]


@dataclass(frozen=True, slots=True)
class BisectResult(Generic[T]):
    """``first`` is the first place with the new verdict and ``before`` the last with the old one;
    both None where the ends agree.

    ``asked`` holds every place that was asked with its verdict, in the order of asking,
    ``contradictions`` those of them that a single change does not explain, and ``unasked`` counts
    the places whose verdict is only inferred.
    """

    flip: Flip
    before: T | None
    first: T | None
    asked: tuple[tuple[T, bool], ...] = ()
    contradictions: tuple[tuple[T, bool], ...] = ()
    unasked: int = 0

    @property
    def text(self) -> str:
        """For people."""
        if self.first is None:
            found = f"It {self.flip}, as far as the first and the last target tell."
        else:
            found = f"It {self.flip} at {self.first}; {self.before} was the last before."
        if self.contradictions:
            told = ", ".join(
                f"{place} {'passes' if passed else 'fails'}"
                for place, passed in self.contradictions
            )
            return f"{found} But {told}: it changes more than once."
        if self.unasked and self.first is not None:
            return f"{found} One change is assumed: {self.unasked} were not asked."
        return found


async def bisect(
    places: Sequence[T], passes: Callable[[T], Awaitable[bool]], *, checks: int = 0
) -> BisectResult[T]:
    """Find the one change between the first place and the last, asking as few as possible.

    Both ends are asked first. One change is assumed, and the search alone cannot find that wrong:
    it never asks a place twice nor looks beside its path. ``checks`` further places, each in the
    middle of the longest stretch that was not asked, put it to the test.

    Raises:
        ValueError: there is nothing to search.
    """
    if not places:
        raise ValueError("there is nothing to search")
    verdicts: dict[int, bool] = {}

    async def ask(place: int) -> bool:
        verdicts[place] = await passes(places[place])
        return verdicts[place]

    low, high = 0, len(places) - 1
    at_first = await ask(low)
    at_last = await ask(high) if high else at_first
    if at_first == at_last:
        flip: Flip = "always passes" if at_first else "always fails"
        low = high
    else:
        flip = "began to pass" if at_last else "began to fail"
        while high - low > 1:
            middle = (low + high) // 2
            if await ask(middle) == at_first:
                low = middle
            else:
                high = middle
    for _ in range(checks):
        between = _longest_gap(sorted(verdicts))
        if between is None:
            break
        await ask(between)
    return BisectResult(
        flip,
        before=places[low] if low < high else None,
        first=places[high] if low < high else None,
        asked=tuple((places[place], passed) for place, passed in verdicts.items()),
        contradictions=tuple(
            (places[place], verdicts[place])
            for place in sorted(verdicts)
            if verdicts[place] != (at_first if place <= low else at_last)
        ),
        unasked=len(places) - len(verdicts),
    )


def _longest_gap(asked: Sequence[int]) -> int | None:
    """The middle of the longest stretch between two places; None where nothing is left out."""
    gaps = [(right - left, -left) for left, right in pairwise(asked) if right - left > 1]
    if not gaps:
        return None
    length, left = max(gaps)
    return -left + length // 2


class ProbeFailedError(ArkorTuiError):
    """A target could not be asked, or its answer not be judged; the text says why."""


async def bisect_targets(
    infer_of: Callable[[Target], Infer],
    targets: Sequence[Target],
    prompt: Golden,
    on_answer: Callable[[Target, GoldenAnswer], None] = lambda _target, _answer: None,
    *,
    checks: int = 0,
) -> BisectResult[Target]:
    """Find where the answer to a prompt changed.

    ``on_answer`` is called with each answer as it comes. ``checks`` further targets are asked
    whether there was one change only.

    Raises:
        ProbeFailedError: a target could not be asked, or nothing is expected of the answer.
    """

    async def passes(target: Target) -> bool:
        answer = await ask_golden(infer_of(target), prompt)
        on_answer(target, answer)
        if answer.verdict.passed is None:
            why = answer.verdict.text or "nothing is expected of the answer"
            raise ProbeFailedError(f"{target.label}: {why}")
        return answer.verdict.passed

    return await bisect(targets, passes, checks=checks)
