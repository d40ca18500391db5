"""Which events were delivered already: exact, and small for the usual counters."""

from __future__ import annotations

import hashlib

_LONGEST = 18  # digits of a counter; anything longer is some other kind of id


class SeenEvents:
    """The events that were given out, on a stream that may start over with any connection.

    An event is known by its id. One without is known by its content, by the id that it came after,
    and by how many of the same content came there before it in its connection: several alike of one
    connection are several events, and the same ones of the next connection are repeats.
    """

    __slots__ = ("_alike", "_ids", "_most")

    def __init__(self) -> None:
        self._ids = SeenIds()
        self._alike: dict[bytes, int] = {}  # since the connection began, or the last id came
        self._most: dict[bytes, int] = {}

    def begin(self) -> None:
        """A connection begins."""
        self._alike.clear()

    def add(self, event_id: str | None, data: str, after: str | None) -> bool:
        """Remember an event that came after the id ``after``; False where it was known."""
        if event_id:
            if self._alike:
                self._alike.clear()
            return self._ids.add(event_id)
        content = f"{after or ''}\n{data}".encode("utf-8", "surrogatepass")
        name = hashlib.blake2b(content, digest_size=16).digest()
        count = self._alike[name] = self._alike.get(name, 0) + 1
        if count <= self._most.get(name, 0):
            return False
        self._most[name] = count
        return True

    def add_id(self, event_id: str) -> None:
        """Remember an event of which nothing but the id is known."""
        self._ids.add(event_id)


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
