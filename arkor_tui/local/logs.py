"""Log files that only their owner may read."""

from __future__ import annotations

import os
from io import BufferedWriter
from pathlib import Path


def open_log(path: Path) -> BufferedWriter:
    """Open for appending, created with mode 0600."""
    return open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab")
