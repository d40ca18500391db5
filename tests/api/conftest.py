from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.training.scripted import Server, running_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server on a free loopback port."""
    async with running_server() as running:
        yield running
