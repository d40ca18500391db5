"""Options of the commands that ask a model: whom, with which system prompt, how to generate."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line

from .interaction import note

if TYPE_CHECKING:
    from arkor_tui.chat.options import Option, Sampling
    from arkor_tui.chat.target import Target


def add_target_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Declare ``--step`` and its like; with ``several`` also ``--all``."""
    from arkor_tui.chat.target import LATEST, Target

    title = "targets" if several else "target"
    group: Any = parser.add_argument_group(
        f"{title} (default: the final adapter, else the newest checkpoint)"
    )
    if several:
        group.add_argument("--all", action="store_true", help="the base model and all of them")
    else:
        group = group.add_mutually_exclusive_group()
    group.add_argument(
        "--step", dest="targets", action="append", type=_step, metavar="N",
        help="the checkpoint at this step",
    )  # fmt: skip
    for target, text in (
        (LATEST, "what is meant where nothing is said"),
        (Target("final"), "the final adapter"),
        (Target("base"), "the base model, untuned"),
    ):
        group.add_argument(
            f"--{target.kind}", dest="targets", action="append_const", const=target, help=text
        )


def _step(text: str) -> Target:
    from arkor_tui.chat.target import Target
    from arkor_tui.errors import UsageError

    with suppress(UsageError):
        target = Target.parse(text)
        if target.kind == "checkpoint":
            return target
    raise argparse.ArgumentTypeError(f"{text!r} is not the step of a checkpoint")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Declare how to generate, from the one table of options."""
    from arkor_tui.chat.options import OPTIONS

    for option in OPTIONS:
        if option.kind is str:
            parser.add_argument(option.flag, action="append", metavar="TEXT", help="end reply here")
            continue
        parser.add_argument(option.flag, type=_number(option), metavar="N", help=option.hint)


def _number(option: Option) -> Any:
    def read(text: str) -> float | int:
        try:
            return option.number(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {error}") from None

    return read


def sampling_from(args: argparse.Namespace) -> Sampling:
    """What was said about generating."""
    from arkor_tui.chat.options import sampling_of

    return sampling_of(vars(args))


def add_system_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--system``."""
    parser.add_argument(
        "--system", metavar="TEXT",
        help="system prompt (default: that of the run's rows; '' for none)",
    )  # fmt: skip


def show_rows_prompt(system: str, args: argparse.Namespace) -> None:
    """Say that a system prompt is sent which nobody typed."""
    if system and args.system is None and not args.json:
        note(f"[system prompt, as in training: {one_line(system, limit=200)}]")


def wanted_targets(args: argparse.Namespace) -> Sequence[Target]:
    """Whom the options name; empty where they name nobody."""
    return args.targets or ()
