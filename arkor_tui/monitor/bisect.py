"""Where in a run an answer began to be right, or wrong: a binary search over its checkpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Flip = Literal["began to pass", "began to fail", "always passes", "always fails"]


@dataclass(frozen=True, slots=True)
class BisectResult(Generic[T]):
    """``first`` is the first place with the new verdict and ``before`` the last with the old one;
    both None where the ends agree.

    ``asked`` holds every place that was asked with its verdict, in the order of asking.
    """

    flip: Flip
    before: T | None
    first: T | None
    asked: tuple[tuple[T, bool], ...] = field(default=())

    @property
    def text(self) -> str:
        """For people."""
        if self.first is None:
            return f"It {self.flip}, as far as the first and the last target tell."
        return f"It {self.flip} at {self.first}; {self.before} was the last before."


async def bisect(places: Sequence[T], passes: Callable[[T], Awaitable[bool]]) -> BisectResult[T]:
    """Find the one change between the first place and the last, asking as few as possible.

    Both ends are asked first. One change is assumed: a verdict that goes back and forth has several
    of them, of which one is found.

    Raises:
        ValueError: there is nothing to search.
    """
    if not places:
        raise ValueError("there is nothing to search")
    asked: list[tuple[T, bool]] = []

    async def ask(place: int) -> bool:
        verdict = await passes(places[place])
        asked.append((places[place], verdict))
        return verdict

    low, high = 0, len(places) - 1
    at_first = await ask(low)
    at_last = await ask(high) if high else at_first
    if at_first == at_last:
        flip: Flip = "always passes" if at_first else "always fails"
        return BisectResult(flip, None, None, tuple(asked))
    while high - low > 1:
        middle = (low + high) // 2
        if await ask(middle) == at_first:
            low = middle
        else:
            high = middle
    flip = "began to pass" if at_last else "began to fail"
    return BisectResult(flip, places[low], places[high], tuple(asked))
