"""Finding the embedded backend, or starting it as a process that outlives this one."""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import importlib.util
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from arkor_tui._version import __version__
from arkor_tui.api.http import open_client
from arkor_tui.config.atomic import lock_failed
from arkor_tui.config.folders import local_backend_dir
from arkor_tui.config.local_backend import (
    CHALLENGE_HEADER,
    PROOF_HEADER,
    LocalBackendInfo,
    is_served,
    proof_of,
    read_local_backend,
    was_stopped,
)
from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

from .detached import start_detached

EMBEDDED_HEADER = "X-Arkor-Tui-Backend"
"""Every answer of the embedded backend carries it, refusals too."""

ENGINE_MODULES = ("torch", "transformers", "peft", "starlette", "uvicorn")
LOG_NAME = "serve.log"
_START_SECONDS = 90.0
_LOOK_AGAIN_SECONDS = 0.05
_GREETING_SECONDS = 3.0


class EmbeddedBackendError(ArkorTuiError):
    """The embedded backend could not be started or reached."""


class BackendStoppedError(EmbeddedBackendError):
    """Somebody has stopped the embedded backend, and it stays so until somebody starts it."""


def missing_engine_modules() -> list[str]:
    """Which parts of the extra ``local`` are not installed, without importing any."""
    return [name for name in ENGINE_MODULES if importlib.util.find_spec(name) is None]


async def ensure_embedded_backend(
    *,
    report: Callable[[str], None] = lambda _: None,
    may_start: bool = True,
    after_stop: bool = True,
) -> LocalBackendInfo:
    """The running embedded backend of this user's data folder, started if need be.

    It is started detached, so that it outlives this process and its terminal, and once however many
    ask at the same moment. ``after_stop`` tells whether a person asks, who may start it again after
    somebody has stopped it.

    Raises:
        BackendStoppedError: somebody has stopped it, and nobody asks to start it again.
        EmbeddedBackendError: it is not installed, did not start, or may not be started.
        LocalBackendError: what it left on disk cannot be trusted.
    """
    if (info := await _running()) is not None:
        if other := of_another_version(info.version):
            report(f"{other.message} {other.hint}")
        return info
    if not may_start:
        raise EmbeddedBackendError(
            "The embedded backend is not running.",
            hint="`arkor-tui serve` runs it; the next run that is started starts it too.",
        )
    _check_stop(after_stop)
    missing = missing_engine_modules()
    if missing:
        raise EmbeddedBackendError(
            f"The embedded backend is not installed ({', '.join(missing)} missing).",
            hint="Install the extra: pip install 'arkor-tui[local]'",
        )
    report("Starting the embedded backend …")
    folder = local_backend_dir()
    try:
        async with asyncio.timeout(_START_SECONDS), _starting(folder):
            info = await _start(folder, after_stop)
    except TimeoutError:
        raise EmbeddedBackendError(
            f"The embedded backend did not start within {_START_SECONDS:g} seconds.",
            hint=f"Its log is {folder / LOG_NAME}; `arkor-tui serve` runs it in the foreground.",
        ) from None
    report(f"The embedded backend runs at {info.url} (pid {info.pid}).")
    return info


def of_another_version(version: str | None) -> EmbeddedBackendError | None:
    """Say what is wrong with a running backend of this version; None where nothing is.

    An upgrade in place leaves it running, and it can start no process of a program that is gone.
    """
    if version is None or version == __version__:
        return None
    return EmbeddedBackendError(
        f"The embedded backend that runs is of arkor-tui {plain(version, limit=40)}, this is "
        f"{__version__}: it can begin nothing new.",
        hint="`arkor-tui serve --stop` ends it, and the next start brings the new one. Its jobs go "
        "on from their last checkpoints; for one that has saved none, wait until it has ended.",
    )


async def _running() -> LocalBackendInfo | None:
    info = read_local_backend()
    return info if info is not None and await is_ours(info) else None


def _check_stop(after_stop: bool) -> None:
    if not after_stop and was_stopped():
        raise BackendStoppedError(
            "The embedded backend was stopped.",
            hint="`arkor-tui serve` starts it again; the next run that is started does so too.",
        )


@asynccontextmanager
async def _starting(folder: Path) -> AsyncIterator[None]:
    """Let one at a time start it; whoever waits finds it running then."""
    with (folder / "start.lock").open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            except OSError as error:
                raise lock_failed(Path(file.name), error) from error
        yield


async def _start(folder: Path, after_stop: bool) -> LocalBackendInfo:
    """Start it, once nobody else serves the folder; the caller's time-out ends this."""
    words = ("serve", "--json") if after_stop else ("serve", "--json", "--unless-stopped")
    while True:
        if (info := await _running()) is not None:
            return info
        if not is_served(folder):  # one that is just ending, or just coming up, holds the folder
            _check_stop(after_stop)
            started = await start_detached(words, log=folder / LOG_NAME, cwd=Path("/"))
            if not started.has_ended and started.told("serving") is None:
                raise TimeoutError
            if started.has_ended and not is_served(folder):  # somebody else was not faster
                _check_stop(after_stop)
                why = await asyncio.to_thread(started.why)
                raise EmbeddedBackendError(
                    f"The embedded backend did not start: {why}",
                    hint=f"Its log is {started.log}; `arkor-tui serve` runs it in the foreground.",
                )
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


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
    async with open_client(url, timeout=_GREETING_SECONDS) as client:
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                request = client.build_request("GET", url + "/", headers=headers)
                response = await client.send(request, stream=True)  # the body says nothing
                await response.aclose()
                return response.headers
        except httpx.InvalidURL:  # of a redirect, which a backend never answers with
            return httpx.Headers()
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer came in time") from error
