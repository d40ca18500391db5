"""Who gets in."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from arkor_tui.api.client import CLIENT_HEADER

from .conftest import Server, open_client


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:80"])
async def test_a_foreign_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/v1/me", headers={"Host": host})
    assert response.status_code in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:4000"])
async def test_a_loopback_host_is_fine(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/me", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.com"])
async def test_a_web_page_is_refused(client: httpx.AsyncClient, origin: str) -> None:
    response = await client.get("/v1/me", headers={"Origin": origin})
    assert response.status_code == 403


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic {token}", "{token}"])
async def test_without_the_token_nobody_gets_in(server: Server, authorization: str) -> None:
    async with open_client(server) as client:
        client.headers["Authorization"] = authorization.format(token=server.token)
        response = await client.get("/v1/jobs")
    assert response.status_code == 401
    assert "token" in response.json()["error"]


@pytest.mark.parametrize(("version", "reason"), [(None, "missing"), ("nonsense", "malformed")])
async def test_a_client_that_does_not_name_itself_gets_426(
    server: Server, version: str | None, reason: str
) -> None:
    async with open_client(server) as client:
        del client.headers[CLIENT_HEADER]
        if version:
            client.headers[CLIENT_HEADER] = version
        response = await client.get("/v1/me")
    assert response.status_code == 426
    assert response.json()["error"] == "sdk_version_unsupported"
    assert response.json()["reason"] == reason


async def test_every_answer_says_that_it_is_the_embedded_backend(server: Server) -> None:
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for path in ("/", "/v1/me", "/nothing"):
            assert "X-Arkor-Tui-Backend" in (await stranger.get(server.url + path)).headers


async def test_errors_are_json(client: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/me", 405),
        ("GET", "/v1/jobs/job_nothing", 404),
        ("GET", "/v1/jobs/..%2f..%2ftoken", 404),
        ("GET", "/v1/endpoints", 501),
        ("DELETE", "/v1/endpoints/e/keys/k", 501),
    ):
        response = await client.request(method, path)
        assert response.status_code == status, path
        assert response.json()["error"]


async def test_a_huge_body_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", content=b"[" + b" " * 5_000_000 + b"]")
    assert response.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b'{"name": NaN}', b"\xff"])
async def test_what_is_not_json_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    assert (await client.post("/v1/jobs", content=body)).status_code == 400


async def test_no_tokens_are_handed_out(server: Server) -> None:
    async with open_client(server, token="") as client:
        response = await client.post("/v1/auth/anonymous", json={"kind": "cli"})
    assert response.status_code == 403
    assert "--allow-anonymous" in response.json()["error"]


async def test_a_stock_client_gets_an_identity_when_that_is_allowed(
    make_server: Any, script: Any
) -> None:
    server = make_server(
        allow_anonymous=True, map_models={"unsloth/gemma-4-E4B-it": "arkor-tui/tiny"}
    )
    async with open_client(server, token="") as client:
        assert (await client.get("/v1/auth/cli/config")).json()["clientId"] is None
        login = (await client.post("/v1/auth/anonymous", json={"kind": "cli"})).json()
        org = login["personalOrg"]["slug"]
        client.headers["Authorization"] = f"Bearer {login['token']}"
        assert (await client.get("/v1/me")).json()["orgs"][0]["slug"] == org
        body = {"name": "demo", "slug": "demo"}
        made = await client.post("/v1/projects", params={"orgSlug": org}, json=body)
        assert made.status_code == 201
        again = await client.post("/v1/projects", params={"orgSlug": org}, json=body)
        assert again.status_code == 409
        listed = (await client.get("/v1/projects", params={"orgSlug": org})).json()["projects"]
        assert [project["slug"] for project in listed] == ["demo"]
        scope = {"orgSlug": org, "projectSlug": "demo"}
        request = script("started", "complete")
        request["config"]["model"] = "unsloth/gemma-4-E4B-it"
        created = await client.post("/v1/jobs", params=scope, json=request)
        assert created.status_code == 201
        jobs = (await client.get("/v1/jobs", params=scope)).json()["jobs"]
        assert [each["id"] for each in jobs] == [created.json()["job"]["id"]]
        other = {"orgSlug": "local", "projectSlug": "demo"}
        assert (await client.get("/v1/jobs", params=other)).json()["jobs"] == []
    assert login["token"].encode() not in (server.data_dir / "backend.db").read_bytes()
