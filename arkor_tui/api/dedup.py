"""Which events were delivered already: exact, and small for the usual counters."""

from __future__ import annotations

from array import array
from typing import Literal

_LONGEST = 18  # digits of a counter; anything longer is some other kind of id
_ANY = 0  # in place of a hash: nothing but the id is known


class SeenEvents:
    """The events that were given out, on a stream that may start over with any connection.

    A repeat is an equal id with equal data. What has no id, or one that another event has (an event
    without an id inherits the one before it), is known by its content, by that id, and by how many
    of the same content came there before it in its connection: several alike of one connection are
    several events, and the same ones of the next connection are repeats.
    """

    __slots__ = ("_alike", "_ids", "_most")

    def __init__(self) -> None:
        self._ids = SeenIds()
        self._alike: dict[tuple[str, int], int] = {}  # since the connection began, or an id came
        self._most: dict[tuple[str, int], int] = {}

    def __contains__(self, event_id: str) -> bool:
        """Tell whether some event had this id."""
        return event_id in self._ids

    def begin(self) -> None:
        """Begin a connection."""
        self._alike.clear()

    def add(self, event_id: str | None, data: str, after: str | None) -> bool:
        """Remember an event that came after the id ``after``; False where it was known."""
        content = hash(data) or 1
        if event_id:
            known = self._ids.add(event_id, content)
            if known != "other":
                if self._alike:
                    self._alike.clear()
                return known == "new"
            after = event_id
        place = after or "", content
        count = self._alike[place] = self._alike.get(place, 0) + 1
        if count <= self._most.get(place, 0):
            return False
        self._most[place] = count
        return True

    def add_id(self, event_id: str) -> None:
        """Remember an event of which nothing but the id is known."""
        self._ids.add(event_id, _ANY)


class SeenIds:
    """Opaque ids, each with a hash of what came first with it.

    Ids that count up (``"1"``, ``"2"``, …) cost eight bytes each: the ends of their range are kept,
    and the hashes in a row. Any other id is remembered by itself.
    """

    __slots__ = ("_expected", "_first", "_hashes", "_others")

    def __init__(self) -> None:
        self._first = 0
        self._hashes = array("q")  # of the ids of the range
        self._expected: str | None = None  # the id that would lengthen the range
        self._others: dict[str, int] = {}

    def __contains__(self, event_id: str) -> bool:
        if event_id == self._expected:
            return False
        return event_id in self._others or self._place(event_id) is not None

    def add(self, event_id: str, content: int) -> Literal["new", "same", "other"]:
        """Remember an id; tell whether it is new, or came with this content, or with other."""
        if event_id == self._expected:
            self._grow(content)
            return "new"
        place = self._place(event_id)
        first = self._others.get(event_id) if place is None else self._hashes[place]
        if first is None:
            number = _counter(event_id)
            if number is not None and not self._hashes:
                self._first = number
                self._grow(content)
            else:
                self._others[event_id] = content
            return "new"
        if first == _ANY:
            if place is None:
                self._others[event_id] = content
            else:
                self._hashes[place] = content
        return "same" if first in (content, _ANY) or content == _ANY else "other"

    def _place(self, event_id: str) -> int | None:
        """The place of an id in the range, if it is there."""
        number = _counter(event_id)
        if number is None or not self._first <= number < self._first + len(self._hashes):
            return None
        return number - self._first

    def _grow(self, content: int | None) -> None:
        """Take the next number into the range, and those that came before it out of turn."""
        while content is not None:
            self._hashes.append(content)
            text = str(self._first + len(self._hashes))
            self._expected = text if len(text) <= _LONGEST else None
            content = self._others.pop(text, None) if self._others and self._expected else None


def _counter(event_id: str) -> int | None:
    """The number that an id is, if it is written as numbers are ("07" is another id than "7")."""
    if not event_id.isascii() or not event_id.isdigit() or len(event_id) > _LONGEST:
        return None
    if event_id[0] == "0" and len(event_id) > 1:
        return None
    return int(event_id)
