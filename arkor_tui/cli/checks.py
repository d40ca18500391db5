"""What ``arkor-tui doctor`` looks at. Each check says what to do, and shows no secret."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

from . import connection_checks as connections
from .check import Check, Status

if TYPE_CHECKING:
    pass

ENGINE_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "llguidance",
    "gguf",
    "jinja2",
    "numpy",
    "starlette",
    "uvicorn",
)
_SMALLEST_TERMINAL = (80, 24)  # columns, lines
_DISK_LOW = 2 * 1024**3  # bytes: an engine download or some checkpoints
_DISK_FULL = 200 * 1024**2  # bytes: too little for one run of a small model


def all_checks() -> Iterator[Check]:
    """Every check in turn. A check that breaks is itself a finding."""
    for name, check in _CHECKS:
        try:
            yield from check()
        except ArkorTuiError as error:
            yield Check(name, "fail", str(error), error.hint)
        except Exception as error:  # a doctor that stops halfway helps nobody
            yield Check(
                name,
                "fail",
                f"this check broke: {type(error).__name__}: {plain(error, limit=200)}",
                "`arkor-tui --debug doctor` shows where; please report it.",
            )


# --- terminal -------------------------------------------------------------------------------------


def check_terminal() -> Iterable[Check]:
    """Size, colours, encoding, and what sits between."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()):
        yield Check(
            "terminal",
            "warn",
            "not a terminal",
            "The app needs one; the other commands do not. Over SSH, `ssh -t` gives one.",
        )
    else:
        yield _size()
    yield _colours()
    yield _encoding()
    yield _session()


def _size() -> Check:
    columns, lines = shutil.get_terminal_size()
    wanted = "x".join(map(str, _SMALLEST_TERMINAL))
    fits = columns >= _SMALLEST_TERMINAL[0] and lines >= _SMALLEST_TERMINAL[1]
    return Check(
        "terminal",
        "ok" if fits else "warn",
        f"{columns}x{lines}",
        None if fits else f"Make it at least {wanted}, or the font smaller.",
    )


def _colours() -> Check:
    term = os.environ.get("TERM", "")
    if os.environ.get("NO_COLOR"):
        return Check("terminal.colours", "ok", "off (NO_COLOR is set)")
    if os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        return Check("terminal.colours", "ok", "16 million")
    if "256color" in term or "direct" in term:
        return Check(
            "terminal.colours",
            "ok",
            "256",
            "For finer shades, set COLORTERM=truecolor if your terminal can show them.",
        )
    shown = plain(term, limit=50, newlines=False) or "not set"
    return Check(
        "terminal.colours",
        "warn",
        f"few or none (TERM is {shown})",
        "Set TERM to what your terminal is, for instance xterm-256color.",
    )


def _encoding() -> Check:
    """Whether charts can be drawn with dots, by what the app looks at."""
    from arkor_tui.config.settings import read_settings
    from arkor_tui.terminal import Capabilities, locale_variable

    name = "terminal.encoding"
    encoding = (sys.stdout.encoding or "unknown").lower()
    if encoding.replace("-", "").replace("_", "") != "utf8":
        hint = "Charts need UTF-8: set LANG=C.UTF-8 (or your language's UTF-8 locale)."
        return Check(name, "warn", encoding, hint)
    wish = None
    with suppress(ArkorTuiError):  # a wrong settings file is a finding of its own
        wish = read_settings().app.symbols
    if wish is not None:
        return Check(name, "ok", f"UTF-8; charts are drawn with {wish} (settings)")
    if Capabilities.detect(os.environ).braille:
        return Check(name, "ok", "UTF-8")
    by_hand = 'or write `symbols = "braille"` under [app] in the settings file to have dots anyway.'
    if Capabilities.detect({**os.environ, "TERM": ""}).braille:
        why = f"TERM is {plain(os.environ['TERM'], limit=50, newlines=False)}"
        hint = f"Use the terminal of a desktop, {by_hand}"
    else:
        decides = locale_variable(os.environ)
        assert decides is not None  # without one there would be dots
        why = f"{decides} is {plain(os.environ[decides], limit=50, newlines=False)}"
        hint = f"Set {decides} to a UTF-8 locale such as C.UTF-8, {by_hand}"
    return Check(name, "warn", f"charts are drawn with ASCII, as {why}", hint)


def _session() -> Check:
    inside = [
        name
        for name, variable in (("tmux", "TMUX"), ("screen", "STY"), ("SSH", "SSH_CONNECTION"))
        if os.environ.get(variable)
    ]
    if inside == ["SSH"]:
        return Check(
            "terminal.session",
            "ok",
            "over SSH",
            "A lost connection stops no training; in tmux the app itself survives too.",
        )
    return Check("terminal.session", "ok", ", ".join(inside) or "local")


