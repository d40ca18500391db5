"""The log as it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from arkor_tui.archive.records import LogRow
from arkor_tui.tui.themes import DEFAULTS
from arkor_tui.tui.widgets.eventlog import EventLog, line_of

HEIGHT = 8


def row(number: int, data: str = '{"loss": 1.0}', kind: str = "training.log") -> LogRow:
    return LogRow(number, str(number), kind, number, "2026-01-01T00:00:00Z", data)


class LogApp(App[None]):
    CSS = f"EventLog {{ height: {HEIGHT}; }}"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def compose(self) -> ComposeResult:
        yield EventLog(id="log")


@pytest_asyncio.fixture
async def pilot() -> AsyncIterator[Pilot[None]]:
    """An empty log."""
    app = LogApp()
    async with app.run_test(size=(60, 12)) as pilot:
        log = app.query_one(EventLog)

        async def fetch(offset: int, limit: int) -> Sequence[LogRow]:
            return [row(n) for n in range(offset + 1, min(offset + limit, log.count) + 1)]

        log.show(0, fetch)
        log.to_end()
        await pilot.pause()
        yield pilot


def shown(log: EventLog) -> list[str]:
    lines = [log.render_line(y).text.strip() for y in range(HEIGHT)]
    return [line.split()[2] for line in lines if "step" in line]


async def test_the_newest_event_is_always_in_view_while_following(pilot: Pilot[None]) -> None:
    log = pilot.app.query_one(EventLog)
    for number in range(1, 40):
        log.grow(number, [row(number)])
        await pilot.pause()
        assert shown(log)[-1] == str(number)
    assert log.following


async def test_moving_up_ends_following_and_the_end_takes_it_up_again(pilot: Pilot[None]) -> None:
    log = pilot.app.query_one(EventLog)
    log.grow(30, [row(n) for n in range(1, 31)])
    await pilot.pause()
    log.focus()
    await pilot.press("up", "up")
    assert not log.following
    before = shown(log)
    log.grow(31, [row(31)])
    await pilot.pause()
    assert shown(log)[: len(before)] == before  # the new one is below
    await pilot.press("G")
    assert log.following
    assert shown(log)[-1] == "31"


def test_a_line_names_what_happened_and_holds_no_control_character() -> None:
    hostile = '{"error": "\\u001b]0;x\\u0007 \\u202e boom"}'
    text = "".join(part for part, _ in line_of(row(1, hostile, "training.failed")))
    assert "training failed" in text
    assert "boom" in text
    assert text.isprintable()
    ended = line_of(row(1, '{"error": "Job cancelled"}', "training.failed"))
    assert ended[-1] == ("■ training cancelled", "paged--warn")
    odd = "".join(
        part for part, _ in line_of(row(2, '{"loss": null, "nonFinite": {"loss": "nan"}}'))
    )
    assert "loss nan" in odd
    broken = "".join(part for part, _ in line_of(row(3, "not json", "some.thing")))
    assert "some.thing not json" in broken


def test_a_megabyte_in_one_event_is_cut() -> None:
    text = "".join(part for part, _ in line_of(row(1, "x" * 1_000_000, "odd")))
    assert len(text) < 3_000
