"""Finding the embedded backend, or starting it as a process that outlives this one."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx

from arkor_tui.api.client import tls_for
from arkor_tui.errors import ArkorTuiError
from arkor_tui.plain import plain
from arkor_tui.workspace.folders import local_backend_dir
from arkor_tui.workspace.local_backend import LocalBackendInfo, read_local_backend

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
    if info is not None and await _answers(info):
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
    with log_path.open("ab") as log:
        log_path.chmod(0o600)
        begin = log.tell()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arkor_tui",
            "serve",
            "--json",
            stdin=subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a dropped terminal must not take it down
            cwd="/",
        )
    try:
        async with asyncio.timeout(_START_SECONDS):
            assert process.stdout is not None
            line = await process.stdout.readline()
            if _is_ready(line):
                info = read_local_backend()
                if info is not None:
                    return info
            # it ended; perhaps because somebody else's start was faster
            await process.wait()
            return await _of_another_start(log_path, begin)
    except TimeoutError:
        raise EmbeddedBackendError(
            f"The embedded backend did not start within {_START_SECONDS:g} seconds.",
            hint=f"Its log is {log_path}; `arkor-tui serve` runs it in the foreground.",
        ) from None


def _is_ready(line: bytes) -> bool:
    try:
        return bool(json.loads(line)["type"] == "serving")
    except (ValueError, KeyError, TypeError):
        return False


async def _of_another_start(log_path: Path, begin: int) -> LocalBackendInfo:
    said = await asyncio.to_thread(_read_from, log_path, begin)
    if "already" in said:
        while True:  # the caller's time-out ends this
            info = read_local_backend()
            if info is not None and await _answers(info):
                return info
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise EmbeddedBackendError(
        "The embedded backend did not start: " + (plain(said, limit=1_000) or "it said nothing."),
        hint=f"Its log is {log_path}; `arkor-tui serve` runs it in the foreground.",
    )


def _read_from(path: Path, begin: int) -> str:
    return path.read_bytes()[begin:].decode("utf-8", "replace").strip()


async def _answers(info: LocalBackendInfo) -> bool:
    try:
        return await has_embedded_header(info.url)
    except httpx.HTTPError:
        return False


async def has_embedded_header(url: str) -> bool:
    """Whether what answers at ``url`` is an embedded backend. Sends no token.

    Raises:
        httpx.HTTPError: nothing answers.
    """
    async with httpx.AsyncClient(timeout=3.0, trust_env=False, verify=tls_for(url)) as client:
        return EMBEDDED_HEADER in (await client.get(url + "/")).headers
