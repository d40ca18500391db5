"""Runs the embedded backend: one process for each data folder."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import json
import logging
import os
import re
import secrets
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from arkor_tui._version import __version__
from arkor_tui.config.atomic import (
    WriteFailedError,
    lock_failed,
    make_private_folder,
    write_failed,
    write_private,
)
from arkor_tui.config.local_backend import (
    LocalBackendInfo,
    forget_stop,
    lock_file,
    mark_stopped,
    was_stopped,
    write_local_backend,
)
from arkor_tui.errors import ArkorTuiError, UsageError

from .app import Backend, make_app
from .feed import Feed
from .gate import Gate, Hosts
from .inference import INFER_COMMAND, InferenceProcess
from .limits import BODY_SECONDS, HEAD_BYTES, HEAD_SECONDS, max_connections, protocol_for
from .logs import RotatingLog
from .models import ModelRegistry
from .runner import TRAIN_COMMAND, JobRunner
from .store import Store, now

_TOKEN_LIMIT = 4_096  # bytes
_LOCK_TRIES, _LOCK_AGAIN_SECONDS = 20, 0.02
_GRACE_SECONDS = 3  # for open requests once the server stops


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve. ``port`` None takes a free one. The commands are the two child processes."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int | None = None
    allow_anonymous: bool = False
    jobs: int = 1
    map_models: dict[str, str] = field(default_factory=dict)
    map_datasets: dict[str, Path] = field(default_factory=dict)
    train_command: tuple[str, ...] = TRAIN_COMMAND
    infer_command: tuple[str, ...] = INFER_COMMAND
    ping_seconds: float = 15.0
    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    connections: int = field(default_factory=max_connections)
    unless_stopped: bool = False
    """Whether it was started by itself, and so not where somebody has stopped it."""


@dataclass(frozen=True, slots=True)
class ServingInfo:
    """Where the server is. The token file holds the bearer token and nothing else."""

    url: str
    token_file: Path
    pid: int


class BackendTakenError(ArkorTuiError):
    """The data folder or the port belongs to somebody else."""


def serve(options: ServeOptions, *, on_ready: Callable[[ServingInfo], None]) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    ``on_ready`` is called once requests are answered.

    Raises:
        BackendTakenError: another server has this data folder, or the port is taken.
        UsageError: the options do not fit.
        WriteFailedError: the data folder cannot be written.
    """
    if options.jobs < 1:
        raise UsageError("At least one job must be allowed to train at a time.")
    folder = _own(make_private_folder(options.data_dir))
    with _locked(folder):
        if options.unless_stopped and was_stopped(folder):
            raise BackendTakenError(f"The embedded backend of {folder} was stopped.")
        forget_stop(folder)
        token_file = folder / "token"
        token = _token(token_file)
        listener = _listen(options)
        try:
            return asyncio.run(_serve(options, folder, token, token_file, listener, on_ready))
        finally:
            listener.close()
            (folder / "backend.json").unlink(missing_ok=True)


async def _serve(
    options: ServeOptions,
    folder: Path,
    token: str,
    token_file: Path,
    listener: socket.socket,
    on_ready: Callable[[ServingInfo], None],
) -> int:
    info = ServingInfo(_url(options, listener), token_file, os.getpid())

    def ready() -> None:
        told = LocalBackendInfo(info.url, info.pid, token_file, __version__, now())
        write_local_backend(told, folder)
        on_ready(info)

    async with _backend(options, folder) as backend:
        # who was let in by an earlier --allow-anonymous is not let in without it
        identify = backend.store.identity if options.allow_anonymous else None
        gate = Gate(make_app(backend), token, _hosts(options, listener), identify)
        server = _Server(_uvicorn_config(gate, folder, options), backend, ready)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            # first of all: whoever finds it gone asks whether that was meant
            with contextlib.suppress(WriteFailedError):
                mark_stopped(folder)
            server.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await server.serve(sockets=[listener])
    return 0


@contextlib.asynccontextmanager
async def _backend(options: ServeOptions, folder: Path) -> AsyncIterator[Backend]:
    """Everything that runs beside the routes, and ends with them."""
    store = Store(folder / "backend.db")
    await store.open()
    feed = Feed()
    models = ModelRegistry(options.map_models)
    runner = JobRunner(
        store,
        feed,
        make_private_folder(folder / "jobs"),
        models,
        parallel=options.jobs,
        command=options.train_command,
    )
    inference = InferenceProcess(folder / "inference.log", options.infer_command)
    backend = Backend(
        store=store,
        feed=feed,
        runner=runner,
        inference=inference,
        models=models,
        datasets=options.map_datasets,
        allow_anonymous=options.allow_anonymous,
        ping_seconds=options.ping_seconds,
        body_seconds=options.body_seconds,
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(runner.run(), name="jobs"),
                tasks.create_task(inference.run(), name="inference"),
            ]
            yield backend
            for task in running:
                task.cancel()
    finally:
        await store.close()


