"""Which event ids were delivered already: exact, and small for the usual counters."""

from __future__ import annotations


class SeenIds:
    """A set of opaque id strings.

    Ids that count up (``"1"``, ``"2"``, …) cost nothing: only the ends of their range are kept.
    Any other id is remembered by itself.
    """

    __slots__ = ("_first", "_next", "_others")

    def __init__(self) -> None:
        self._first = 0
        self._next = 0
        self._others: set[str] = set()

    def __contains__(self, event_id: str) -> bool:
        if event_id in self._others:
            return True
        number = _counter(event_id)
        return number is not None and self._first <= number < self._next

    def add(self, event_id: str) -> bool:
        """Remember ``event_id``; False where it was known."""
        if event_id in self._others:
            return False
        number = _counter(event_id)
        if number is None:
            self._others.add(event_id)
        elif self._first == self._next:
            self._first, self._next = number, number + 1
        elif number == self._next:
            self._next += 1
            while self._others and str(self._next) in self._others:  # a gap that has closed
                self._others.discard(str(self._next))
                self._next += 1
        elif self._first <= number < self._next:
            return False
        else:
            self._others.add(event_id)
        return True


def _counter(event_id: str) -> int | None:
    """The number that an id is, if it is written as numbers are ("07" is another id than "7")."""
    if not event_id.isascii() or not event_id.isdigit() or len(event_id) > 18:
        return None
    if event_id[0] == "0" and len(event_id) > 1:
        return None
    return int(event_id)
