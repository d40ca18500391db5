"""Every view as it was when somebody last looked at it: a picture, and its text at other sizes.

In other themes it shows the same text in colours of the theme that can be told apart, and one view
has a picture in each. ``pytest tests/tui/test_snapshots.py --update-snapshots`` rewrites what is
kept; look at what changed before you commit it.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import ModalScreen

from arkor_tui.tui.app import ArkorApp
from tests.support.pictures import difference, joined, picture
from tests.support.recorded_runs import app_on, resize, screen_text, settled
from tests.support.snapshot_views import VIEWS, fill_archive, freeze

FOLDER = Path(__file__).parent / "snapshots"
SIZE = (120, 36)
OTHERS = ((80, 24), (200, 50))
THEMES = ("arkor-light", "high-contrast", "colour-blind", "terminal-16")
"""Besides the usual one."""
IN_THEMES = "live-guards"
"""The view that has a picture in each."""
FAINTEST = 2.8
"""The least ratio of the luminance of letters to that of what is behind them."""


@pytest.mark.parametrize("view", VIEWS)
async def test_view(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, view: str
) -> None:
    freeze(monkeypatch)
    if view != "welcome":
        fill_archive(tmp_path / "history.db")
    found: dict[str, str] = {}
    async with app_on(tmp_path / "history.db", size=SIZE) as (app, pilot):
        await VIEWS[view](app, pilot)
        await settled(app, pilot)
        usual, text = app.theme, screen_text(app)
        for theme in THEMES:
            await switch(app, pilot, theme, view)
            assert screen_text(app) == text, theme
            check_colours(app)
            if view == IN_THEMES:
                found[f"{view}-{theme}.svg"] = picture(app)
        await switch(app, pilot, usual, view)
        check_colours(app)
        # only now: what a dialog covers is drawn anew with a theme, and may not have been before
        found[f"{view}.svg"] = picture(app)
        for size in OTHERS:
            await resize(app, pilot, *size)
            await settled(app, pilot)
            rows = screen_text(app).split("\n")
            assert len(rows) == size[1]
            assert all(len(row) <= size[0] for row in rows)
            found[f"{view}-{size[0]}x{size[1]}.txt"] = "".join(f"{r.rstrip()}\n" for r in rows)
    update = request.config.getoption("--update-snapshots")
    wrong = [said for name, now in found.items() if (said := compare(name, now, tmp_path, update))]
    assert not wrong, "\n\n".join(wrong)


async def switch(app: ArkorApp, pilot: Pilot[None], theme: str, view: str) -> None:
    """Another theme, as the palette would choose it."""
    closes = isinstance(app.screen, CommandPalette)  # when a theme is chosen in it
    if closes:
        await pilot.press("escape")
    app.theme = theme
    await settled(app, pilot)
    if closes:
        await VIEWS[view](app, pilot)


def check_colours(app: ArkorApp) -> None:
    """Letters can be read; and where the terminal's own colours are to be used, no others are."""
    region = app.screen.region
    if isinstance(app.screen, ModalScreen):  # what is below a dialog is faint on purpose
        region = app.screen.children[0].region
    strips = app.screen._compositor.render_strips()[region.y : region.bottom]
    shown = (segment for strip in strips for segment in strip.crop(region.x, region.right))
    letters = [segment for segment in shown if any(c.isalnum() for c in segment.text)]
    if app.theme == "terminal-16":
        assert {s.text for s in letters if not is_of_terminal(s)} == set()
    else:
        faint = {s.text: round(ratio, 2) for s in letters if (ratio := contrast(s)) < FAINTEST}
        assert not faint, app.theme


def is_of_terminal(segment: Segment) -> bool:
    style = segment.style
    colours = () if style is None else (style.color, style.bgcolor)
    return all(colour is None or colour.triplet is None for colour in colours)


def contrast(segment: Segment) -> float:
    """The ratio as WCAG has it, from 1 to 21."""
    style = segment.style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    front, back = (luminance(Color.from_rich_color(c)) for c in (style.color, style.bgcolor))
    return (max(front, back) + 0.05) / (min(front, back) + 0.05)


def luminance(colour: Color) -> float:
    """The relative luminance of sRGB."""
    parts = (part / 255 for part in colour.rgb)
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def compare(name: str, now: str, folder: Path, update: bool) -> str:
    """What is different from what is kept, in words; or keep this."""
    file = FOLDER / name
    if update:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(now, encoding="utf-8")
    if not file.exists():
        return f"there is no snapshot {name}; --update-snapshots makes it"
    expected = file.read_text(encoding="utf-8")
    if now == expected:
        return ""
    actual = folder / name
    actual.write_text(now, encoding="utf-8")
    told = difference(expected, now) if file.suffix == ".svg" else rows_that_differ(expected, now)
    return f"{name} looks different: {actual}\n{told}"


def rows_that_differ(expected: str, now: str) -> str:
    return "\n".join(difflib.unified_diff(expected.split("\n"), now.split("\n"), lineterm="", n=0))


def test_every_theme_has_its_pictures() -> None:
    kept = {path.stem for path in (Path(__file__).parents[2] / "themes").glob("*.toml")}
    assert kept == {*THEMES, "arkor-dark"}


def test_no_picture_is_left_of_a_view_that_is_gone() -> None:
    ends = (".svg", *(f"-{width}x{height}.txt" for width, height in OTHERS))
    wanted = {f"{view}{end}" for view in VIEWS for end in ends}
    wanted |= {f"{IN_THEMES}-{theme}.svg" for theme in THEMES}
    assert {path.name for path in FOLDER.glob("*")} == wanted


def test_rectangles_are_joined_where_only_the_cut_differs() -> None:
    def rect(x: float, width: float, fill: str = "#111", y: str = "1.5") -> str:
        return (
            f'<rect fill="{fill}" x="{x:g}" y="{y}" width="{width:g}" height="24.65"'
            ' shape-rendering="crispEdges"/>'
        )

    assert joined(f"{rect(0, 488)}\n{rect(488, 488)}") == rect(0, 976)
    for other in (rect(488, 488, fill="#222"), rect(488, 488, y="25.9"), rect(500, 488)):
        assert joined(f"{rect(0, 488)}\n{other}") == f"{rect(0, 488)}\n{other}"
