"""Regular expressions on what a model wrote, with an end to the search.

A pattern such as ``(a+)+$`` needs hours for thirty characters, and Python's ``re`` lets no other
thread run meanwhile: only another process can be given up.
"""

from __future__ import annotations

import json
import subprocess
import sys

LONGEST_SEARCHED = 10_000
"""Characters of a text that a pattern looks at."""
SECONDS = 5.0
"""After this a search is given up."""

_SEARCH = """
import json, re, sys
pattern, text, whole = json.load(sys.stdin)
found = (re.fullmatch if whole else re.search)(pattern, text)
sys.stdout.write("no" if found is None else "yes")
"""


class PatternError(Exception):
    """A search came to no result; the text says why."""


def matches(pattern: str, text: str, *, whole: bool = False, seconds: float = SECONDS) -> bool:
    """Whether a pattern is somewhere in the first 10,000 characters, or is all of them.

    Blocks for some 20 ms, and for ``seconds`` at most: call it in a thread.

    Raises:
        PatternError: it took too long, or the pattern is none.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SEARCH],
            input=json.dumps([pattern, text[:LONGEST_SEARCHED], whole]).encode("ascii"),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PatternError(f"{pattern!r} takes longer than {seconds:g} s") from None
    if done.returncode:
        raise PatternError(f"{pattern!r} cannot be used")
    return done.stdout == b"yes"
