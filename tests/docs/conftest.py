"""Where the code of a page runs: an own home, the files that pages speak of, and no way out."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ROW = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
TRAINER = """\
from arkor_tui import FileDataset, create_arkor, create_trainer

arkor = create_arkor(
    trainer=create_trainer(name="t", model="arkor-tui/tiny", dataset=FileDataset("data.jsonl"))
)
"""


@pytest.fixture
def folder(project: Path) -> Path:
    """The current folder, with what the pages speak of in it."""
    (project / "data").mkdir()
    for name in ("data.jsonl", "data/train.jsonl"):
        (project / name).write_text(ROW * 4)
    (project / "trainer.py").write_text(TRAINER)
    (project / "prompts.toml").write_text('[[prompt]]\ntext = "hi"\n')
    return project


@pytest.fixture
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a connection nor a process; a try is a failure, even where the code swallows it."""
    tries: list[str] = []

    def refuse(what: str) -> NoReturn:
        tries.append(what)
        raise OSError(f"no way out of here: {what}")

    monkeypatch.setattr(socket.socket, "connect", lambda _, to: refuse(f"connect to {to}"))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _, to: refuse(f"connect to {to}"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: refuse(f"look up {host}"))
    monkeypatch.setattr(
        subprocess.Popen, "__init__", lambda _, args, *__, **___: refuse(f"run {args}")
    )
    monkeypatch.setattr(subprocess.Popen, "__del__", lambda _: None)
    yield
    assert tries == []
