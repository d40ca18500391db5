from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.scripted import Server, running_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server that cancels what it is told to."""
    async with running_server() as running:
        running.obeys = True
        yield running
