"""An archive of one's own, and jobs and events to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from arkor_tui.archive.store import Archive
from tests.support.archive_material import IDENTITY, job


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the archive lies."""
    return tmp_path / "history.db"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    """An empty archive."""
    with Archive.open(path) as archive:
        yield archive


@pytest.fixture
def key(archive: Archive) -> int:
    """A run that has been submitted."""
    return archive.register(IDENTITY, job())
