"""Log files of the backend."""

from __future__ import annotations

import logging
from pathlib import Path

from arkor_tui.backend.logs import RotatingLog


def test_a_log_is_private_and_has_an_end(tmp_path: Path) -> None:
    handler = RotatingLog(tmp_path / "server.log", limit=1_000)
    for number in range(200):
        handler.emit(logging.makeLogRecord({"msg": f"request {number} was \ud800 wrong"}))
    handler.close()
    files = sorted(tmp_path.glob("*.log*"))
    assert [file.name for file in files] == ["server.log", "server.log.1"]
    assert all(0 < file.stat().st_size <= 1_000 for file in files)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert (tmp_path / "server.log").read_text().endswith("request 199 was \\ud800 wrong\n")
