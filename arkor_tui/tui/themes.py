"""Themes: files of colours, ours and the user's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from arkor_tui.plain import plain
from arkor_tui.workspace.folders import config_dir

DEFAULT_THEME = "arkor-dark"
_COLOURS = frozenset(
    {"primary", "secondary", "accent", "warning", "error", "success", "foreground", "background",
     "surface", "panel", "boost"}
)  # fmt: skip
DEFAULTS: dict[str, str] = {
    "muted": "ansi_white",
    "cursor-row": "ansi_bright_black",
    "chart-train": "ansi_cyan",
    "chart-eval": "ansi_yellow",
    "chart-cursor": "ansi_white",
    "chart-mark": "ansi_yellow",
    "chart-run1": "ansi_cyan",
    "chart-run2": "ansi_yellow",
    "chart-run3": "ansi_magenta",
    "chart-run4": "ansi_green",
    "diff-added": "ansi_green",
    "diff-removed": "ansi_red",
    "status-running": "ansi_cyan",
    "status-queued": "ansi_white",
    "status-completed": "ansi_green",
    "status-failed": "ansi_red",
    "status-cancelled": "ansi_yellow",
}
"""Variables of ours that a theme may set, and what they are where it does not."""


@dataclass(slots=True)
class ThemeSet:
    """Themes by name, and what was wrong with files that could not be used."""

    themes: dict[str, Theme] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def load_themes() -> ThemeSet:
    """Ours, then those in ``themes`` of the user's settings folder, which may replace ours."""
    found = ThemeSet()
    for path in (*_files(_our_folder()), *_files(config_dir(create=False) / "themes")):
        try:
            theme = read_theme(path)
        except ValueError as error:
            found.problems.append(f"Theme {path}: {error}")
        else:
            found.themes[theme.name] = theme
    return found


def _our_folder() -> Path:
    """In the package of an installed copy, at the top of a source tree."""
    inside = Path(__file__).parent / "themes_data"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "themes"


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder.glob("*.toml"))
    except OSError:
        return


def read_theme(path: Path) -> Theme:
    """A theme from a TOML file.

    Raises:
        ValueError: it cannot be read, is no TOML, or has a key or colour that is none; with the
            line where that is known.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(plain(error, limit=200, newlines=False)) from error
    variables = raw.pop("variables", {})
    name, dark = raw.pop("name", path.stem), raw.pop("dark", True)
    if not isinstance(name, str) or not isinstance(dark, bool) or not isinstance(variables, dict):
        raise ValueError(  # noqa: TRY004 what the file says is wrong, not its type in Python
            "name must be a text, dark true or false, variables a table"
        )
    unknown = sorted(set(raw) - _COLOURS)
    if unknown:
        raise ValueError(f"{_line(text, unknown[0])}unknown key {unknown[0]!r}")
    if "primary" not in raw:
        raise ValueError("there is no primary colour")
    for key, value in (*raw.items(), *variables.items()):
        _check_colour(text, key, value)
    ansi = any(str(value).startswith("ansi_") for value in raw.values())
    extra: dict[str, str] = {**_ANSI_EXTRAS, **variables} if ansi else dict(variables)
    return Theme(name=name, dark=dark, ansi=ansi, variables=extra, **raw)


_ANSI_EXTRAS = {
    "ansi-background": "ansi_black",
    "ansi-foreground": "ansi_white",
    "border-blurred": "ansi_black",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_white",
    "input-cursor-background": "ansi_white",
    "input-cursor-foreground": "ansi_black",
    "input-selection-background": "ansi_bright_blue",
    "input-selection-foreground": "ansi_black",
    "screen-selection-background": "ansi_bright_blue",
    "screen-selection-foreground": "ansi_black",
}


def _check_colour(text: str, key: str, value: Any) -> None:
    try:
        Color.parse(value if isinstance(value, str) else "")
    except ColorParseError as error:
        shown = plain(repr(value), limit=60, newlines=False)
        raise ValueError(f"{_line(text, key)}{key} is no colour: {shown}") from error


def _line(text: str, key: str) -> str:
    for count, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return f"line {count}: "
    return ""
