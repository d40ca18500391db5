"""The option that rewrites snapshots; no test of a screen starts a backend."""

from __future__ import annotations

import pytest

from arkor_tui.connect.embedded import EmbeddedBackendError


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="rewrite tests/tui/snapshots")


@pytest.fixture(autouse=True)
def no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a run that is not whole connects to its backend: there is none here."""

    async def refuse(*_: object) -> None:
        raise EmbeddedBackendError("No backend in tests of screens.")

    monkeypatch.setattr("arkor_tui.connect.embedded._start", refuse)
