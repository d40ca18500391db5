"""Every screen at three sizes, and in every theme, as it was when somebody last looked at it.

A snapshot is what the terminal would show: the text, row by row, and for themes the styles of each
row. An SVG would hold the same in a form that changes with every release of Textual.

``pytest tests/tui --update-snapshots`` rewrites them; look at the difference before you commit it.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from textual.pilot import Pilot

from arkor_tui.tui.app import ArkorApp

from .recorded import app_on, fill, press, screen_text, settled

FOLDER = Path(__file__).parent / "snapshots"
SIZES = ((80, 24), (120, 36), (200, 50))
THEMES = ("arkor-dark", "arkor-light", "high-contrast", "colour-blind", "terminal-16")
SCREENS = ("welcome", "runs", "live", "setup", "console", "help", "compare", "chart")


@pytest.fixture(autouse=True)
def fixed_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of day as recorded, whatever zone and year it is here."""
    monkeypatch.setattr("arkor_tui.tui.screens.runs.when", lambda text: str(text)[5:16])
    monkeypatch.setattr("arkor_tui.tui.widgets.eventlog.clock", lambda text: str(text)[11:19])
    monkeypatch.setattr("arkor_tui.tui.widgets.checkpoints.clock", lambda text: str(text)[11:19])


async def go_to(name: str, app: ArkorApp, pilot: Pilot[None]) -> None:
    """Press the keys that lead to a screen."""
    if name in ("live", "console", "chart"):
        await press(app, pilot, "slash", *"triage-run", "enter", "enter")
    if name == "console":
        await press(app, pilot, "i")
    elif name == "chart":
        app.screen.query_one("#chart").focus()
        await press(app, pilot, "z", "s", "right_square_bracket", "right_square_bracket")
    elif name == "setup":
        await press(app, pilot, "slash", *"triage-run", "enter", "e")
    elif name == "help":
        await press(app, pilot, "question_mark")
    elif name == "compare":
        await press(app, pilot, "slash", *"-run", "enter", "space", "space", "c")
    app.clear_notifications()
    for _ in range(3):
        await settled(app, pilot)


def styles_of(app: ArkorApp) -> str:
    """The styles of each row as runs of cells."""
    rows = []
    for strip in app.screen._compositor.render_strips():
        cells = [str(segment.style) for segment in strip for _ in segment.text]
        rows.append(" | ".join(f"{len(list(run))}×{style}" for style, run in groupby(cells)))
    return "\n".join(rows)


def compare(request: pytest.FixtureRequest, name: str, found: str) -> None:
    """Against the file, or into it."""
    file = FOLDER / f"{name}.txt"
    found = "\n".join(line.rstrip() for line in found.split("\n")) + "\n"
    if request.config.getoption("--update-snapshots"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert file.exists(), f"there is no snapshot {name}; --update-snapshots makes it"
    assert found == file.read_text(encoding="utf-8"), f"{name} looks different"


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", SCREENS)
async def test_screen(
    request: pytest.FixtureRequest, tmp_path: Path, screen: str, size: tuple[int, int]
) -> None:
    if screen != "welcome":
        fill(tmp_path / "history.db")
    async with app_on(tmp_path / "history.db", size=size) as (app, pilot):
        await go_to(screen, app, pilot)
        compare(request, f"{screen}-{size[0]}x{size[1]}", screen_text(app))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("screen", ["runs", "live", "setup", "console"])
async def test_theme(
    request: pytest.FixtureRequest, tmp_path: Path, screen: str, theme: str
) -> None:
    fill(tmp_path / "history.db")
    async with app_on(tmp_path / "history.db", theme=theme) as (app, pilot):
        await go_to(screen, app, pilot)
        compare(request, f"{screen}-{theme}", styles_of(app))
