"""Finding the embedded backend, or starting it as a process that outlives this one."""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import secrets
from collections.abc import Callable
from pathlib import Path

import httpx

from arkor_tui.api.client import tls_for
from arkor_tui.config.folders import local_backend_dir
from arkor_tui.config.local_backend import (
    CHALLENGE_HEADER,
    PROOF_HEADER,
    LocalBackendInfo,
    proof_of,
    read_local_backend,
)
from arkor_tui.errors import ArkorTuiError

from .detached import Detached, start_detached

EMBEDDED_HEADER = "X-Arkor-Tui-Backend"
"""Every answer of the embedded backend carries it, refusals too."""

ENGINE_MODULES = ("torch", "transformers", "peft", "starlette", "uvicorn")
_START_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05


class EmbeddedBackendError(ArkorTuiError):
    """The embedded backend could not be started or reached."""


def missing_engine_modules() -> list[str]:
    """Which parts of the extra ``local`` are not installed, without importing any."""
    return [name for name in ENGINE_MODULES if importlib.util.find_spec(name) is None]


async def ensure_embedded_backend(
    *, report: Callable[[str], None] = lambda _: None, may_start: bool = True
) -> LocalBackendInfo:
    """The running embedded backend of this user's data folder, started if need be.

    It is started detached, so that it outlives this process and its terminal. Two callers at once
    end up with the same one.

    Raises:
        EmbeddedBackendError: it is not installed, did not start, or may not be started.
        LocalBackendError: what it left on disk cannot be trusted.
    """
    info = read_local_backend()
    if info is not None and await is_ours(info):
        return info
    if not may_start:
        raise EmbeddedBackendError(
            "The embedded backend is not running.",
            hint="`arkor-tui serve` runs it; `arkor-tui start --backend local` starts it.",
        )
    missing = missing_engine_modules()
    if missing:
        raise EmbeddedBackendError(
            f"The embedded backend is not installed ({', '.join(missing)} missing).",
            hint="Install the extra: pip install 'arkor-tui[local]'",
        )
    report("Starting the embedded backend …")
    folder = local_backend_dir()
    info = await _start(folder)
    report(f"The embedded backend runs at {info.url} (pid {info.pid}).")
    return info


async def _start(folder: Path) -> LocalBackendInfo:
    log_path = folder / "serve.log"
    started = await start_detached(
        ("serve", "--json"), log=log_path, cwd=Path("/"), seconds=_START_SECONDS
    )
    if started.told("serving"):
        info = read_local_backend()
        if info is not None:
            return info
    try:
        async with asyncio.timeout(_START_SECONDS):
            # perhaps it ended because somebody else's start was faster
            if started.has_ended:
                return await _of_another_start(started)
    except TimeoutError:
        pass
    raise EmbeddedBackendError(
        f"The embedded backend did not start within {_START_SECONDS:g} seconds.",
        hint=f"Its log is {log_path}; `arkor-tui serve` runs it in the foreground.",
    )


async def _of_another_start(started: Detached) -> LocalBackendInfo:
    said = await asyncio.to_thread(started.said)
    if "already" in said:
        while True:  # the caller's time-out ends this
            info = read_local_backend()
            if info is not None and await is_ours(info):
                return info
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise EmbeddedBackendError(
        "The embedded backend did not start: " + (said or "it said nothing."),
        hint=f"Its log is {started.log}; `arkor-tui serve` runs it in the foreground.",
    )


async def is_ours(info: LocalBackendInfo) -> bool:
    """Whether what answers there has the token that we would send to it. Sends none.

    Raises:
        LocalBackendError: the token cannot be read.
    """
    token, challenge = info.read_token(), secrets.token_urlsafe(24)
    try:
        headers = await _greeting(info.url, {CHALLENGE_HEADER: challenge})
    except httpx.HTTPError:
        return False
    proof = headers.get(PROOF_HEADER, "").encode()
    port = httpx.URL(info.url).port or 80
    return hmac.compare_digest(proof, proof_of(token, challenge, port).encode())


async def has_embedded_header(url: str) -> bool:
    """Whether what answers at ``url`` is an embedded backend, whosoever. Sends no token.

    Raises:
        httpx.HTTPError: nothing answers.
    """
    return EMBEDDED_HEADER in await _greeting(url, {})


async def _greeting(url: str, headers: dict[str, str]) -> httpx.Headers:
    async with httpx.AsyncClient(timeout=3.0, trust_env=False, verify=tls_for(url)) as client:
        try:
            return (await client.get(url + "/", headers=headers)).headers
        except httpx.InvalidURL:  # of a redirect, which a backend never answers with
            return httpx.Headers()
