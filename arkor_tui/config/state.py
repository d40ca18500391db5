"""``.arkor/state.json`` in a project's folder: which project of which organisation it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arkor_tui.text.jsonsafe import NotJsonError, read_object, write_object

from .atomic import write_failed
from .reading import read_limited

_MOST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class ProjectState:
    """The project that jobs started in this folder belong to."""

    org_slug: str
    project_slug: str
    project_id: str


def state_path(folder: Path | None = None) -> Path:
    """The file of the project in ``folder``, by default the current one. Parents do not count."""
    return (folder if folder is not None else Path.cwd()) / ".arkor" / "state.json"


def read_state(folder: Path | None = None) -> ProjectState | None:
    """The state; None where it is missing, unreadable, not JSON or incomplete."""
    try:
        raw = read_object(read_limited(state_path(folder), _MOST_BYTES))
    except (OSError, NotJsonError):
        return None
    found = [raw.get(name) for name in ("orgSlug", "projectSlug", "projectId")]
    if not all(isinstance(value, str) and value for value in found):
        return None
    org_slug, project_slug, project_id = (str(value) for value in found)
    return ProjectState(org_slug, project_slug, project_id)


def write_state(state: ProjectState, folder: Path | None = None) -> Path:
    """Write the state, not atomically and with default mode, as the ``arkor`` command does.

    Raises:
        WriteFailedError: the folder or the file cannot be written.
    """
    path = state_path(folder)
    content = {
        "orgSlug": state.org_slug,
        "projectSlug": state.project_slug,
        "projectId": state.project_id,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(write_object(content) + "\n", encoding="utf-8")
    except OSError as error:
        raise write_failed(path, error) from error
    return path
