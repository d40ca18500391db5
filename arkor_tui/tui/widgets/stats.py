"""Statistics of what the chart shows, and how the stream fared."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.series import Series
from arkor_tui.archive.statistics import summary
from arkor_tui.session.updates import StreamHealth
from arkor_tui.text.sanitize import plain

RETAINED = 2_000
"""Points that are counted, the newest ones; as many as Arkor's Studio keeps."""
_NAMES = {"evalLoss": "eval loss", "loss": "train loss"}


class StatisticsPanel(Static):
    """Mean with its 95 % interval, deviation, percentiles; counters of the stream."""

    DEFAULT_CSS = """
    StatisticsPanel { padding: 0 1; height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._shown: Content | None = None

    def show(
        self, series: Sequence[tuple[str, Series]], health: StreamHealth, archived: int
    ) -> None:
        """Compute and show; an unchanged text is not drawn again."""
        lines: list[Content] = []
        for name, one in series:
            found = summary(one.values[-RETAINED:])
            shown = _NAMES.get(name) or plain(name, limit=40, newlines=False)
            lines.append(Content.styled(shown, "bold"))
            if not found.n:
                lines.append(Content("  no data yet"))
                continue
            half, variance, deviation = (
                found.spread(value)
                for value in (found.half_width_95, found.variance, found.deviation)
            )
            lines += [
                Content(f"  n {found.n}   mean {found.mean:.4f} ± {half} (95 %)"),
                Content(f"  variance {variance}   std {deviation}"),
                Content(f"  p90 {found.p90:.4f}   p95 {found.p95:.4f}"),
            ]
        lines.append(Content.styled(f"stream · {archived:,} events archived", "bold"))
        lines += [
            Content(f"  {health.events:,} came now · {health.reconnects} reconnects"),
            Content(f"  {health.repeats} repeats · {health.missing} missing"),
            Content(f"  {health.gaps} gaps · {health.malformed} malformed"),
        ]
        content = Content("\n").join(lines)
        if self._shown is None or not content.is_same(self._shown):
            self._shown = content
            self.update(content)
