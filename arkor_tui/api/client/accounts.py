"""Calls about accounts (docs/protocol.md, section 3)."""

from __future__ import annotations

from arkor_tui.api import accounts

from .caller import Caller


class AccountCalls(Caller):
    """Identities and projects."""

    async def login_anonymous(self, kind: str = "cli") -> accounts.AnonymousLogin:
        """Mint a new anonymous identity. Sends no token."""
        return await self.json(
            accounts.AnonymousLogin, "POST", "/v1/auth/anonymous", body={"kind": kind}, auth=False
        )

    async def cli_config(self) -> accounts.CliConfig:
        """How to sign in with a browser, as far as the server offers it. Sends no token."""
        return await self.json(accounts.CliConfig, "GET", "/v1/auth/cli/config", auth=False)

    async def me(self) -> accounts.Me:
        """Who the token belongs to."""
        return await self.json(accounts.Me, "GET", "/v1/me")

    async def list_projects(self, org_slug: str) -> accounts.ProjectList:
        """The projects of an organisation."""
        return await self.json(
            accounts.ProjectList, "GET", "/v1/projects", query={"orgSlug": org_slug}
        )

    async def create_project(self, org_slug: str, name: str, slug: str) -> accounts.Project:
        """Create a project; a taken slug is an :class:`ApiError` with status 409."""
        envelope = await self.json(
            accounts.ProjectEnvelope,
            "POST",
            "/v1/projects",
            query={"orgSlug": org_slug},
            body={"name": name, "slug": slug},
        )
        return envelope.project
