from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arkor_tui.config.settings import (
    Settings,
    SettingsError,
    StreamSettings,
    read_settings,
    settings_path,
    use_settings,
)


def put(content: str | bytes) -> Path:
    path = settings_path()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_no_file_is_all_defaults(home: Path) -> None:
    assert read_settings() == Settings()
    assert settings_path() == home / "config" / "settings.toml"


def test_a_file_that_was_named_must_exist(home: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        read_settings(home / "other.toml")


def test_a_file_for_one_sitting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put('backend = "cloud"\n')
    monkeypatch.setenv("ARKOR_TUI_SETTINGS", "")  # so that it is as before after this test
    monkeypatch.chdir(home)
    other = home / "other.toml"
    use_settings(Path("other.toml"))
    with pytest.raises(SettingsError, match="no such file"):
        read_settings()
    other.write_text('backend = "local"\n')
    monkeypatch.chdir(home.parent)
    assert (read_settings().backend, settings_path()) == ("local", other)
    child = "from arkor_tui.config.settings import *; print(read_settings().backend)"
    told = subprocess.run([sys.executable, "-c", child], capture_output=True, check=True)
    assert told.stdout == b"local\n"


def test_every_key() -> None:
    put(
        'backend = "local"\n[stream]\nidle_timeout = 45\nbase_delay = 0.5\nmax_delay = 30\n'
        "max_attempts = 5\n"
    )
    assert read_settings() == Settings("local", StreamSettings(45.0, 0.5, 30.0, 5))


@pytest.mark.parametrize("backend", ["local", "cloud", "http://127.0.0.1:8000", "https://a.b/c"])
def test_backends(backend: str) -> None:
    put(f'backend = "{backend}"')
    assert read_settings().backend == backend


@pytest.mark.parametrize(
    ("content", "line", "text", "hint"),
    [
        ('# mine\n\nbakend = "local"', 3, "unknown key 'bakend'", "Did you mean backend?"),
        ("[streams]\nidle_timeout = 1", 1, "unknown key 'streams'", "Did you mean stream?"),
        ("[stream]\n\nidle_timout = 1", 3, "'stream.idle_timout'", "Did you mean idle_timeout?"),
        ("[stream]\nbackend = 1", 2, "unknown key 'stream.backend'", "Known here"),
        ("backend = 3", 1, "backend must be", ""),
        ('backend = "ftp://x"', 1, "backend must be", ""),
        ('backend = "http://["', 1, "backend must be", ""),
        ("stream = 3", 1, "stream must be a table", ""),
        ('[stream]\nidle_timeout = "soon"', 2, "must be a number of seconds", ""),
        ("[stream]\nbase_delay = true", 2, "must be a number of seconds", ""),
        ("[stream]\nmax_delay = inf", 2, "between 0 and 86400", ""),
        ("[stream]\nmax_delay = -1", 2, "between 0 and 86400", ""),
        ("[stream]\nmax_attempts = 1.5", 2, "must be a whole number", ""),
        ("[stream]\nmax_attempts = -1", 2, "must be 0 or more", ""),
        ("stream.max_attempts = -1", 1, "must be 0 or more", ""),
        ("stream = { max_attempts = -1 }", 1, "must be 0 or more", ""),
        ("a = 1\nb =\n", 2, "is not TOML", ""),
        ("a = [1,\n2", 2, "is not TOML", ""),
        (b"a = 1\nb = '\xff'", 2, "is not UTF-8", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(
    content: str | bytes, line: int, text: str, hint: str
) -> None:
    path = put(content)
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert caught.value.line == line
    assert text in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_unreadable_is_told() -> None:
    settings_path().mkdir(parents=True)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings()


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.binary(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "[stream]",
                "[[stream]]",
                "backend",
                "=",
                '"local"',
                "idle_timeout",
                "1",
                ".",
                "\n",
                "{",
                "}",
            ]
        )
    ).map(lambda parts: "".join(parts).encode())
)
def test_any_bytes_are_settings_or_a_clear_error(content: bytes) -> None:
    put(content)
    with contextlib.suppress(SettingsError):
        read_settings()
