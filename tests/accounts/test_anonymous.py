"""Protocol reference, section 10, "Credentials": anonymous login and bootstrap, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from arkor_tui.api.accounts import AnonymousLogin
from arkor_tui.api.client import CloudApiClient
from arkor_tui.api.errors import ApiError, ConnectionFailedError, NotArkorError
from arkor_tui.api.login import bootstrap_credentials, login_anonymous
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsUnreadableError,
    OAuthCredentials,
    credentials_path,
    read_credentials,
    write_credentials,
)
from arkor_tui.errors import ArkorTuiError
from tests.support.scripted_cloud import ANONYMOUS_LOGIN, Cloud


@pytest.fixture
async def client(cloud: Cloud) -> AsyncIterator[CloudApiClient]:
    async with CloudApiClient(cloud.url) as client:
        yield client


def silent(text: str) -> None:
    pytest.fail(f"warned: {text}")


async def test_client_header_and_parsed_shape(cloud: Cloud, client: CloudApiClient) -> None:
    credentials = await login_anonymous(client.login_anonymous, cloud.url)
    assert credentials == AnonymousCredentials(
        token="minted-secret",
        anonymous_id="anon-7",
        org_slug="anon-7-org",
        cloud_api_url=cloud.url,
    )
    (request,) = cloud.requests
    assert (request.method, request.path) == ("POST", "/v1/auth/anonymous")
    assert json.loads(request.body) == {"kind": "cli"}
    assert re.fullmatch(r"arkor/\d.*", request.headers["x-arkor-client"])
    assert "authorization" not in request.headers
    assert read_credentials() == credentials
    assert json.loads(credentials_path().read_text()) == {
        "mode": "anon",
        "token": "minted-secret",
        "anonymousId": "anon-7",
        "arkorCloudApiUrl": cloud.url,
        "orgSlug": "anon-7-org",
    }


async def test_an_org_without_slug_goes_by_its_id(cloud: Cloud, client: CloudApiClient) -> None:
    cloud.answers["/v1/auth/anonymous"] = (200, {**ANONYMOUS_LOGIN, "personalOrg": {"id": "o-7"}})
    credentials = await login_anonymous(client.login_anonymous, cloud.url)
    assert credentials.org_slug == "o-7"


async def test_login_replaces_whatever_was_stored(cloud: Cloud, client: CloudApiClient) -> None:
    write_credentials(OAuthCredentials(access_token="old"))
    await login_anonymous(client.login_anonymous, cloud.url)
    stored = read_credentials()
    assert stored is not None
    assert stored.bearer == "minted-secret"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "too many identities"}, "too many identities"),
        (b"plain text", "plain text"),
        (b"", "503"),
        (b"\xff\xfe\x00", ""),
    ],
)
async def test_status_and_snippet_on_error(
    cloud: Cloud, client: CloudApiClient, body: object, text: str
) -> None:
    cloud.answers["/v1/auth/anonymous"] = (503, body)
    with pytest.raises(ApiError) as caught:
        await login_anonymous(client.login_anonymous, cloud.url)
    assert caught.value.status == 503
    assert text in str(caught.value)
    assert not credentials_path().exists()


async def test_an_unreadable_body_is_survived(cloud: Cloud, client: CloudApiClient) -> None:
    cloud.torn = True
    cloud.answers["/v1/auth/anonymous"] = (500, b"half")
    with pytest.raises(ArkorTuiError) as caught:
        await login_anonymous(client.login_anonymous, cloud.url)
    assert isinstance(caught.value, ApiError | ConnectionFailedError)
    assert not credentials_path().exists()


async def test_another_shape_is_told(cloud: Cloud, client: CloudApiClient) -> None:
    cloud.answers["/v1/auth/anonymous"] = (200, {"hello": "world"})
    with pytest.raises(NotArkorError):
        await login_anonymous(client.login_anonymous, cloud.url)
    assert not credentials_path().exists()


async def test_bootstrap_uses_what_is_stored(cloud: Cloud, client: CloudApiClient) -> None:
    stored = OAuthCredentials(access_token="stored")
    write_credentials(stored)
    found = await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert found == stored
    assert cloud.requests == []


async def test_bootstrap_persists(cloud: Cloud, client: CloudApiClient) -> None:
    made = await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert made.bearer == "minted-secret"
    assert read_credentials() == made
    again = await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert again == made
    assert len(cloud.requests) == 1


async def test_a_refusal_leaves_no_file(cloud: Cloud, client: CloudApiClient) -> None:
    cloud.answers["/v1/auth/anonymous"] = (403, {"error": "no"})
    with pytest.raises(ApiError):
        await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert not credentials_path().exists()


async def test_corrupt_warns_once_and_is_replaced(cloud: Cloud, client: CloudApiClient) -> None:
    path = credentials_path()
    path.parent.mkdir()
    path.write_text('{"token": "torn-secret')
    warnings: list[str] = []
    made = await bootstrap_credentials(client.login_anonymous, cloud.url, warn=warnings.append)
    assert read_credentials() == made
    await bootstrap_credentials(client.login_anonymous, cloud.url, warn=warnings.append)
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert "secret" not in warnings[0]


async def test_a_refusal_leaves_the_corrupt_file(cloud: Cloud, client: CloudApiClient) -> None:
    path = credentials_path()
    path.parent.mkdir()
    path.write_text("{")
    cloud.answers["/v1/auth/anonymous"] = (500, {"error": "no"})
    with pytest.raises(ApiError):
        await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert path.read_text() == "{"


async def test_unreadable_is_not_touched_and_nothing_is_asked(
    cloud: Cloud, client: CloudApiClient
) -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(CredentialsUnreadableError):
        await bootstrap_credentials(client.login_anonymous, cloud.url, warn=silent)
    assert cloud.requests == []
    assert credentials_path().is_dir()


async def test_two_at_once_share_one_identity() -> None:
    minted = 0

    async def mint() -> AnonymousLogin:
        nonlocal minted
        minted += 1
        number = minted
        await asyncio.sleep(0.01 * number)
        return AnonymousLogin.model_validate({**ANONYMOUS_LOGIN, "token": f"token-{number}"})

    both = await asyncio.gather(
        *(bootstrap_credentials(mint, "https://c", warn=silent) for _ in range(2))
    )
    assert {each.bearer for each in both} == {"token-1"}
    stored = read_credentials()
    assert stored is not None
    assert stored.bearer == "token-1"
