"""Put the data folders of 0.1 somewhere, as if they had been made there.

The paths that 0.1 stored begin with ``/tmp/arkor-tui-01``: in the copy they begin with the folder
that is given. The base model of its backend's jobs lies in an installation that is gone, as after
an upgrade. Files get the modes that 0.1 had made them with, which neither Git nor every copy keeps.
The run that was deleted was deleted just now: 0.1 empties one after seven days.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "v01"
_ROOT = "/tmp/arkor-tui-01"


def place(folder: Path) -> dict[str, str]:
    """Copy what 0.1 left into ``folder``; gives the environment in which it is found."""
    for name in ("home", "data", "config", "recordings"):
        shutil.copytree(DATA / name, folder / name, dirs_exist_ok=True)
        for path in [folder / name, *sorted((folder / name).rglob("*"))]:
            if path.is_dir():
                path.chmod(0o700)
            else:
                path.chmod(0o600)
                _change_file(path, folder)
    for path in (folder / "data" / "history.db", folder / "data" / "local" / "backend.db"):
        _change_database(path, folder)
    return {
        "HOME": str(folder / "home"),
        "ARKOR_TUI_DATA_DIR": str(folder / "data"),
        "ARKOR_TUI_CONFIG_DIR": str(folder / "config"),
    }


def expected(folder: Path) -> dict[str, Any]:
    """Give what is in the folders, with the paths of :func:`place`."""
    text = (DATA / "expected.json").read_text("utf-8")
    told: dict[str, Any] = json.loads(text.replace(_ROOT, str(folder)))
    return told


def _change_file(path: Path, folder: Path) -> None:
    if path.suffix not in (".db", ".safetensors"):
        path.write_bytes(path.read_bytes().replace(_ROOT.encode(), str(folder).encode()))


def _change_database(path: Path, folder: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            columns = db.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
            for column in (name for name, kind in columns if kind == "TEXT"):
                db.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?1, ?2)"
                    f" WHERE instr({column}, ?1) > 0",
                    (_ROOT, str(folder)),
                )
        if "runs" in tables:
            db.execute("UPDATE runs SET deleted_at = ? WHERE deleted_at > 0", (time.time(),))
    db.close()
