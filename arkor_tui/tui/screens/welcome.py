"""The first screen of a first run: what this is, and where to begin."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from arkor_tui.errors import ArkorTuiError
from arkor_tui.run.loading import load_trainer
from arkor_tui.starters import STARTERS
from arkor_tui.starters.write import write_starter
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.host import host_of
from arkor_tui.tui.widgets.dialogs import Ask, Confirm, DialogChoice

from .base import PageScreen

_ABOUT = (
    "Fine-tune a language model with LoRA, watch the loss fall, and talk to the half-trained model "
    "at every checkpoint. Runs go on when you disconnect, and everything is kept. No account and "
    "no GPU is needed: the embedded backend really trains a small model on this machine."
)


class WelcomeScreen(PageScreen[None]):
    """Four lines, and a list whose first entry is what most people want."""

    DEFAULT_CSS = """
    WelcomeScreen { align: center middle; background: $background; }
    WelcomeScreen > Vertical {
        width: 104; max-width: 98%; height: auto; padding: 1 2;
        border: round $primary; background: $surface;
    }
    WelcomeScreen .about { margin-bottom: 1; }
    WelcomeScreen .keys { margin-top: 1; color: $muted; }
    WelcomeScreen OptionList, WelcomeScreen OptionList:focus {
        height: auto; border: none; padding: 0; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "look around", id="welcome.skip"),
        Binding("q", "app.ask_quit", "quit", id="app.quit"),
        Binding("j", "move(1)", "down", show=False),
        Binding("k", "move(-1)", "up", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Title, text, choices."""
        with Vertical():
            yield Static(Content.styled("arkor-tui", "bold $primary"), markup=False)
            yield Static(Content(_ABOUT), classes="about", markup=False)
            yield OptionList(markup=False)
            yield Static(
                "Enter begins · arrows choose · Esc looks around first · ? shows keys everywhere",
                classes="keys",
                markup=False,
            )

    def on_mount(self) -> None:
        """What fits this folder first."""
        self._offer()

    @work
    async def _offer(self) -> None:
        options: list[Option] = []
        folder = host_of(self).session.folder
        if await asyncio.to_thread((folder / "trainer.py").is_file):
            where = plain(str(folder), limit=60, newlines=False)
            options.append(Option(f"Set up and start trainer.py here ({where})", id="here"))
        options += [
            Option(f"Train here: {starter.title:<15}  {starter.description}", id=starter.id)
            for starter in STARTERS.values()
        ]
        cloud = "Use Arkor's cloud (anonymous, or signed in with `arkor-tui login`)"
        options += [
            Option("Open an existing project …", id="open"), Option(cloud, id="cloud"),
        ]  # fmt: skip
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options(options)
        choices.highlighted = 0
        choices.focus()

    def action_move(self, by: int) -> None:
        """Through the list."""
        options = self.query_one(OptionList)
        if options.option_count:  # none before the folder was looked at
            options.highlighted = ((options.highlighted or 0) + by) % options.option_count

    @on(OptionList.OptionSelected)
    def _chosen(self, message: OptionList.OptionSelected) -> None:
        choice = message.option.id or ""
        if choice in STARTERS:
            self._train(choice)
        elif choice == "here":
            self.dismiss()
            host_of(self).action_view("setup")
        elif choice == "open":
            self._open()
        else:
            self._cloud()

    @work(exclusive=True)
    async def _train(self, template: str) -> None:
        host = host_of(self)
        folder = host.session.folder
        if await asyncio.to_thread((folder / "trainer.py").exists) or folder == Path.home():
            folder = folder / f"{template}-demo"
        shown = plain(str(folder), limit=200, newlines=False)
        answer = await self.app.push_screen_wait(
            Confirm(
                f"Train {STARTERS[template].title.lower()} here?",
                f"Writes a small project into {shown} (nothing is overwritten) and trains it on "
                "the embedded backend. It takes about half a minute.",
                (
                    DialogChoice("y", "yes", "Yes, train"),
                    DialogChoice("n", "no", "Not now"),
                ),
            )
        )
        if answer != "yes":
            return
        try:
            await asyncio.to_thread(write_starter, template, folder)
            trainer = await asyncio.to_thread(load_trainer, folder / "trainer.py")
        except ArkorTuiError as error:
            host.tell_problem(error)
            return
        host.session.enter(folder, "local")
        await host.start_run(trainer, trainer_file=str(folder / "trainer.py"))

    @work(exclusive=True)
    async def _open(self) -> None:
        host = host_of(self)
        answer = await self.app.push_screen_wait(
            Ask("Folder of the project", value=str(host.session.folder), check=_a_folder)
        )
        if answer:
            host.session.enter(_path(answer))
            self.dismiss()
            host.action_view("setup")

    @work(exclusive=True)
    async def _cloud(self) -> None:
        host = host_of(self)
        answer = await self.app.push_screen_wait(
            Confirm(
                "Use Arkor's cloud?",
                "Without stored credentials an anonymous identity is made. To sign in with an "
                "account instead, leave and run `arkor-tui login`.",
                (DialogChoice("n", "no", "No"), DialogChoice("y", "yes", "Yes, connect")),
            )
        )
        if answer != "yes":
            return
        try:
            await host.session.connect("cloud")
        except ArkorTuiError as error:
            host.tell_problem(error)
            return
        self.dismiss()
        host.action_view("setup")


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _a_folder(text: str) -> str | None:
    return None if _path(text).is_dir() else "There is no such folder."
