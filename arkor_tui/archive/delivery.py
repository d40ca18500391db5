"""What callbacks have heard of a run: safe from a kill before the next event is told to them."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

from arkor_tui.config.atomic import make_private_folder

from .store import Archive

_RECORD = struct.Struct("<QQ")  # of which run, and the seq of the last event


def this_host() -> str:
    """Name this machine, without the domain that a network gives it."""
    return socket.gethostname().partition(".")[0]


class DeliveredMark:
    """The seq of the last event of a run that callbacks on this machine have heard.

    The archive keeps it; a file of 16 bytes beside the archive keeps what is newer, as one event
    after the other cannot wait for a transaction each. It is written in place, so that a killed
    process loses nothing of it and a full disk does no harm; it is gone after an orderly end.
    """

    def __init__(self, archive: Path, key: int) -> None:
        self.seq = 0
        self._kept = 0
        self._host = this_host()
        self._key = key
        self._archive = archive
        name = hashlib.sha256(self._host.encode()).hexdigest()[:12]
        self._path = archive.parent / "delivered" / f"{key}-{name}"
        self._file = -1
        self._run = 0

    def open(self, archive: Archive) -> None:
        """Find out how far callbacks are; blocks."""
        kept = archive.delivered(self._key, self._host)
        self.seq = self._kept = kept
        with suppress(OSError):
            self._run = self._which(archive)
            make_private_folder(self._path.parent)
            self._file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            found = os.pread(self._file, _RECORD.size, 0)
            if len(found) == _RECORD.size:
                run, seq = _RECORD.unpack(found)
                if run == self._run:  # a mark of another run says nothing about this one
                    self.seq = max(kept, seq)
            os.pwrite(self._file, _RECORD.pack(self._run, self.seq), 0)

    def _which(self, archive: Archive) -> int:
        """Tell the run of this file from those of other archives that had its key.

        The number of the file is not enough: a file that is made after another was deleted gets
        the same one.
        """
        run = archive.run(self._key)
        named = f"{self._archive.stat().st_ino}\0{run.identity if run is not None else ''}"
        return int.from_bytes(hashlib.sha256(named.encode("utf-8", "replace")).digest()[:8])

    def set(self, seq: int) -> None:
        """Remember that callbacks have heard everything up to this event."""
        if seq <= self.seq:
            return
        self.seq = seq
        if self._file >= 0:
            try:
                os.pwrite(self._file, _RECORD.pack(self._run, seq), 0)
            except OSError:  # the archive itself has it a moment later
                os.close(self._file)
                self._file = -1

    def keep(self, archive: Archive) -> None:
        """Put into the archive what is new; blocks."""
        if self.seq > self._kept:
            seq = self.seq
            archive.set_delivered(self._key, self._host, seq)
            self._kept = seq

    def close(self) -> None:
        """Leave the file only where the archive does not know as much."""
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        if self._kept == self.seq:
            with suppress(OSError):
                self._path.unlink()
