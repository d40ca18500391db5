"""Writing a starter project into a folder. Whatever exists already is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arkor_tui.errors import ArkorTuiError

from . import starter_files

_GITIGNORE = ".arkor/\n__pycache__/\n"


@dataclass(frozen=True, slots=True)
class Written:
    """File names relative to the project's folder."""

    written: tuple[str, ...]
    kept: tuple[str, ...]


def write_starter(template: str, folder: Path) -> Written:
    """Write the files of a starter that do not exist yet.

    Raises:
        ArkorTuiError: a file or folder could not be written.
        KeyError: there is no such template.
    """
    content = {name: file.read_bytes() for name, file in starter_files(template).items()}
    content[".gitignore"] = _GITIGNORE.encode()
    written: list[str] = []
    kept: list[str] = []
    for name, data in sorted(content.items()):
        (written if write_new(folder / name, data) else kept).append(name)
    return Written(tuple(written), tuple(kept))


def write_new(path: Path, data: bytes) -> bool:
    """Write the file unless something is there; False if so.

    Raises:
        ArkorTuiError: it could not be written; nothing half-written stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("xb")
        except FileExistsError:
            return False
        try:
            with file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)  # half a file would count as existing next time
            raise
    except OSError as error:
        raise ArkorTuiError(
            f"Cannot write {path}: {error.strerror or error}.",
            hint="Choose a folder that can be written to, or make room on the disk.",
        ) from error
    return True