class _Server(uvicorn.Server):
    """Says when it is ready, and ends streams and children before it waits for requests."""

    def __init__(self, config: uvicorn.Config, backend: Backend, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._backend = backend
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to us: uvicorn would raise them again, and nothing would be tidied up."""
        yield

    def stop(self) -> None:
        """End after the requests under way; a second call ends them too."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._backend.feed.close()
        self._backend.inference.kill()
        await self._backend.runner.stop()
        await super().shutdown(sockets)


def _uvicorn_config(app: Any, folder: Path, options: ServeOptions) -> uvicorn.Config:
    handler = RotatingLog(folder / "server.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("uvicorn.error")
    log.handlers = [handler]
    log.propagate = False
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,  # addresses and headers stay out of logs
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=30,
        http=protocol_for(options.connections, options.head_seconds),
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
    )


def _listen(options: ServeOptions) -> socket.socket:
    """A bound socket, which answers nobody yet."""
    if not options.host:
        raise UsageError("--host needs an address.")  # none would mean all of them
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port or 0))
    except (OSError, OverflowError) as error:
        listener.close()
        where = f"{options.host}:{options.port or 'any port'}"
        raise BackendTakenError(
            f"Cannot listen on {where}: {getattr(error, 'strerror', None) or error}.",
            hint="Leave --port out to take a free one.",
        ) from error
    if not _address(listener).is_loopback:  # whatever the name said
        if options.allow_anonymous:
            listener.close()
            raise UsageError(
                f"--allow-anonymous hands a token to whoever asks, and on {options.host} other "
                "machines can ask.",
                hint="Leave out --host, or leave out --allow-anonymous and give the token to those "
                "who may come in.",
            )
        print(
            f"Listening on {options.host}: other machines can reach this backend. Who has its "
            "token can use it, and traffic is not encrypted.",
            file=sys.stderr,
        )
    return listener


def _address(listener: socket.socket) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Where a socket really listens."""
    return ipaddress.ip_address(str(listener.getsockname()[0]).partition("%")[0])


def _hosts(options: ServeOptions, listener: socket.socket) -> Hosts:
    address = _address(listener)
    return Hosts(
        frozenset({options.host.lower(), str(address)}), any_address=address.is_unspecified
    )


def _url(options: ServeOptions, listener: socket.socket) -> str:
    """The address for clients on this machine."""
    host, address = options.host, _address(listener)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _own(folder: Path) -> Path:
    """``folder``, if nobody else can put a token or jobs into it.

    Raises:
        UsageError: it belongs to another user.
        WriteFailedError: others can write to it, and that cannot be changed.
    """
    facts = folder.stat()
    if facts.st_uid != os.geteuid():
        raise UsageError(
            f"{folder} belongs to another user, who could put a token of his own into it.",
            hint="Choose another --data-dir, one that does not exist yet for example.",
        )
    if facts.st_mode & 0o022:
        try:
            folder.chmod(stat.S_IMODE(facts.st_mode) & ~0o022)
        except OSError as error:
            raise write_failed(folder, error) from error
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it however this process ends."""
    descriptor = os.open(lock_file(folder), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            taken = _take(descriptor)
        except OSError as error:
            raise lock_failed(lock_file(folder), error) from error
        if not taken:
            raise BackendTakenError(
                f"An embedded backend already serves {folder}{_whose(folder)}.",
                hint="Use that one (it is found by itself), stop it (`arkor-tui serve --stop`), or "
                "choose another --data-dir.",
            )
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    for _ in range(_LOCK_TRIES):  # who only looks holds it for a moment
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_LOCK_AGAIN_SECONDS)
    return False


def _whose(folder: Path) -> str:
    try:
        info = json.loads((folder / "backend.json").read_text(encoding="utf-8"))
        return f" at {info['url']} (pid {info['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _token(path: Path) -> str:
    """The bearer token: made once, kept over restarts as long as nobody else could know it."""
    token = _kept_token(path)
    if token is None:
        token = secrets.token_urlsafe(32)
        write_private(path, token)
    return token


def _kept_token(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # there is none, or it is a link to who knows what
        return None
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        private = facts.st_uid == os.geteuid() and not facts.st_mode & 0o077
        if not (private and stat.S_ISREG(facts.st_mode)):
            return None
        content = file.read(_TOKEN_LIMIT).strip()
    return content.decode("ascii") if re.fullmatch(rb"[!-~]{16,512}", content) else None
