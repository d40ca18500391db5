"""A home that cannot be written to: each command says what is wrong and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.test_app import Screen
from tests.support.mounts import SmallDisk

_OWN = ("ARKOR_TUI_DATA_DIR", "ARKOR_TUI_CONFIG_DIR")


@dataclass(frozen=True)
class Place:
    """A home folder that nothing can be made in, and how a command comes to see it."""

    folder: Path
    command: Callable[..., Sequence[str]]


def as_it_is(*words: str) -> Sequence[str]:
    return words


@pytest.fixture(params=["below a file", "mode", "read-only"])
def unwritable(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Each kind of place that cannot be written to."""
    for name in _OWN:
        monkeypatch.delenv(name)
    folder = home / "sealed"
    if request.param == "below a file":  # not even the superuser can make a folder there
        (home / "file").write_text("no folder")
        folder = home / "file" / "home"
    else:
        folder.mkdir(mode=0o500)
        if request.param == "mode" and os.access(folder, os.W_OK):
            pytest.skip("modes mean nothing to the superuser")
    monkeypatch.setenv("HOME", str(folder))
    if request.param == "read-only":
        with SmallDisk(folder, "1m", read_only=True) as disk:
            yield Place(folder, disk.command)
    else:
        yield Place(folder, as_it_is)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("runs", 1),
        ("runs --json", 1),
        ("start --backend local", 1),
        ("start --backend local --detach", 1),
        ("serve", 1),
        ("doctor", 1),
        ("init {home}/new", 1),
        ("replay anything", 1),
    ],
)
def test_commands(unwritable: Place, project: Path, words: str, code: int) -> None:
    (project / "trainer.py").write_text(
        "from arkor_tui import HuggingFaceDataset, create_trainer\n"
        "trainer = create_trainer(name='x', model='arkor-tui/tiny',"
        " dataset=HuggingFaceDataset(name='a/b'))\n"
    )
    done = subprocess.run(
        unwritable.command(
            sys.executable, "-m", "arkor_tui", *words.format(home=unwritable.folder).split()
        ),
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert str(unwritable.folder) in said
    assert "Traceback" not in said
    assert "fault of arkor-tui" not in said
    hints = ("Check ", "Choose a folder", "Run `chmod", "Repair its permissions")
    assert any(hint in said for hint in hints), said


def test_the_app(unwritable: Place) -> None:
    screen = Screen(command=unwritable.command)
    try:
        assert screen.end() == 1 or "settings.toml" in "".join(screen.text.split())
        shown = " ".join(screen.text.split())
        assert "error: " in shown
        assert "Check " in shown
        assert "Traceback" not in shown
        assert str(unwritable.folder)[:40] in shown.replace(" ", "")
    finally:
        screen.close()
