"""Themes: files of colours, ours and the user's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from arkor_tui.config.atomic import reason_of
from arkor_tui.config.folders import config_dir
from arkor_tui.config.reading import NotTomlError, read_toml
from arkor_tui.text.sanitize import plain

DEFAULT_THEME = "arkor-dark"
_MOST_BYTES = 256 * 1024
_COLOURS = frozenset(
    {"primary", "secondary", "accent", "warning", "error", "success", "foreground", "background",
     "surface", "panel", "boost"}
)  # fmt: skip
_NAME = re.compile(r"\w[\w .-]{0,39}")
_VARIABLE = re.compile(r"[a-z][a-z0-9-]*")
_TEXT_STYLES = frozenset(
    {"none", "not", "bold", "dim", "italic", "underline", "underline2", "overline", "reverse",
     "strike"}
)  # fmt: skip
DEFAULTS: dict[str, str] = {
    "muted": "ansi_white",
    "cursor-row": "ansi_bright_black",
    "chart-train": "ansi_cyan",
    "chart-eval": "ansi_yellow",
    "chart-smooth": "ansi_bright_cyan",
    "chart-axis": "ansi_white",
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
    """Ours, then those in ``themes`` of the user's settings folder, which may replace ours.

    A file that cannot be used is a problem with its line, and the others are there all the same.
    """
    found = ThemeSet()
    for path in (*_files(_our_folder()), *_files(config_dir(create=False) / "themes")):
        try:
            theme = read_theme(path)
        except ValueError as error:
            found.problems.append(f"Theme {plain(path, newlines=False)}, {error}")
        else:
            found.themes[theme.name] = theme
    return found


def _our_folder() -> Path:
    """In the package of an installed copy, at the top of a source tree."""
    inside = Path(__file__).parent / "themes_data"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "themes"


def _files(folder: Path) -> Iterator[Path]:
    try:
        # is_file: opening a pipe that somebody named so would wait for ever
        yield from sorted(path for path in folder.glob("*.toml") if path.is_file())
    except OSError:
        return


def read_theme(path: Path) -> Theme:
    """A theme from a TOML file.

    Raises:
        ValueError: it cannot be read, is no TOML, or has a key or value that is none; the text
            begins with the line, ``line 3: …``, where there is one to blame.
    """
    text, raw = _read(path)
    variables = raw.pop("variables", {})
    name, dark = raw.pop("name", path.stem), raw.pop("dark", True)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(text, "", "name", "name must be a word or a few, without odd signs")
    if not isinstance(dark, bool):
        raise _wrong(text, "", "dark", "dark must be true or false")
    if not isinstance(variables, dict):
        raise _wrong(text, "", "variables", "variables must be a table")
    for key in raw:
        if key not in _COLOURS:
            raise _unknown(text, "", key, ("name", "dark", "variables", *sorted(_COLOURS)))
    for key in variables:
        if not _VARIABLE.fullmatch(key) or (
            key not in DEFAULTS and key not in _textual_variables()
        ):
            raise _unknown(text, "variables", key, (*DEFAULTS, *_textual_variables()))
    if "primary" not in raw:
        raise ValueError("line 1: there is no primary colour")
    for table, values in (("", raw), ("variables", variables)):
        for key, value in values.items():
            if not _is_value(key, value):
                shown = plain(repr(value), limit=60, newlines=False)
                raise _wrong(text, table, key, f"{key} is no colour: {shown}")
    ansi = any(value.startswith("ansi_") for value in raw.values())
    extra: dict[str, str] = {**_ANSI_EXTRAS, **variables} if ansi else dict(variables)
    return Theme(name=name, dark=dark, ansi=ansi, variables=extra, **raw)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        return read_toml(path, _MOST_BYTES)
    except OSError as error:
        raise ValueError(f"cannot be read: {reason_of(error)}") from error
    except NotTomlError as error:
        raise ValueError(f"line {error.line}: {error}") from error


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


@cache
def _textual_variables() -> frozenset[str]:
    """Every variable that Textual's own styles have; asked for only where ours do not suffice."""
    colours = Theme("any", primary="#ffffff").to_color_system().generate()
    return frozenset(
        {*colours, *_ANSI_EXTRAS, "button-color-foreground", "button-focus-text-style"}
    )


def _is_value(key: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if key.endswith(("-style", "-style-hover")):
        return all(word in _TEXT_STYLES for word in value.split())
    try:
        Color.parse(value)
    except ColorParseError:
        return False
    return True


def _wrong(text: str, table: str, key: str, what: str) -> ValueError:
    current, line = "", 1
    for number, row in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", row):
            current = header[1]
        elif current == table and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", row):
            line = number
            break
    return ValueError(f"line {line}: {what}")


def _unknown(text: str, table: str, key: str, known: Iterable[str]) -> ValueError:
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    shown = plain(repr(key), limit=60, newlines=False)
    return _wrong(text, table, key, f"unknown key {shown}{hint}")
