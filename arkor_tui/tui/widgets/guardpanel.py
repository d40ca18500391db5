"""What watches over a run, and how far each guard is from firing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from textual.content import Content
from textual.widgets import Static

from arkor_tui.archive.records import FindingRow
from arkor_tui.config.run_lock import HostState
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.text import clock

BAR = 10
_STATE_STYLE = {
    "armed": "$warning bold",
    "fired": "$error bold",
    "warming": "$muted",
    "off": "$muted",
}
_NEAR = 0.75


class GuardPanel(Static):
    """Gauges, the process that hosts the recipes, and what guards and notifications did last."""

    DEFAULT_CSS = """
    GuardPanel { padding: 0 1; height: auto; max-height: 14; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._shown: Content | None = None

    def show(
        self,
        host: HostState | None,
        gauges: Sequence[Mapping[str, Any]],
        findings: Sequence[FindingRow],
        *,
        expected: bool,
    ) -> None:
        """Show; ``expected`` says that somebody should be watching."""
        lines: list[Content] = []
        if host is not None:
            many = "" if host.callbacks == 1 else "s"
            lines.append(
                Content.assemble(
                    ("● ", "$success"),
                    f"{host.callbacks} recipe{many} · {host.kind} {host.pid}",
                )
            )
            if host.problem:
                lines.append(Content.styled(f"  {plain(host.problem, limit=200)}", "$warning"))
            if host.errors:
                lines.append(Content.styled(f"  {host.errors} raised: press p", "$error"))
        elif expected:
            lines.append(Content.styled("○ nobody watches: press w", "$error bold"))
        lines += [_gauge(gauge) for gauge in gauges]
        lines += [_finding(row) for row in findings[-4:]]
        content = Content("\n").join(lines) if lines else Content("none")
        if self._shown is None or not content.is_same(self._shown):
            self._shown = content
            self.update(content)


def _gauge(gauge: Mapping[str, Any]) -> Content:
    share = gauge.get("share")
    share = float(share) if isinstance(share, int | float) and math.isfinite(share) else None
    state = str(gauge.get("state", "watching"))
    filled = round(min(max(share or 0.0, 0.0), 1.0) * BAR)
    near = share is not None and share >= _NEAR
    style = _STATE_STYLE.get(state, "$warning" if near else "$success")
    text = plain(str(gauge.get("text", "")), limit=80, newlines=False)
    bar = "━" * filled
    rest = "─" * (BAR - filled)
    return Content.assemble((bar, style), (rest, "$muted"), " ", (text, "" if share else "$muted"))


def _finding(row: FindingRow) -> Content:
    data = row.data
    at = clock(row.created_at)
    if row.kind == "guard":
        phase = plain(str(data.get("phase", "")), limit=20, newlines=False)
        reason = plain(str(data.get("reason", "")), limit=160, newlines=False)
        style = "$error" if phase in ("failed", "stopping", "stopped") else "$warning"
        return Content.assemble((f"{at} {phase}: ", style), reason)
    if row.kind == "error":
        message = plain(str(data.get("message", "")), limit=300, newlines=False)
        return Content.assemble((f"{at} error: ", "$error"), message)
    service = plain(str(data.get("service", row.name)), limit=20, newlines=False)
    event = plain(str(data.get("event", "")), limit=20, newlines=False)
    if data.get("ok"):
        return Content.styled(f"{at} told {service}: {event}", "$muted")
    error = plain(str(data.get("error") or "failed"), limit=300, newlines=False)
    return Content.assemble((f"{at} {service} not told: ", "$warning"), error)
