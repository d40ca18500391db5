"""Where the embedded backend of this user listens, and the token that lets us in.

The running server writes ``local/backend.json`` and its token file into the data folder, both 0600.
Cloud credentials play no part here, and this token goes nowhere else.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from arkor_tui.config.atomic import reason_of, write_private
from arkor_tui.config.folders import local_backend_dir
from arkor_tui.config.loopback import is_loopback_url
from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.jsonsafe import NotJsonError, read_object, write_object

CHALLENGE_HEADER, PROOF_HEADER = "X-Arkor-Tui-Challenge", "X-Arkor-Tui-Proof"
"""A question to ``GET /``, and the embedded backend's answer to it: see :func:`proof_of`."""

_START_AGAIN = (
    "Stop the embedded backend (`arkor-tui serve --stop`); it is started again when it is needed."
)
LOCAL_ORG = "local"
"""The organisation of everything on the embedded backend."""
_STOPPED = "stopped"
_TOKEN_LIMIT = 4_096  # bytes; a token is a line


class LocalBackendError(ArkorTuiError):
    """What the embedded backend left on disk cannot be trusted or read."""


@dataclass(frozen=True, slots=True)
class LocalBackendInfo:
    """A running embedded backend. ``started_at`` is an ISO-8601 time."""

    url: str
    pid: int
    token_file: Path
    version: str | None = None
    started_at: str | None = None

    def read_token(self) -> str:
        """The bearer token of the server.

        Raises:
            LocalBackendError: there is none, it is empty, or others can read it.
        """
        return read_token_file(self.token_file)


def backend_file() -> Path:
    """The file in which a running server says where it is."""
    return local_backend_dir(create=False) / "backend.json"


def write_local_backend(info: LocalBackendInfo, folder: Path | None = None) -> Path:
    """Say where the server is (the server does this); replaced atomically, 0600.

    ``folder`` is the server's data folder, by default the one where :func:`read_local_backend`
    looks.

    Raises:
        WriteFailedError: nothing was changed.
    """
    path = backend_file() if folder is None else folder / "backend.json"
    content = {
        "url": info.url,
        "pid": info.pid,
        "tokenFile": str(info.token_file),
        "version": info.version,
        "startedAt": info.started_at,
    }
    write_private(path, write_object({k: v for k, v in content.items() if v is not None}))
    return path


def read_local_backend() -> LocalBackendInfo | None:
    """The backend that runs now; None where there is no file, a broken one, or a stale one.

    A process with the noted id may be another program by now: only a request tells.

    Raises:
        LocalBackendError: the file cannot be read, or names a server that is not on this machine.
    """
    path = backend_file()
    try:
        raw = read_object(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, NotJsonError):
        return None
    except OSError as error:
        raise LocalBackendError(
            f"Cannot read {path}: {reason_of(error)}.",
            hint=f"Check who owns {path.parent}.",
        ) from error
    url, pid, token_file = raw.get("url"), raw.get("pid"), raw.get("tokenFile")
    version, started_at = raw.get("version"), raw.get("startedAt")
    if not (isinstance(url, str) and isinstance(pid, int) and isinstance(token_file, str)):
        return None
    if not is_alive(pid):
        return None
    if not is_loopback_url(url):
        raise LocalBackendError(
            f"{path} names a server that is not on this machine; it gets no token.",
            hint=f"Delete that file. {_START_AGAIN}",
        )
    return LocalBackendInfo(
        url=url.rstrip("/"),
        pid=pid,
        token_file=path.parent / token_file,  # an absolute path stays what it is
        version=version if isinstance(version, str) else None,
        started_at=started_at if isinstance(started_at, str) else None,
    )


def is_served(folder: Path | None = None) -> bool:
    """Whether a process holds this data folder of a backend: one that starts, serves or ends."""
    try:
        with lock_file(folder).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def lock_file(folder: Path | None = None) -> Path:
    """The file whose lock a server holds as long as it lives."""
    return (folder or local_backend_dir(create=False)) / "lock"


def mark_stopped(folder: Path | None = None) -> None:
    """Remember that somebody has stopped the server: nothing of ours starts it by itself.

    Raises:
        WriteFailedError: nothing was changed.
    """
    write_private((folder or local_backend_dir()) / _STOPPED, "")


def was_stopped(folder: Path | None = None) -> bool:
    """Whether somebody has stopped the server since it was started last."""
    return ((folder or local_backend_dir(create=False)) / _STOPPED).exists()


def forget_stop(folder: Path) -> None:
    """Somebody starts the server again."""
    (folder / _STOPPED).unlink(missing_ok=True)


def read_token_file(path: Path) -> str:
    """The token in ``path``, a file that only its owner may read.

    Raises:
        LocalBackendError: there is none, it is empty or no token, or others can read it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise LocalBackendError(
                    f"Other users can reach the token in {path} (mode {mode:04o}).",
                    hint=f"Run `chmod 600 {path}`. If others use this machine, restart the backend "
                    "too, so that it makes a new token.",
                )
            content = file.read(_TOKEN_LIMIT)
    except OSError as error:
        raise LocalBackendError(
            f"Cannot read the token of the embedded backend in {path}: {reason_of(error)}.",
            hint=_START_AGAIN,
        ) from error
    token = content.decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise LocalBackendError(f"{path} holds no usable token.", hint=_START_AGAIN)
    return token


def proof_of(token: str, challenge: str, port: int) -> str:
    """What only a server on this port that has ``token`` can answer to ``challenge``.

    It does not tell the token. The port of a backend that was killed may be anybody's by now: who
    asks sends it no token, and the answer of a backend on another port is no proof for this one.
    """
    return hmac.new(token.encode(), f"{port} {challenge}".encode(), hashlib.sha256).hexdigest()


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists, whoever owns it."""
    if pid <= 0:
        return False  # 0 and below would mean whole groups of processes
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
