"""The columns of a chart, kept while its series grow: only the last is reduced again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arkor_tui.archive.series import Column, Series


@dataclass(frozen=True, slots=True)
class _Seen:
    """What tells a series that only grew at its end from one that changed elsewhere."""

    version: int
    points: int
    gaps: int
    last: float
    last_gap: float | None

    @classmethod
    def of(cls, series: Series) -> _Seen:
        gaps = series.gaps
        return cls(
            series.version, len(series), len(gaps), series.steps[-1], gaps[-1] if gaps else None
        )

    def grew_only(self, series: Series) -> bool:
        """Whether all that came since are points and gaps after the last point of then.

        A change raises the version by one and adds at most one point or gap, so where as many
        were added as there were changes, nothing was replaced or removed; where the last ones are
        still at their places, nothing was inserted before them.
        """
        steps, gaps = series.steps, series.gaps
        points, nulls = len(steps) - self.points, len(gaps) - self.gaps
        return (
            points >= 0
            and nulls >= 0
            and points + nulls == series.version - self.version
            and steps[self.points - 1] == self.last
            and (not self.gaps or gaps[self.gaps - 1] == self.last_gap)
            and (not nulls or gaps[self.gaps] > self.last)
        )


class Decimation:
    """The columns of one series between ``edges`` (steps, ascending).

    ``columns`` is what ``series.columns_between(edges)`` gives, to be read, not changed. The
    first ``settled`` of them stay as they are while the series grows at its end. The series is
    not kept, so that it can be forgotten; it is always the same one.
    """

    __slots__ = ("_edges", "_seen", "columns", "settled")

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self.columns: list[Column] = []
        self.settled = 0
        self._seen: _Seen | None = None

    def catch_up(self, series: Series) -> bool:
        """Bring ``columns`` up to date; whether those that were settled are still there."""
        seen = self._seen
        if seen is not None and seen.version == series.version:
            return True
        grew = bool(self.columns) and seen is not None and seen.grew_only(series)
        if not grew:
            self.columns = series.columns_between(self._edges)
            self.settled = 0
        elif self.settled < len(self.columns):
            open_column = self.columns[self.settled]
            del self.columns[self.settled :]
            self.columns += self._from(series, open_column)
        self._seen = _Seen.of(series) if len(series) else None
        self._settle(series)
        return grew

    def _from(self, series: Series, column: Column) -> list[Column]:
        """``column``, reduced again, and those after it. It starts at its first point and not at
        its edge, which may be elsewhere: see :meth:`Series.columns_between`."""
        edges = [series.steps[column.start], *self._edges[column.number + 1 :]]
        first, *rest = series.columns_between(edges)
        found = [first._replace(x=column.x, number=column.number)]
        found += [one._replace(number=one.number + column.number) for one in rest]
        return found

    def _settle(self, series: Series) -> None:
        """A column is open until a point lies beyond it. These may be the last two: where one
        ends at the border of a block, the points after that are in the next one for now."""
        while self.settled < len(self.columns):
            if self._edges[self.columns[self.settled].number + 1] > series.steps[-1]:
                break
            self.settled += 1
