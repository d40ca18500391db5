"""Which event ids were delivered already: exact, and small for the usual counters."""

from __future__ import annotations

_LONGEST = 18  # digits of a counter; anything longer is some other kind of id


class SeenIds:
    """A set of opaque id strings.

    Ids that count up (``"1"``, ``"2"``, …) cost nothing: only the ends of their range are kept.
    Any other id is remembered by itself.
    """

    __slots__ = ("_expected", "_first", "_next", "_others")

    def __init__(self) -> None:
        self._first = 0
        self._next = 0
        self._expected: str | None = None  # the text of _next, if that would lengthen the range
        self._others: set[str] = set()

    def __contains__(self, event_id: str) -> bool:
        if event_id in self._others:
            return True
        number = _counter(event_id)
        return number is not None and self._first <= number < self._next

    def add(self, event_id: str) -> bool:
        """Remember ``event_id``; False where it was known."""
        if event_id == self._expected:
            self._grow()
            return True
        if event_id in self:
            return False
        number = _counter(event_id)
        if number is not None and self._first == self._next:
            self._first = self._next = number
            self._grow()
        else:
            self._others.add(event_id)
        return True

    def _grow(self) -> None:
        """Take the next number into the range, and those that came before it out of turn."""
        while True:
            self._next += 1
            text = str(self._next)
            self._expected = text if len(text) <= _LONGEST else None
            if self._expected not in self._others:
                return
            self._others.discard(text)


def _counter(event_id: str) -> int | None:
    """The number that an id is, if it is written as numbers are ("07" is another id than "7")."""
    if not event_id.isascii() or not event_id.isdigit() or len(event_id) > _LONGEST:
        return None
    if event_id[0] == "0" and len(event_id) > 1:
        return None
    return int(event_id)
