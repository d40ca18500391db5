from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.oauth_issuer import Issuer, running_issuer
from tests.support.scripted_cloud import Cloud, running_cloud


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A running cloud that the environment points at."""
    with running_cloud() as running:
        monkeypatch.setenv("ARKOR_CLOUD_API_URL", f"{running.url}/")
        yield running


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running sign-in service."""
    with running_issuer() as running:
        yield running
