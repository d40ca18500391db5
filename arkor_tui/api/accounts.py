"""Identities and projects (docs/protocol.md, sections 2 and 3)."""

from __future__ import annotations

from pydantic import Field

from .wire import WireReader


class Org(WireReader):
    """An organisation; ``slug`` may be missing where a server only knows ids."""

    id: str
    slug: str | None = None
    name: str | None = None


class AnonymousLogin(WireReader):
    """Answer of ``POST /v1/auth/anonymous``. The token is a secret."""

    token: str = Field(repr=False)
    anonymous_id: str
    kind: str | None = None
    personal_org: Org


class CliConfig(WireReader):
    """Answer of ``GET /v1/auth/cli/config``; sign-in needs the first three to be set."""

    auth0_domain: str | None = None
    client_id: str | None = None
    audience: str | None = None
    callback_ports: list[int] = Field(default_factory=list)


class User(WireReader):
    """Who a token belongs to."""

    id: str
    email: str | None = None
    name: str | None = None


class Me(WireReader):
    """Answer of ``GET /v1/me``."""

    user: User
    orgs: list[Org] = Field(default_factory=list)


class Project(WireReader):
    """A project of an organisation."""

    id: str
    slug: str
    name: str | None = None
    org_id: str | None = None


class ProjectEnvelope(WireReader):
    """Answer of ``POST /v1/projects``."""

    project: Project


class ProjectList(WireReader):
    """Answer of ``GET /v1/projects``."""

    org: Org | None = None
    projects: list[Project]
