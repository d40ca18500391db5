"""Which process runs the recipes of a run: one at a time, whatever is started beside it.

Each run with recipes has files named after it in ``watchers`` of the data folder (0700): ``.lock``
is held by the process that hosts them, ``.json`` says who and how it stands, ``.log`` holds what
its recipes print, and ``.py`` the recipes that were set up without a trainer file. All are 0600.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from arkor_tui.text.jsonsafe import read_object

from .atomic import lock_failed, make_private_folder, write_failed, write_private
from .folders import data_dir

HostKind = Literal["supervisor", "app", "command"]
_KINDS: tuple[HostKind, ...] = get_args(HostKind)
_TRIES = 20
_TRY_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class HostState:
    """How the process that hosts the recipes of a run stands.

    ``since`` is epoch seconds, ``gauges`` are as recipes tell them, ``problem`` says why it
    cannot do its work at the moment; empty where it can.
    """

    pid: int
    kind: HostKind
    since: float
    callbacks: int = 0
    gauges: tuple[dict[str, Any], ...] = ()
    problem: str = ""
    errors: int = 0


@dataclass(slots=True)
class RunLock:
    """The right to run the recipes of a run, held until :meth:`release` or the process's end."""

    path: Path
    _descriptor: int
    _told: str = field(default="", repr=False)

    def tell(self, state: HostState) -> None:
        """Let other processes see how this one stands; writes only what is new.

        Raises:
            WriteFailedError: nothing was changed.
        """
        text = json.dumps(asdict(state))
        if text != self._told:
            write_private(self.path.with_suffix(".json"), text + "\n")
            self._told = text

    def release(self) -> None:
        """Let another process host the recipes."""
        if self._descriptor >= 0:
            for suffix in (".json", ".lock"):
                with suppress(OSError):
                    self.path.with_suffix(suffix).unlink()
            os.close(self._descriptor)
            self._descriptor = -1


def lock_path(*identity: str) -> Path:
    """The files of the run with this identity, without a suffix that means anything."""
    name = hashlib.sha256("\0".join(identity).encode("utf-8", "replace")).hexdigest()[:24]
    return make_private_folder(data_dir() / "watchers") / f"{name}.lock"


def take_run_lock(path: Path) -> RunLock | None:
    """Take the lock at this :func:`lock_path`; None while another process holds it.

    Raises:
        WriteFailedError: the files cannot be made, or there are no locks where they are.
    """
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise write_failed(path, error) from error
        try:
            is_ours = _lock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            os.close(descriptor)
            raise lock_failed(path, error) from error
        if is_ours:
            if _is_at(descriptor, path):
                with suppress(OSError):  # what a killed holder said is no longer true
                    path.with_suffix(".json").unlink()
                return RunLock(path, descriptor)
            os.close(descriptor)  # released, and so deleted, between opening and locking
            continue
        os.close(descriptor)
        # who only looks holds it for a moment
        time.sleep(_TRY_AGAIN_SECONDS)
    return None


def read_host(path: Path) -> HostState | None:
    """Who holds the lock at this :func:`lock_path`; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not _is_locked(descriptor):
            return None  # whoever made the file is gone
        return _state(read_object(path.with_suffix(".json").read_bytes()))
    except (OSError, ValueError):
        return HostState(0, "supervisor", time.time())  # held, and about to say more
    finally:
        os.close(descriptor)


def _state(raw: dict[str, Any]) -> HostState:
    """What a host wrote, perhaps one of another version.

    Raises:
        ValueError: it is something else.
    """
    pid, since = raw.get("pid"), raw.get("since")
    kind: HostKind | None = next((k for k in _KINDS if k == raw.get("kind")), None)
    if type(pid) is not int or not isinstance(since, int | float) or kind is None:
        raise ValueError("not a state")
    counts = [raw.get(name) for name in ("callbacks", "errors")]
    callbacks, errors = (count if type(count) is int else 0 for count in counts)
    gauges, problem = raw.get("gauges"), raw.get("problem")
    return HostState(
        pid,
        kind,
        _seconds(since),
        callbacks,
        tuple(one for one in gauges if isinstance(one, dict)) if isinstance(gauges, list) else (),
        problem if isinstance(problem, str) else "",
        errors,
    )


def _seconds(since: float) -> float:
    try:
        return float(since)
    except OverflowError:
        raise ValueError("no time") from None


def _is_locked(descriptor: int) -> bool:
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    except OSError:  # nobody holds what cannot be held
        return False


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        here, there = os.fstat(descriptor), path.stat()
    except OSError:
        return False
    return (here.st_ino, here.st_dev) == (there.st_ino, there.st_dev)
