"""How numbers, times and statuses read on screen."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arkor_tui.archive.records import OddLoss

MARKS = {
    "running": "●",
    "queued": "○",
    "completed": "✓",
    "failed": "✗",
    "cancelled": "■",
}
STATUS_PARTS = {
    "running": "paged--accent",
    "queued": "paged--muted",
    "completed": "paged--good",
    "failed": "paged--bad",
    "cancelled": "paged--warn",
}


def number(value: float | None, digits: int = 4) -> str:
    """A metric: 0.8421, 12.41, 3.0e-04; an em dash where there is none."""
    if value is None:
        return "—"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size != 0 and (size < 0.001 or size >= 100_000):
        return f"{value:.1e}"
    if size >= 1000:
        return f"{value:,.1f}"
    return f"{value:.{digits if size < 10 else max(digits - 2, 0)}f}"


def loss(value: float | None, odd: OddLoss | None = None, *, where: bool = False) -> str:
    """A last loss; a word where it is no finite number, with ``where`` also at which step."""
    if odd is not None:
        return str(odd) if where else odd.value
    return number(value)


def duration(seconds: float | None) -> str:
    """``0:42``, ``12:05``, ``3:04:10``, ``2 d 4 h``; a dash where unknown."""
    if seconds is None or math.isnan(seconds):
        return "—"
    whole = max(int(seconds), 0)
    if whole >= 48 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def parse_time(text: str | None) -> datetime | None:
    """An ISO-8601 time of the wire, None where it is none."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone()  # the last hours of the year 9999 are none in another time zone
    except (ValueError, OverflowError, OSError):
        return None
    return moment


def clock(text: str | None) -> str:
    """Local time of day, ``14:03:07``."""
    moment = parse_time(text)
    return moment.astimezone().strftime("%H:%M:%S") if moment else "--:--:--"


def when(text: str | None) -> str:
    """Local date and time, short: ``14:03`` today, ``21 Nov 14:03`` this year, else with year."""
    moment = parse_time(text)
    if moment is None:
        return "—"
    local, now = moment.astimezone(), datetime.now().astimezone()
    if local.date() == now.date():
        return local.strftime("%H:%M")
    return local.strftime("%d %b %H:%M" if local.year == now.year else "%d %b %Y")


def percent(part: float, whole: float) -> int:
    """Rounded down, so that 100 means done."""
    return min(int(100 * part / whole), 100) if whole > 0 else 0


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells of single-width characters, cut with an ellipsis."""
    if width <= 0:
        return ""
    if len(text) > width:
        text = text[: width - 1] + "…"
    return text.ljust(width)