# --- folders and disk -----------------------------------------------------------------------------


def check_folders() -> Iterable[Check]:
    """Whether our folders, and this one, can be written to, and who else can look in."""
    from arkor_tui.config.folders import config_dir, data_dir

    yield _own_folder("folder.data", data_dir(create=False), "ARKOR_TUI_DATA_DIR")
    yield _own_folder("folder.config", config_dir(create=False), "ARKOR_TUI_CONFIG_DIR")
    here = Path.cwd()
    writable = os.access(here, os.W_OK | os.X_OK)
    yield Check(
        "folder.project",
        "ok" if writable else "warn",
        str(here) if writable else f"{here} cannot be written to",
        None if writable else "Go to a folder of your own before you start a run.",
    )


def _own_folder(name: str, folder: Path, variable: str) -> Check:
    existing = _nearest_existing(folder)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            name,
            "fail",
            f"{folder} cannot be written to",
            f"Check who owns {existing}, or set {variable} to a folder of yours.",
        )
    if existing != folder:
        return Check(name, "ok", f"{folder} (made when it is needed)")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return Check(
            name,
            "warn",
            f"{folder} is open to other users (mode {mode:04o})",
            f"Run `chmod 700 {folder}`.",
        )
    return Check(name, "ok", str(folder))


def check_disk() -> Iterable[Check]:
    """Space where runs, checkpoints and the archive go."""
    from arkor_tui.config.folders import data_dir

    folder = _nearest_existing(data_dir(create=False))
    free = shutil.disk_usage(folder).free
    status: Status = "fail" if free < _DISK_FULL else "warn" if free < _DISK_LOW else "ok"
    yield Check(
        "disk",
        status,
        f"{free / 1024**3:.1f} GiB free for {folder}",
        None if status == "ok" else "Free some space, or set ARKOR_TUI_DATA_DIR to another disk.",
    )


def check_archive() -> Iterable[Check]:
    """Whether every page of the archive can be read. Changes nothing."""
    from arkor_tui.archive.schema import archive_path, examine

    path = archive_path(create=False)
    if not path.exists():
        yield Check("archive", "ok", "none yet (made with the first run)")
        return
    examine(path)
    yield Check("archive", "ok", f"{path}, {path.stat().st_size / 1024**2:,.1f} MiB")


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_settings() -> Iterable[Check]:
    """Whether the settings file can be used."""
    from arkor_tui.config.settings import read_settings, settings_path

    path = settings_path()
    read_settings()
    yield Check("settings", "ok", str(path) if path.exists() else "none, all defaults")


def check_callbacks() -> Iterable[Check]:
    """Whether the callbacks of every live run are run by somebody."""
    from arkor_tui.archive.records import LIVE_STATUSES, RunQuery
    from arkor_tui.archive.store import Archive
    from arkor_tui.config.folders import data_dir

    from .recipehost import describe_host, has_lost_its_host, live_host

    if not (data_dir(create=False) / "history.db").is_file():
        return
    with Archive.open() as archive:
        runs = archive.runs(RunQuery(statuses=LIVE_STATUSES), limit=50)
    watched = [run for run in runs if run.recipes and live_host(run) is not None]
    for run in runs:
        if has_lost_its_host(run, live_host(run)):
            name = plain(run.name, limit=60, newlines=False)
            what, _, fix = describe_host(run).partition(": ")
            yield Check("runs.callbacks", "warn", f"{name}: {what}", f"{fix}.")
    if watched:
        many = "run has" if len(watched) == 1 else "runs have"
        yield Check("runs.callbacks", "ok", f"{len(watched)} live {many} a process for callbacks")


def check_engine() -> Iterable[Check]:
    """Whether training on this machine is installed, without importing any of it."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for package in ENGINE_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    missing = [package for package in ENGINE_PACKAGES if package not in found]
    if missing:
        yield Check(
            "engine",
            "warn",
            f"training on this machine is not installed (missing: {', '.join(missing)})",
            "Run `pip install 'arkor-tui[local]'`, or use `--backend cloud`.",
        )
        return
    named = ("torch", "transformers", "peft")
    yield Check("engine", "ok", ", ".join(f"{each} {found[each]}" for each in named))


_CHECKS: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
    ("terminal", check_terminal),
    ("folders", check_folders),
    ("disk", check_disk),
    ("archive", check_archive),
    ("settings", check_settings),
    ("cloud", connections.check_cloud),
    ("network.proxy", connections.check_proxies),
    ("network.certificates", connections.check_certificates),
    ("backend.local", connections.check_local_backend),
    ("runs.callbacks", check_callbacks),
    ("engine", check_engine),
)
