"""Protocol reference, section 10, "State and scope": which project a call is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from arkor_tui.api.accounts import Project, ProjectList
from arkor_tui.api.errors import ApiError
from arkor_tui.api.scope import (
    ProjectStateMismatchError,
    ProjectStateMissingError,
    Scope,
    resolve_scope,
)
from arkor_tui.config.atomic import WriteFailedError
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsIncompleteError,
    OAuthCredentials,
)
from arkor_tui.config.state import ProjectState, read_state, state_path, write_state

ANONYMOUS = AnonymousCredentials(token="t", org_slug="anon-org")
ACCOUNT = OAuthCredentials(access_token="t")


@dataclass
class FakeClient:
    """Answers as told and notes every call."""

    created: Project | ApiError | None = None
    listed: list[Project] | None = None
    calls: list[tuple[str, ...]] = field(default_factory=list)

    async def create_project(self, org_slug: str, name: str, slug: str) -> Project:
        self.calls.append(("create", org_slug, name, slug))
        if isinstance(self.created, ApiError):
            raise self.created
        assert self.created is not None
        return self.created

    async def list_projects(self, org_slug: str) -> ProjectList:
        self.calls.append(("list", org_slug))
        assert self.listed is not None
        return ProjectList(projects=self.listed)


def taken() -> ApiError:
    return ApiError(409, "slug taken")


@pytest.mark.parametrize(
    ("credentials", "org"),
    [(ANONYMOUS, "anon-org"), (ACCOUNT, "any-org")],
    ids=["anonymous", "oauth-foreign-org"],
)
async def test_existing_state_means_no_call(
    project: Path, credentials: AnonymousCredentials | OAuthCredentials, org: str
) -> None:
    write_state(ProjectState(org, "project", "p-1"))
    before = state_path().read_bytes()
    client = FakeClient()
    assert await resolve_scope(client, credentials, project) == Scope(org, "project")
    assert client.calls == []
    assert state_path().read_bytes() == before


@pytest.mark.parametrize("org_slug", ["anon-org", None])
async def test_anonymous_mismatch_raises_and_leaves_the_file(
    project: Path, org_slug: str | None
) -> None:
    write_state(ProjectState("other-org", "project", "p-1"))
    before = state_path().read_bytes()
    client = FakeClient()
    credentials = AnonymousCredentials(token="t", org_slug=org_slug)
    with pytest.raises(ProjectStateMismatchError, match="'other-org'") as caught:
        await resolve_scope(client, credentials, project)
    assert "Delete that file" in (caught.value.hint or "")
    assert "login" in (caught.value.hint or "")
    assert client.calls == []
    assert state_path().read_bytes() == before


async def test_an_account_without_state_raises(project: Path) -> None:
    client = FakeClient()
    with pytest.raises(ProjectStateMissingError) as caught:
        await resolve_scope(client, ACCOUNT, project)
    assert "orgSlug" in (caught.value.hint or "")
    assert client.calls == []
    assert not state_path().exists()


async def test_anonymous_creates_and_persists(project: Path) -> None:
    client = FakeClient(created=Project(id="p-9", slug="demo-project"))
    assert await resolve_scope(client, ANONYMOUS, project) == Scope("anon-org", "demo-project")
    assert client.calls == [("create", "anon-org", "demo-project", "demo-project")]
    assert read_state() == ProjectState("anon-org", "demo-project", "p-9")
    client.calls.clear()
    await resolve_scope(client, ANONYMOUS, project)
    assert client.calls == []


async def test_the_folders_name_is_sent_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "My Bot (2)"
    folder.mkdir()
    client = FakeClient(created=Project(id="p", slug="server-says"))
    assert await resolve_scope(client, ANONYMOUS, folder) == Scope("anon-org", "server-says")
    assert client.calls == [("create", "anon-org", "My Bot (2)", "my-bot--2")]
    assert read_state(folder) == ProjectState("anon-org", "server-says", "p")


async def test_a_relative_folder_has_its_real_name(project: Path) -> None:
    client = FakeClient(created=Project(id="p", slug="demo-project"))
    await resolve_scope(client, ANONYMOUS, Path())
    assert client.calls == [("create", "anon-org", "demo-project", "demo-project")]


async def test_409_reuses_the_listed_project(project: Path) -> None:
    client = FakeClient(
        created=taken(),
        listed=[Project(id="p-1", slug="other"), Project(id="p-2", slug="demo-project")],
    )
    assert await resolve_scope(client, ANONYMOUS, project) == Scope("anon-org", "demo-project")
    assert client.calls[1:] == [("list", "anon-org")]
    assert read_state() == ProjectState("anon-org", "demo-project", "p-2")


async def test_409_unlisted_raises_the_409(project: Path) -> None:
    error = taken()
    client = FakeClient(created=error, listed=[Project(id="p-1", slug="other")])
    with pytest.raises(ApiError) as caught:
        await resolve_scope(client, ANONYMOUS, project)
    assert caught.value is error
    assert not state_path().exists()


@pytest.mark.parametrize("status", [400, 401, 403, 426, 500])
async def test_other_errors_raise_without_listing(project: Path, status: int) -> None:
    client = FakeClient(created=ApiError(status, "no"))
    with pytest.raises(ApiError):
        await resolve_scope(client, ANONYMOUS, project)
    assert [call[0] for call in client.calls] == ["create"]
    assert not state_path().exists()


async def test_an_anonymous_identity_without_org_is_told(project: Path) -> None:
    client = FakeClient()
    with pytest.raises(CredentialsIncompleteError):
        await resolve_scope(client, AnonymousCredentials(token="t"), project)
    assert client.calls == []


async def test_an_unusable_state_counts_as_none(project: Path) -> None:
    state_path().parent.mkdir()
    state_path().write_text("{")
    client = FakeClient(created=Project(id="p", slug="demo-project"))
    await resolve_scope(client, ANONYMOUS, project)
    assert read_state() == ProjectState("anon-org", "demo-project", "p")


async def test_a_state_that_cannot_be_written_is_told(project: Path) -> None:
    (project / ".arkor").write_text("a file")
    client = FakeClient(created=Project(id="p", slug="demo-project"))
    with pytest.raises(WriteFailedError):
        await resolve_scope(client, ANONYMOUS, project)
