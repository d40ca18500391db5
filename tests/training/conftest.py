from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from arkor_tui.training.embedded import EMBEDDED_HEADER

from .scripted import Answer, Server, running_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server on a free loopback port."""
    async with running_server() as running:
        yield running


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[Server]:
    """A server that says that it is an embedded backend."""
    async with running_server() as running:
        running.answers["GET /"] = Answer(200, {}, {EMBEDDED_HEADER: "0.1.0"})
        running.answers["GET /v1/jobs"] = Answer(200, {"jobs": []}, {EMBEDDED_HEADER: "0.1.0"})
        yield running
