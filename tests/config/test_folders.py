from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_tui.config import folders
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.errors import UsageError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_variables_win_and_folders_are_owner_only(home: Path) -> None:
    assert folders.data_dir() == home / "data"
    assert folders.config_dir() == home / "config"
    assert folders.local_backend_dir() == home / "data" / "local"
    for folder in (home / "data", home / "config", home / "data" / "local"):
        assert mode_of(folder) == 0o700


def test_without_variables_the_platform_decides(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARKOR_TUI_DATA_DIR")
    monkeypatch.setenv("ARKOR_TUI_CONFIG_DIR", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "xdg"))
    assert folders.data_dir().name == "arkor-tui"
    assert home in folders.data_dir().parents
    assert home in folders.config_dir().parents
    assert mode_of(folders.data_dir()) == 0o700


def test_looking_creates_nothing(home: Path) -> None:
    folders.data_dir(create=False)
    folders.config_dir(create=False)
    folders.local_backend_dir(create=False)
    assert os.listdir(home) == ["demo-project"]


def test_a_relative_variable_counts_from_here(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", "here")
    assert folders.data_dir() == project / "here"


def test_a_folder_that_cannot_be_made_is_told(home: Path) -> None:
    (home / "data").write_text("a file")
    with pytest.raises(WriteFailedError, match="Cannot write") as caught:
        folders.data_dir()
    assert caught.value.hint


def test_no_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", fail)
    with pytest.raises(UsageError):
        folders.home_folder()


def test_the_workspace_imports_nothing_heavy() -> None:
    """Commands start fast: no platformdirs, httpx or pydantic before they are needed."""
    program = (
        "import sys; import arkor_tui.config.credentials, arkor_tui.config.state, "
        "arkor_tui.config.local_backend, arkor_tui.config.settings; "
        "print(sorted({'platformdirs', 'httpx', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(folders.__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
