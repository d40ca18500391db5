"""What changed between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from textual.content import Content

Kind = Literal["same", "added", "removed"]
MOST_UNITS = 4_000
MOST_PAIRS = 20_000
"""Equal pairs of units that are compared at most; difflib's time grows with them and is about a
tenth of a second here."""

# The space before a word belongs to it: spaces by themselves would match everywhere, which is slow
# and cuts a rewritten sentence into confetti. Chinese and Japanese have no spaces between words.
_WORDS = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|\S)|\s+")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_STYLES = {"same": "", "added": "underline $diff-added", "removed": "strike $diff-removed"}


def word_diff(old: str, new: str) -> list[tuple[Kind, str]]:
    """The pieces of ``new`` and what was taken out of ``old``, in reading order.

    "same" and "added" joined are ``new``, "same" and "removed" joined are ``old``. Texts that are
    too long or too repetitive to compare by words are compared by lines, else not at all.
    """
    if old == new:
        return [("same", new)] if new else []
    for units in (_WORDS, _LINES):
        if max(len(old), len(new)) <= 50 * MOST_UNITS:
            before, after = units.findall(old), units.findall(new)
            if _comparable(before, after):
                return _compare(before, after)
    whole: list[tuple[Kind, str]] = [("removed", old), ("added", new)]
    return [piece for piece in whole if piece[1]]


def diff_content(old: str, new: str) -> Content:
    """The difference for reading: added underlined, removed struck through, so that it can be told
    without colour. Both texts must be sanitised."""
    return Content.assemble(*((text, _STYLES[kind]) for kind, text in word_diff(old, new)))


def _comparable(before: Sequence[str], after: Sequence[str]) -> bool:
    if len(before) + len(after) > 2 * MOST_UNITS:
        return False
    left, right = Counter(before), Counter(after)
    return sum(count * right[unit] for unit, count in left.items()) <= MOST_PAIRS


def _compare(before: list[str], after: list[str]) -> list[tuple[Kind, str]]:
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
