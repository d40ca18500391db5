"""The one sanitiser: foreign text in, harmless plain text out.

Run names, log lines, model replies, dataset rows and server errors may hold terminal escapes, bidi
overrides or a megabyte without a line break. Everything that is printed, drawn, archived for
display or exported passes through :func:`plain` first.
"""

from __future__ import annotations

import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Whole escape sequences go first, so that "ESC[31mred" leaves "red" and not "[31mred". A string
# sequence (OSC, DCS, SOS, PM, APC) that is never closed ends at the line's end.
_SEQUENCES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 without tab and newline, DEL, C1, soft hyphen, zero-width and bidi controls, line and paragraph
# separators, interlinear, shorthand, musical and tag characters, lone surrogates. The joiners and
# variation selectors that emoji, Indic scripts and CJK names need stay.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff\u061c\u180e]"
)


def plain(text: object, *, limit: int | None = None, newlines: bool = True) -> str:
    """Return ``text`` as harmless plain text.

    ``limit`` caps the result's length in characters; what was cut is said at its end.
    ``newlines=False`` also folds line breaks and tabs to single spaces, for one-line places.
    Tabs and newlines stay otherwise; CR LF and CR become newlines; every other control character
    becomes U+FFFD, and whole terminal escape sequences vanish.
    """
    value = text if isinstance(text, str) else str(text)
    cut = 0
    if limit is not None and len(value) > limit:
        cut = len(value) - limit
        value = value[:limit]
    if not value.isprintable():
        value = _SEQUENCES.sub("", value)
        value = value.replace("\r\n", "\n").replace("\r", "\n")
        value = _CONTROLS.sub(_REPLACEMENT, value)
        if not newlines:
            value = " ".join(value.split())
    if cut:
        value += f" … [{cut:,} more characters]"
    return value


def escape_controls(text: str) -> str:
    """Write as ``\\uXXXX`` what :func:`plain` would take away; for a JSON text, which it leaves
    the same."""

    def escape(found: re.Match[str]) -> str:
        units = found.group().encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return text if text.isprintable() else _CONTROLS.sub(escape, text)


def one_line(text: object, *, limit: int = 200) -> str:
    """``text`` for a place within a line: harmless, short and without a line break."""
    return plain(text, limit=limit, newlines=False)


def indented(text: object, *, limit: int | None = None, by: str = "  ") -> str:
    """``text`` of several lines for a terminal that also shows our own lines.

    Every line after the first is set in, so that no line of a foreign text can pass for a prompt of
    the shell or a line of ours.
    """
    return plain(text, limit=limit).rstrip("\n").replace("\n", f"\n{by}")
