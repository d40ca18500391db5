"""Files that are replaced whole and that only their owner can read."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from arkor_tui.errors import ArkorTuiError

log = logging.getLogger(__name__)

_OWNER_ONLY_FILE = 0o600
_OWNER_ONLY_FOLDER = 0o700


class WriteFailedError(ArkorTuiError):
    """A file or folder of ours could not be written; what was there before is still there."""


def write_failed(path: Path, error: OSError) -> WriteFailedError:
    """The error for ``error`` while writing ``path``, with what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some disk space, then try again."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = f"Check who owns {path.parent} and whether it can be written to."
    else:
        hint = f"Check that {path.parent} is a folder that you can write to."
    return WriteFailedError(f"Cannot write {path}: {reason_of(error)}.", hint=hint)


def lock_failed(path: Path, error: OSError) -> WriteFailedError:
    """The error for ``error`` while locking ``path``, which nobody else holds."""
    return WriteFailedError(
        f"Cannot lock {path}: {reason_of(error)}.",
        hint="Its folder may lie on a network file system without locks: set ARKOR_TUI_DATA_DIR to "
        "a folder on a disk of this machine.",
    )


def reason_of(error: OSError) -> str:
    """The system's words for ``error``, without the path."""
    return error.strerror or type(error).__name__


def make_private_folder(folder: Path) -> Path:
    """Create ``folder`` and its missing parents, readable by the owner only.

    A folder that exists keeps its mode.

    Raises:
        WriteFailedError: it cannot be created, or something else has its name.
    """
    try:
        folder.mkdir(mode=_OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise write_failed(folder, error) from error
    return folder


def write_private(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8) at ``path`` so that a reader sees the old content or the new.

    The folder is made. The temporary file beside the target has mode 0600 from its first moment and
    a random part in its name, because two containers may share both folder and process id
    (docs/protocol.md, section 2, "Write").

    Raises:
        WriteFailedError: nothing was changed and no temporary file is left.
    """
    make_private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}.tmp")
    try:
        _write_new(temporary, text.encode("utf-8"))
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise write_failed(path, error) from error
        raise


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, _OWNER_ONLY_FILE)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    try:
        # some mounts ignore the mode at creation, others refuse this call: then the umask decides
        path.chmod(_OWNER_ONLY_FILE)
    except OSError as error:
        log.warning("cannot make %s readable by its owner only: %s", path.parent, reason_of(error))
