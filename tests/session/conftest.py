from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from arkor_tui.archive.async_archive import AsyncArchive
from tests.support.scripted import BEARER


@pytest_asyncio.fixture
async def archive(tmp_path: Path) -> AsyncIterator[AsyncArchive]:
    """An empty archive."""
    opened = await AsyncArchive.open(tmp_path / "history.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way into any server that is named by its URL; for processes of ours too."""
    path = home / "token"
    path.touch(0o600)
    path.write_text(BEARER)
    monkeypatch.setenv("ARKOR_TUI_TOKEN_FILE", str(path))
