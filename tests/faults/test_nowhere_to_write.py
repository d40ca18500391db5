"""A home that cannot be written to: each command says what is wrong and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_app import Screen

_OWN = ("ARKOR_TUI_DATA_DIR", "ARKOR_TUI_CONFIG_DIR")


@pytest.fixture(params=["below a file", "read-only"])
def unwritable(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that nothing can be made in."""
    if request.param == "below a file":  # not even the superuser can make a folder there
        (home / "file").write_text("no folder")
        place = home / "file" / "home"
    else:
        place = home / "sealed"
        place.mkdir(mode=0o500)
        if os.access(place, os.W_OK):
            pytest.skip("modes mean nothing to the superuser")
    for name in _OWN:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(place))
    return place


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
def test_commands(unwritable: Path, project: Path, words: str, code: int) -> None:
    (project / "trainer.py").write_text(
        "from arkor_tui import HuggingFaceDataset, create_trainer\n"
        "trainer = create_trainer(name='x', model='arkor-tui/tiny',"
        " dataset=HuggingFaceDataset(name='a/b'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "arkor_tui", *words.format(home=unwritable).split()],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert str(unwritable) in said
    assert "Traceback" not in said
    assert "fault of arkor-tui" not in said
    hints = ("Check ", "Choose a folder", "Run `chmod", "Repair its permissions")
    assert any(hint in said for hint in hints), said


def test_the_app(unwritable: Path) -> None:
    screen = Screen()
    try:
        assert screen.end() == 1 or "settings.toml" in "".join(screen.text.split())
        shown = " ".join(screen.text.split())
        assert "error: " in shown
        assert "Check " in shown
        assert "Traceback" not in shown
        assert str(unwritable)[:40] in shown.replace(" ", "")
    finally:
        screen.close()
