"""The user's ``settings.toml``: few keys, and a mistake in it is named with its line."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .atomic import reason_of
from .folders import config_dir
from .reading import NotTomlError, read_toml

_MOST_BYTES = 256 * 1024


class SettingsError(UsageError):
    """The settings file cannot be used; ``line`` counts from 1, None where no line is to blame."""

    def __init__(self, path: Path, message: str, *, line: int | None = None, hint: str) -> None:
        where = f"{path}, line {line}" if line is not None else str(path)
        super().__init__(f"{where}: {message}", hint=hint)
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How to follow an event stream; None leaves the client's default.

    ``idle_timeout``, ``base_delay`` and ``max_delay`` are seconds; ``idle_timeout`` 0 turns the
    watchdog off. ``max_attempts`` is the number of consecutive failures that are put up with.
    """

    idle_timeout: float | None = None
    base_delay: float | None = None
    max_delay: float | None = None
    max_attempts: int | None = None


@dataclass(frozen=True, slots=True)
class AppSettings:
    """How the app looks and what it may do to the terminal.

    ``redraws_per_second`` caps how often a chart is drawn anew by itself; None is 4, or 1 over SSH.
    ``symbols`` are those that charts are drawn with; None looks at the locale. ``bell`` and
    ``osc9`` (a desktop notice) announce the end of a run; ``title`` sets the window's title.
    """

    theme: str | None = None
    redraws_per_second: float | None = None
    symbols: str | None = None
    mouse: bool = True
    bell: bool = False
    osc9: bool = False
    title: bool = True


