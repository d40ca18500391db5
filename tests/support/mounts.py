"""Disks of a test's own: a file system in memory that only processes with a prefix see."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

_HOLD = 'mount -t tmpfs -o "size=$1,mode=700" none "$0" && {} && echo ready && exec sleep infinity'
_READ_ONLY = 'mount -o remount,ro "$0"'


class SmallDisk:
    """A disk of ``size`` (as ``mount`` takes it, such as ``16m``) at a folder, for some processes.

    It lies in a name space of its own that the kernel removes with the last process in it; nobody
    has to be the superuser where the kernel lets users make name spaces.
    """

    def __init__(self, folder: Path, size: str, *, read_only: bool = False) -> None:
        if shutil.which("unshare") is None or shutil.which("nsenter") is None:
            pytest.skip("name spaces are a matter of Linux")
        self.folder = folder
        then = _READ_ONLY if read_only else "true"
        self._holder = subprocess.Popen(
            [*["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"], _HOLD.format(then),
             str(folder), size],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"]},  # it is no process of the home that it holds up
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != "ready\n":
            why = self._holder.stderr.read().strip()
            self.close()
            pytest.skip(f"the kernel lets nobody mount here: {why}")

    @property
    def inside(self) -> Path:
        """The folder as it is on that disk. Not for SQLite, which resolves links in paths."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def command(self, *words: str, cwd: Path | None = None) -> Sequence[str]:
        """A command that has this disk."""
        return [
            "nsenter", "--user", "--mount", "--preserve-credentials",
            f"--target={self._holder.pid}",
            "sh", "-c", 'cd "$0" && exec "$@"', str(cwd or Path.cwd()), *words,
        ]  # fmt: skip

    def fill(self) -> None:
        """Until not one byte more can be written."""
        with (self.inside / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while True:
                        filler.write(b"\0" * size)

    def free(self) -> None:
        """Undo :meth:`fill`."""
        (self.inside / "filler").unlink()

    def close(self) -> None:
        """Give up the disk, and what is on it."""
        self._holder.kill()
        self._holder.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
