"""Every view at three sizes, and in every theme, as it was when somebody last looked at it.

``pytest tests/tui/test_snapshots.py --update-snapshots`` rewrites the pictures; look at those that
changed before you commit them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot

from arkor_tui.tui.app import ArkorApp
from tests.support.pictures import difference, joined, picture
from tests.support.recorded_runs import app_on, settled
from tests.support.snapshot_views import VIEWS, fill_archive, freeze

FOLDER = Path(__file__).parent / "snapshots"
SIZES = ((80, 24), (120, 36), (200, 50))
THEMES = ("arkor-light", "high-contrast", "colour-blind", "terminal-16")
"""Besides the usual one; at the middle size."""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", VIEWS)
async def test_view(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    view: str,
    size: tuple[int, int],
) -> None:
    freeze(monkeypatch)
    if view != "welcome":
        fill_archive(tmp_path / "history.db")
    found: dict[str, str] = {}
    async with app_on(tmp_path / "history.db", size=size) as (app, pilot):
        await VIEWS[view](app, pilot)
        await settled(app, pilot)
        found[f"{view}-{size[0]}x{size[1]}"] = picture(app)
        for theme in THEMES if size == SIZES[1] else ():
            await switch(app, pilot, theme)
            if view == "palette":  # it closes when a theme is chosen in it
                await VIEWS[view](app, pilot)
            found[f"{view}-{theme}"] = picture(app)
    update = request.config.getoption("--update-snapshots")
    wrong = [text for name, svg in found.items() if (text := compare(name, svg, tmp_path, update))]
    assert not wrong, "\n\n".join(wrong)


async def switch(app: ArkorApp, pilot: Pilot[None], theme: str) -> None:
    """Another theme, as the palette would choose it."""
    if isinstance(app.screen, CommandPalette):
        await pilot.press("escape")
    app.theme = theme
    await settled(app, pilot)


def compare(name: str, svg: str, folder: Path, update: bool) -> str:
    """What is different from the picture that is kept, in words; or keep this one."""
    file = FOLDER / f"{name}.svg"
    if update:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(svg, encoding="utf-8")
    if not file.exists():
        return f"there is no snapshot {name}; --update-snapshots makes it"
    expected = file.read_text(encoding="utf-8")
    if svg == expected:
        return ""
    actual = folder / file.name
    actual.write_text(svg, encoding="utf-8")
    return f"{name} looks different: {actual}\n{difference(expected, svg)}"


def test_every_theme_has_its_pictures() -> None:
    kept = {path.stem for path in (Path(__file__).parents[2] / "themes").glob("*.toml")}
    assert kept == {*THEMES, "arkor-dark"}


def test_no_picture_is_left_of_a_view_that_is_gone() -> None:
    sizes = [f"{width}x{height}" for width, height in SIZES]
    wanted = {f"{view}-{end}" for view in VIEWS for end in (*sizes, *THEMES)}
    assert {path.stem for path in FOLDER.glob("*")} == wanted


def test_rectangles_are_joined_where_only_the_cut_differs() -> None:
    def rect(x: float, width: float, fill: str = "#111", y: str = "1.5") -> str:
        return (
            f'<rect fill="{fill}" x="{x:g}" y="{y}" width="{width:g}" height="24.65"'
            ' shape-rendering="crispEdges"/>'
        )

    assert joined(f"{rect(0, 488)}\n{rect(488, 488)}") == rect(0, 976)
    for other in (rect(488, 488, fill="#222"), rect(488, 488, y="25.9"), rect(500, 488)):
        assert joined(f"{rect(0, 488)}\n{other}") == f"{rect(0, 488)}\n{other}"
