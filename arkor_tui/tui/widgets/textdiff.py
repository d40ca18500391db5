"""What changed between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from textual.content import Content

Kind = Literal["same", "added", "removed"]
MOST_WORDS = 2_000
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def word_diff(old: str, new: str) -> list[tuple[Kind, str]]:
    """The pieces of ``new`` and what was taken out of ``old``; too long texts are not compared."""
    if old == new:
        return [("same", new)] if new else []
    before, after = _WORD.findall(old), _WORD.findall(new)
    if len(before) > MOST_WORDS or len(after) > MOST_WORDS:
        return [("removed", old), ("added", new)]
    pieces: list[tuple[Kind, str]] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(("same", "".join(after[b0:b1])))
            continue
        if a1 > a0:
            pieces.append(("removed", "".join(before[a0:a1])))
        if b1 > b0:
            pieces.append(("added", "".join(after[b0:b1])))
    return pieces


def diff_content(old: str, new: str) -> Content:
    """The difference for reading: added underlined, removed struck through, so that it can be told
    without colour. Both texts must be sanitised."""
    styles = {"same": "", "added": "underline $diff-added", "removed": "strike $diff-removed"}
    return Content.assemble(*((text, styles[kind]) for kind, text in word_diff(old, new)))