class KeyTable(dict[str, str]):
    """Keys of actions by action id, and where each stands: ids are checked later, by the app."""

    def __init__(
        self,
        keys: Mapping[str, str] | None = None,
        *,
        path: Path | None = None,
        lines: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(keys or {})
        self._path, self._lines = path, lines or {}

    def place(self, action: str) -> str:
        """What a complaint about this entry begins with: the file and the line, or ``keys``."""
        if self._path is None:
            return "keys"
        line = self._lines.get(action)
        return f"{self._path}, line {line}" if line is not None else str(self._path)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Addresses of services that are told about runs; secrets, so they show themselves nowhere.

    ``is_private`` is whether nobody else can read the file that they come from.
    """

    slack: str | None = field(default=None, repr=False)
    discord: str | None = field(default=None, repr=False)
    webhook: str | None = field(default=None, repr=False)
    apprise: str | None = field(default=None, repr=False)
    is_private: bool = True

    def address(self, service: str) -> str | None:
        """The address of a service by its name here; None where unset or unknown."""
        known = ("slack", "discord", "webhook", "apprise")
        return getattr(self, service) if service in known else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file says. ``backend`` is ``local``, ``cloud`` or a URL; None where unset.

    ``keys`` replaces the keys of actions: names as Textual writes them, apart by commas.
    """

    backend: str | None = None
    stream: StreamSettings = field(default_factory=StreamSettings)
    app: AppSettings = field(default_factory=AppSettings)
    keys: Mapping[str, str] = field(default_factory=KeyTable)
    notify: NotifySettings = field(default_factory=NotifySettings)


_NAMED = "ARKOR_TUI_SETTINGS"
"""The variable that names another file; runs go on in processes that inherit it."""
_MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
_NAMED_KEYS = frozenset(
    {"escape", "enter", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup",
     "pagedown", "up", "down", "left", "right",
     "minus", "plus", "slash", "backslash", "at", "underscore", "hyphen_minus", "newline"}
    | {f"f{number}" for number in range(1, 25)}
)  # fmt: skip


class _UnusableValueError(ValueError):
    """A value is of the wrong type or out of range; the text says what is wanted."""


def settings_path() -> Path:
    """The file; it need not exist, unless ``ARKOR_TUI_SETTINGS`` names it."""
    named = os.environ.get(_NAMED)
    return Path(named) if named else config_dir(create=False) / "settings.toml"


def use_settings(path: Path) -> None:
    """Have this process, and those that it starts from now on, read their settings in ``path``."""
    os.environ[_NAMED] = str(path.absolute())


def read_settings(path: Path | None = None) -> Settings:
    """The settings in ``path``, by default the user's; all defaults where there is no such file.

    Raises:
        SettingsError: unreadable, not TOML, an unknown key, or an unusable value.
    """
    file = settings_path() if path is None else path
    try:
        text, raw = read_toml(file, _MOST_BYTES)
    except FileNotFoundError:
        if path is not None or os.environ.get(_NAMED):
            raise SettingsError(file, "there is no such file.", hint="Check its name.") from None
        return Settings()
    except OSError as error:
        raise SettingsError(
            file, f"cannot be read: {reason_of(error)}.", hint="Check what it is and who owns it."
        ) from error
    except NotTomlError as error:
        raise SettingsError(
            file,
            f"{error}.",
            line=error.line,
            hint="Correct it; a setting is written as `name = value`, text in double quotes, and "
            "the file is saved as UTF-8.",
        ) from error
    return _settings(_Reader(file, text), raw)


def _settings(reader: _Reader, raw: Mapping[str, Any]) -> Settings:
    top = reader.table(
        "",
        raw,
        {
            "backend": _backend,
            "stream": _a_table,
            "app": _a_table,
            "keys": _a_table,
            "notify": _a_table,
        },
    )
    app = reader.table(
        "app",
        top.pop("app", {}),
        {
            "theme": _text,
            "redraws_per_second": _rate,
            "symbols": _symbols,
            "mouse": _yes_or_no,
            "bell": _yes_or_no,
            "osc9": _yes_or_no,
            "title": _yes_or_no,
        },
    )
    given = top.pop("keys", {})
    keys = KeyTable(
        reader.table("keys", given, dict.fromkeys(given, _keys)),
        path=reader.path,
        lines=reader.lines("keys", given),
    )
    stream = reader.table(
        "stream",
        top.pop("stream", {}),
        {
            "idle_timeout": _seconds,
            "base_delay": _seconds,
            "max_delay": _seconds,
            "max_attempts": _count,
        },
    )
    notify = reader.table(
        "notify",
        top.pop("notify", {}),
        {"slack": _web, "discord": _web, "webhook": _web, "apprise": _address},
    )
    return Settings(
        **top,
        stream=StreamSettings(**stream),
        app=AppSettings(**app),
        keys=keys,
        notify=NotifySettings(**notify, is_private=not notify or _is_private(reader.path)),
    )


def _is_private(path: Path) -> bool:
    try:
        return os.name != "posix" or not path.stat().st_mode & 0o077
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks tables of one file, and finds the line that a complaint is about."""

    path: Path
    text: str

    def table(
        self, name: str, raw: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]]
    ) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in raw.items():
            full = f"{name}.{key}" if name else key
            check = known.get(key)
            if check is None:
                import difflib  # only where something is wrong

                near = difflib.get_close_matches(key, known, n=1)
                hint = f"Did you mean {near[0]}? " if near else ""
                raise SettingsError(
                    self.path,
                    f"unknown key {plain(full, limit=100, newlines=False)!r}.",
                    line=self._line_of(name, key),
                    hint=f"{hint}Known here: {', '.join(known)}.",
                )
            try:
                read[key] = check(value)
            except _UnusableValueError as error:
                raise SettingsError(
                    self.path,
                    f"{full} must be {error}.",
                    line=self._line_of(name, key),
                    hint="Correct it, or delete the line to get the default.",
                ) from error
        return read

    def lines(self, table: str, keys: Iterable[str]) -> dict[str, int]:
        """The lines of those keys of a table that are plainly written."""
        found = ((key, self._line_of(table, key)) for key in keys)
        return {key: line for key, line in found if line is not None}

    def _line_of(self, table: str, key: str) -> int | None:
        """The line that sets ``key`` in ``table``, as plainly written TOML has it; else None."""
        current = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            text = line.strip()
            if header := re.match(r"\[+\s*([^\]]+?)\s*\]+", text):
                current = _unquoted(header[1])
                if not table and current == key:
                    return number
            elif setting := re.match(r"([^=#]+?)\s*=", text):
                here = _unquoted(setting[1])
                full = f"{current}.{here}" if current else here
                if full in (f"{table}.{key}" if table else key, table or None):
                    return number
        return None


def _unquoted(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _a_table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnusableValueError("a table")
    return value


def _backend(value: Any) -> str:
    if value in ("local", "cloud"):
        return str(value)
    if isinstance(value, str):
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(value)
        except ValueError:
            parts = None
        if parts is not None and parts.scheme in ("http", "https") and parts.hostname:
            return value.rstrip("/")
    raise _UnusableValueError('"local", "cloud" or the URL of a server (http:// or https://)')


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _UnusableValueError("a text")
    return value


def _web(value: Any) -> str:
    # a complaint must not hold the value: an address is a secret
    if isinstance(value, str) and re.fullmatch(r"https?://\S+", value.strip()):
        return value.strip()
    raise _UnusableValueError('an address that begins with "https://"')


def _address(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9]*://\S+", value.strip()):
        return value.strip()
    raise _UnusableValueError("an address as Apprise writes them, such as ntfys://…")


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _UnusableValueError("true or false")
    return value


def _symbols(value: Any) -> str | None:
    if value not in ("auto", "braille", "block", "ascii"):
        raise _UnusableValueError('"auto", "braille", "block" or "ascii"')
    return None if value == "auto" else str(value)


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= 20:
        raise _UnusableValueError("a number from 0.1 to 20")
    return float(value)


def _keys(value: Any) -> str:
    keys = [value] if isinstance(value, str) else value
    if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
        raise _UnusableValueError('a key such as "ctrl+g", or a list of keys')
    names = [part.strip() for key in keys for part in key.split(",")]
    wrong = next((name for name in names if not _is_key(name)), None)
    if wrong is not None:
        shown = plain(repr(wrong), limit=40, newlines=False)
        raise _UnusableValueError(f'keys such as "ctrl+g", "f5", "G" or "?", not {shown}')
    return ",".join(names)


def _is_key(name: str) -> bool:
    """Whether there is such a key: a sign, or a name as Textual has it, with what is held down."""
    *held, key = name.split("+") if len(name) > 1 else [name]
    if len(set(held)) != len(held) or not _MODIFIERS.issuperset(held):
        return False
    if len(key) == 1:
        return key.isprintable() and not key.isspace()
    if key in _NAMED_KEYS:
        return True
    import unicodedata  # only for signs that are written out, such as question_mark

    if not re.fullmatch(r"[a-z0-9_]+", key):
        return False
    for spelled in (key.replace("_", " "), key.replace("_", "-")):
        try:
            # a letter is written as itself: "latin_small_letter_a" is what no terminal sends
            return not unicodedata.lookup(spelled).isalnum()
        except KeyError:
            continue
    return False


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnusableValueError("a number of seconds")
    if not (math.isfinite(value) and 0 <= value <= 86_400):
        raise _UnusableValueError("between 0 and 86400 seconds")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _UnusableValueError("a whole number")
    if value < 0:
        raise _UnusableValueError("0 or more")
    return value
