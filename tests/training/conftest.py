from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from arkor_tui.training.embedded import EMBEDDED_HEADER

from .scripted import LOCAL_TOKEN, Answer, Server, running_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server on a free loopback port."""
    async with running_server() as running:
        yield running


@pytest_asyncio.fixture
async def embedded() -> AsyncIterator[Server]:
    """A server that is an embedded backend, and has its token."""
    async with running_server() as running:
        running.token = LOCAL_TOKEN
        running.answers["GET /v1/jobs"] = Answer(200, {"jobs": []}, {EMBEDDED_HEADER: "0.1.0"})
        yield running
