"""Owns the one inference process and hands requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .ipc import ChatSpec
from .limits import MAX_CHATS
from .logs import open_log
from .processes import kill

INFER_COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", "arkor_tui.backend.engine.infer")
_BUSY = {
    "type": "error",
    "status": 503,
    "error": f"{MAX_CHATS} chats are under way, which is the limit. Send it again later.",
    "code": "busy",
}
_LINE_LIMIT = 16 * 1024 * 1024  # bytes
_LOST = {
    "type": "error",
    "status": 503,
    "error": "The inference process ended in the middle of this request. Send it again.",
    "code": "engine_lost",
}


class InferenceProcess:
    """Started with the server, so that it is warm; started again when it is needed and gone."""

    def __init__(self, log_path: Path, command: Sequence[str] = INFER_COMMAND) -> None:
        self._log_path = log_path
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = asyncio.Event()
        self._up = asyncio.Event()
        self._pending: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._next_id = 0

    async def run(self) -> None:
        """Keep a process alive until cancelled."""
        try:
            while True:
                await self._live_once()
                self._up.clear()
                for queue in self._pending.values():
                    queue.put_nowait(_LOST)
                # a process that cannot live must not be started in a loop
                self._wanted.clear()
                await self._wanted.wait()
        finally:
            self.kill()
            if self._process is not None:
                await self._process.wait()

    async def _live_once(self) -> None:
        with open_log(self._log_path) as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_LIMIT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
            )
        self._process = process
        self._up.set()
        assert process.stdout is not None
        async for line in process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            queue = self._pending.get(str(message.get("id")))
            if queue is not None:
                queue.put_nowait(message)
        await process.wait()

    def kill(self) -> None:
        """End the process at once; it holds nothing that matters."""
        if self._process is not None:
            kill(self._process)

    async def chat(
        self, spec: ChatSpec, model_source: str, adapter: Path | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The process's messages for one request; the last is ``done`` or ``error``.

        Leaving early stops the generation.
        """
        self._next_id += 1
        request_id = str(self._next_id)
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._wanted.set()
        await self._up.wait()
        if len(self._pending) >= MAX_CHATS:
            yield _BUSY
            return
        self._pending[request_id] = queue
        ended = False
        try:
            await self._tell(
                {
                    "op": "chat",
                    "id": request_id,
                    "model_source": model_source,
                    "adapter": str(adapter) if adapter is not None else None,
                    "request": asdict(spec),
                }
            )
            while not ended:
                message = await queue.get()
                ended = message["type"] in ("done", "error")
                yield message
        finally:
            del self._pending[request_id]
            if not ended:
                self._tell_now({"op": "stop", "id": request_id})

    async def _tell(self, message: dict[str, Any]) -> None:
        self._tell_now(message)
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

    def _tell_now(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(json.dumps(message, allow_nan=False).encode() + b"\n")
