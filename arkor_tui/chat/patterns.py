"""Regular expressions on text from outside, with an end to the search.

A pattern such as ``(a+)+$`` needs hours for thirty characters, and Python's ``re`` lets no other
thread run meanwhile. ``regex`` gives up after a time and lets others run.
"""

from __future__ import annotations

from typing import Any

import regex

LONGEST_SEARCHED = 10_000
"""Characters of a text that a pattern looks at."""
LONGEST_PATTERN = 2_000
"""Characters of a pattern; `regex` prepares for longer ones without an end."""
SECONDS = 5.0
"""After this a search is given up."""


class PatternError(Exception):
    """A pattern is none, or a search came to no result; the text says why."""


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that cannot be read here.

    Raises:
        PatternError: the text says what is wrong and where.
    """
    _compiled(pattern)


def _compiled(pattern: str) -> Any:
    if len(pattern) > LONGEST_PATTERN:
        raise PatternError(f"it is longer than {LONGEST_PATTERN:,} characters")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise PatternError(str(error)) from None
    except RecursionError:
        raise PatternError("it is nested too deeply") from None
    except (ArithmeticError, MemoryError, ValueError) as error:
        raise PatternError(str(error) or type(error).__name__) from None


def matches(pattern: str, text: str, *, whole: bool = False, seconds: float = SECONDS) -> bool:
    """Tell whether a pattern is in the first 10,000 characters, or is all the text.

    Blocks for ``seconds``, and a little more, at most: call it in a thread.

    Raises:
        PatternError: it took too long, the pattern is none, or all of a longer text is asked for.
    """
    compiled = _compiled(pattern)
    if whole and len(text) > LONGEST_SEARCHED:
        raise PatternError(f"the text is longer than {LONGEST_SEARCHED:,} characters")
    look = compiled.fullmatch if whole else compiled.search
    try:
        return look(text[:LONGEST_SEARCHED], timeout=seconds, concurrent=True) is not None
    except TimeoutError:
        raise PatternError(f"{pattern!r} takes longer than {seconds:g} s") from None
    except MemoryError:
        raise PatternError(f"{pattern!r} takes too much memory") from None
