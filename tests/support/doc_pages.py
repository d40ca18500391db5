"""The fenced blocks of a page, as a reader sees them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*([\w+-]*).*$")
_OPT_OUT = re.compile(r"^\s*<!-- not run: \S.* -->\s*$")
_SEPARATORS = frozenset({"&&", "||", ";", "|", "&"})


@dataclass(frozen=True, slots=True)
class Block:
    """``line`` is that of the first line inside the fence, counted from 1."""

    language: str
    text: str
    line: int
    is_run: bool = True


def blocks(page: str) -> list[Block]:
    """Every fenced block, indented ones too.

    A block is not run if the last line with anything on it before the fence is
    ``<!-- not run: reason -->``.

    Raises:
        ValueError: a fence is never closed, so that nobody knows what is code.
    """
    found: list[Block] = []
    before = ""
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            before = line if line.strip() else before
            continue
        indent, marks, language = fence.groups()
        inside: list[str] = []
        for _, row in lines:
            if row.strip().startswith(marks) and not row.strip().strip(marks[0]):
                break
            inside.append(row.removeprefix(indent))
        else:
            raise ValueError(f"the block of line {number} is never closed")
        text = "".join(f"{row}\n" for row in inside)
        found.append(Block(language, text, number + 1, not _OPT_OUT.match(before)))
        before = ""
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of each ``arkor-tui`` command of a shell block.

    Prompts (``$``), variables before the command, several commands on one line and continued lines
    are understood.

    Raises:
        ValueError: a quotation is never closed.
    """
    for line in text.replace("\\\n", " ").splitlines():
        if "arkor-tui" not in line:
            continue
        lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _SEPARATORS:
                command.append(word)
                continue
            yield from _ours(command)
            command = []


def _ours(command: list[str]) -> Iterator[list[str]]:
    while command and re.match(r"\w+=", command[0]):
        command = command[1:]
    redirected = next((i for i, word in enumerate(command) if set(word) <= set("<>")), None)
    if command and command[0].rpartition("/")[2] == "arkor-tui":
        yield command[1:redirected]
