from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.training.scripted import Server, running_server

# The same examples on every machine, however busy it is.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server on a free loopback port."""
    async with running_server() as running:
        yield running
