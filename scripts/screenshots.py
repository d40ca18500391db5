"""Make ``screenshots/`` from a real run: the triage starter, trained on the embedded backend.

    python -m scripts.screenshots                # about a minute
    python -m scripts.screenshots --png          # PNG too; needs cairosvg and the DejaVu fonts

Everything happens in a home folder of its own, so that no path of this machine is in a picture.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from arkor_tui.tui.app import ArkorApp

OUT = Path(__file__).parents[1] / "screenshots"
SIZE = (120, 36)
_BRAILLE = re.compile(r"<text([^>]*)>([^<]*[\u2800-\u28ff][^<]*)</text>")


async def main(png: bool) -> None:
    """Train, and take the pictures on the way."""
    from arkor_tui.session.session import Session
    from arkor_tui.terminal import Capabilities
    from arkor_tui.tui.app import ArkorApp

    folder = Path.home() / "demo"
    folder.mkdir()
    os.chdir(folder)
    async with Session.open(folder, "local") as session:
        app = ArkorApp(session, capabilities=Capabilities())
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(2)
            save(app, "welcome", png)
            await pilot.press("enter")
            await pilot.pause(1)
            await pilot.press("enter")
            await live(app, pilot, png)
            await talk(app, pilot, png)
    info = Path(os.environ["ARKOR_TUI_DATA_DIR"]) / "local" / "backend.json"
    import json

    os.kill(json.loads(info.read_text())["pid"], signal.SIGTERM)


async def live(app: ArkorApp, pilot: Pilot[None], png: bool) -> None:
    """In mid-run, and at the end."""
    while not (app.current and app.current.record and (app.current.record.last_step or 0) >= 60):
        await pilot.pause(0.5)
    app.clear_notifications()
    await pilot.pause(0.5)
    save(app, "live", png)
    while not (app.current and app.current.record and app.current.record.is_terminal):
        await pilot.pause(0.5)
    await pilot.press("1")
    await pilot.pause(1)
    app.clear_notifications()
    await pilot.pause(0.5)
    save(app, "runs", png)
    await pilot.press("2")
    await pilot.pause(2)
    save(app, "setup", png)
    await pilot.press("escape")
    await pilot.pause(0.5)


async def talk(app: ArkorApp, pilot: Pilot[None], png: bool) -> None:
    """The console, two targets side by side, and the time machine."""
    await pilot.press("4")
    await pilot.pause(1)
    await pilot.press("enter")
    await pilot.pause(2)
    await pilot.press("ctrl+b")
    await pilot.pause(2)
    save(app, "console", png)
    await pilot.press("ctrl+t")
    await pilot.pause(5)
    for _ in range(3):
        await pilot.press("left")
    await pilot.pause(1)
    save(app, "time-machine", png)


def save(app: ArkorApp, name: str, png: bool) -> None:
    """Write the SVG, and the PNG where it is wanted."""
    svg = app.export_screenshot(title="arkor-tui")
    home = str(Path.home())
    svg = svg.replace(home, "/home/you/models-and-more"[: len(home)].ljust(len(home), "-"))
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.svg").write_text(svg)
    if png:
        import cairosvg

        # the fonts that the picture asks for are of the web; these are on the machine
        text = svg.replace("Fira Code", "DejaVu Sans Mono")
        text = _BRAILLE.sub(r'<text\1 style="font-family: DejaVu Sans">\2</text>', text)
        cairosvg.svg2png(
            bytestring=text.encode(), write_to=str(OUT / f"{name}.png"), output_width=1400
        )
    print(f"wrote {name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--png", action="store_true", help="PNG files too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(
            HOME=home, ARKOR_TUI_DATA_DIR=f"{home}/data", ARKOR_TUI_CONFIG_DIR=f"{home}/config"
        )
        asyncio.run(main(arguments.png))
