"""A screen as an SVG that is the same wherever and whenever it is drawn."""

from __future__ import annotations

import difflib
import hashlib
import re
from html import unescape

from arkor_tui.tui.app import ArkorApp

_UNIQUE = re.compile(r"terminal-\d+")
_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
_LINES = re.compile(r'<clipPath id="t-line-\d+">.*?</clipPath>', re.DOTALL)
_CLIP = re.compile(r' clip-path="url\(#t-line-\d+\)"')
_RULE = re.compile(r"\.t-(r\d+) \{ (.*?) \}")
_USE = re.compile(r'class="t-(r\d+)"')
_RECT = re.compile(
    r'<rect fill="(\S+)" x="([\d.]+)" y="(\S+)" width="([\d.]+)" height="(\S+)"'
    r' shape-rendering="crispEdges"/>'
)
_TEXT = re.compile(r'<text class="s\w+" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


def picture(app: ArkorApp) -> str:
    """The screen as SVG, an element a line. A style is named by what it is, so that one that is
    new does not rename all others."""
    svg = _UNIQUE.sub("t", app.export_screenshot(simplify=True))
    svg = _CLIP.sub("", _LINES.sub("", _FONT.sub("", svg)))
    rules = dict(_RULE.findall(svg))
    names = {
        old: "s" + hashlib.sha256(rule.encode()).hexdigest()[:6] for old, rule in rules.items()
    }
    svg = _USE.sub(lambda found: f'class="{names[found[1]]}"', svg)
    styles = "\n".join(sorted(f".{names[old]} {{ {rule} }}" for old, rule in rules.items()))
    svg = _RULE.sub("", svg).replace("</style>", f"{styles}\n</style>")
    svg = svg.replace("&#160;", "\N{NO-BREAK SPACE}").replace("><", ">\n<")
    return joined("\n".join(line.strip() for line in svg.split("\n") if line.strip()) + "\n")


def joined(svg: str) -> str:
    """Neighbouring rectangles of one colour as one: how they are cut depends on what was drawn
    anew last, and nobody sees it."""
    lines: list[str] = []
    before: tuple[str, float, str, float, str] | None = None
    for line in svg.split("\n"):
        found = _RECT.fullmatch(line)
        if found is None:
            before = None
            lines.append(line)
            continue
        fill, x, y, width, height = found.groups()
        rect = (fill, float(x), y, float(width), height)
        if before is not None and (before[0], before[2], before[4]) == (fill, y, height):
            end = before[1] + before[3]
            if abs(end - rect[1]) < 0.05:
                lines.pop()
                rect = (fill, before[1], y, before[3] + rect[3], height)
        before = rect
        lines.append(
            f'<rect fill="{fill}" x="{rect[1]:g}" y="{y}" width="{rect[3]:.6g}"'
            f' height="{height}" shape-rendering="crispEdges"/>'
        )
    return "\n".join(lines)


def rows_of(svg: str) -> list[str]:
    """The text of a picture, row by row."""
    rows: dict[float, str] = {}
    for x, y, text in _TEXT.findall(svg):
        row = rows.get(float(y), "")
        place = round(float(x) / 12.2)
        rows[float(y)] = row.ljust(place) + unescape(text).replace("\N{NO-BREAK SPACE}", " ")
    return [rows[y] for y in sorted(rows)]


def difference(expected: str, found: str, *, most: int = 24) -> str:
    """What is different, in text where the text differs, else in styles and places."""
    before, after = rows_of(expected), rows_of(found)
    if before == after:
        before, after = expected.split("\n"), found.split("\n")
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    more = [f"… {len(lines) - most} more lines"] if len(lines) > most else []
    return "\n".join([line[:200] for line in lines[:most]] + more)
