"""Talking with the person at the terminal: lines out, questions in."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line, plain

if TYPE_CHECKING:
    from arkor_tui.api.notices import DeprecationNotice

_told: set[str] = set()


def is_interactive(args: argparse.Namespace) -> bool:
    """Whether someone can be asked: a terminal on both sides, no ``--json``, no ``CI``."""
    return (
        not args.json
        and not os.environ.get("CI")
        and sys.stdin is not None
        and sys.stdin.isatty()
        and sys.stdout.isatty()
    )


def output_is_gone() -> bool:
    """Whether nobody can read what we say: a pipe was closed, or the terminal has hung up."""
    return any(_is_gone(number) for number in (1, 2))


def forget_output() -> None:
    """Let nothing fail any more because nobody reads it, or types."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        if _is_gone(number):
            os.dup2(nowhere, number)
    os.close(nowhere)


def _is_gone(number: int) -> bool:
    asked = select.poll()
    asked.register(number, 0)  # both are told although nothing is asked for
    return any(found & (select.POLLERR | select.POLLHUP) for _, found in asked.poll(0))


def say(text: str) -> None:
    """A line of result, on stdout."""
    print(plain(text), flush=True)


def note(text: str) -> None:
    """A line beside the result, on stderr."""
    print(plain(text), file=sys.stderr, flush=True)


def tell_notice(notice: DeprecationNotice) -> None:
    """A server's deprecation notice, once per text."""
    if notice.message not in _told:
        _told.add(notice.message)
        note(f"Note from the server: {notice.message}")


def emit(kind: str, fields: Mapping[str, Any]) -> None:
    """One JSON object a line, on stdout, ``type`` first."""
    import json  # --help does without

    print(json.dumps({"type": kind, **fields}, allow_nan=False), flush=True)


def confirm(question: str) -> bool:
    """Ask for a yes; anything else, and the end of input, is a no."""
    return _ask(f"{one_line(question, limit=1_000)} [y/N] ").lower() in ("y", "yes")


def choose(question: str, options: Sequence[tuple[str, str]], default: str) -> str:
    """Ask for one of ``options`` (name, explanation); Enter takes ``default``."""
    names = [name for name, _ in options]
    say(question)
    for number, (name, explanation) in enumerate(options, 1):
        say(f"  {number}. {name}: {explanation}")
    while True:
        answer = _ask(f"Number [{names.index(default) + 1}]: ").lower()
        if not answer:
            return default
        if answer in names:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(names):
            return names[int(answer) - 1]
        say(f"Please answer with a number from 1 to {len(names)}.")


def _ask(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        print(flush=True)
        return ""
