"""Which organisation and project a call is about (docs/protocol.md, section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from arkor_tui.config.credentials import Credentials, CredentialsIncompleteError
from arkor_tui.config.slugs import project_slug
from arkor_tui.config.state import ProjectState, read_state, state_path, write_state
from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .accounts import Project, ProjectList
from .errors import ApiError


class ProjectStateMismatchError(UsageError):
    """The folder's project belongs to another organisation than the anonymous identity."""


class ProjectStateMissingError(UsageError):
    """An account is signed in, but nothing says which project is meant."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The two query parameters that nearly every call carries."""

    org_slug: str
    project_slug: str


class ProjectClient(Protocol):
    """What resolving a scope needs of the client."""

    async def create_project(self, org_slug: str, name: str, slug: str, /) -> Project: ...

    async def list_projects(self, org_slug: str, /) -> ProjectList: ...


async def resolve_scope(client: ProjectClient, credentials: Credentials, folder: Path) -> Scope:
    """The scope of the project in ``folder``, created where the rules allow it.

    ``credentials`` must be those that ``client`` sends. A usable state file means no call at all;
    an anonymous identity without one gets a project that is named after the folder.

    Raises:
        ProjectStateMismatchError: the state is another identity's; the file is left untouched.
        ProjectStateMissingError: an account without a state file.
        CredentialsIncompleteError: the anonymous identity's organisation is not known.
        ApiError: the project could be neither created nor found.
        WriteFailedError: the state could not be written.
    """
    state = read_state(folder)
    if state is not None:
        if not is_usable(state, credentials):
            raise _mismatch(state, folder)
        return _scope(state)
    if not credentials.is_anonymous:
        raise ProjectStateMissingError(
            f"{state_path(folder)} is missing, so nothing says which project is meant.",
            hint="Write that file: "
            '{"orgSlug": "…", "projectSlug": "…", "projectId": "…"} with the values of a project '
            "of yours (`arkor-tui whoami` names your organisations), or use `--backend local`.",
        )
    state = await _made_or_found(client, _own_org(credentials), folder)
    write_state(state, folder)
    return _scope(state)


def is_usable(state: ProjectState, credentials: Credentials) -> bool:
    """Whether these credentials may use that state: an account any, an anonymous one its own."""
    return not credentials.is_anonymous or state.org_slug == _org_of(credentials)


async def _made_or_found(client: ProjectClient, org_slug: str, folder: Path) -> ProjectState:
    name = _name_of(folder)
    slug = project_slug(name)
    try:
        project = await client.create_project(org_slug, name, slug)
    except ApiError as error:
        if error.status != 409:
            raise
        listed = await client.list_projects(org_slug)
        found = next((each for each in listed.projects if each.slug == slug), None)
        if found is None:
            raise
        project = found
    return ProjectState(org_slug, project.slug, project.id)


def _name_of(folder: Path) -> str:
    return folder.resolve().name or "project"  # the root folder has no name


def _org_of(credentials: Credentials) -> str | None:
    return getattr(credentials, "org_slug", None)


def _own_org(credentials: Credentials) -> str:
    org_slug = _org_of(credentials)
    if not org_slug:
        raise CredentialsIncompleteError(
            "The stored anonymous identity does not say which organisation it owns.",
            hint="`arkor-tui login --anonymous` makes a new identity.",
        )
    return org_slug


def _mismatch(state: ProjectState, folder: Path) -> ProjectStateMismatchError:
    org_slug = plain(state.org_slug, limit=100, newlines=False)
    return ProjectStateMismatchError(
        f"{state_path(folder)} belongs to the organisation {org_slug!r}, not to the anonymous "
        "identity that is signed in. It was left as it is.",
        hint="Delete that file to start a new anonymous project, or sign in as the project's owner "
        "with `arkor-tui login --oauth`.",
    )


def _scope(state: ProjectState) -> Scope:
    return Scope(state.org_slug, state.project_slug)
