"""Who gets in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from arkor_tui.api.client import CLIENT_HEADER
from arkor_tui.backend import gate
from arkor_tui.backend.gate import Gate, Hosts
from arkor_tui.config.local_backend import CHALLENGE_HEADER, PROOF_HEADER, proof_of

from .conftest import Server, open_client, raw


@pytest.fixture
def server(kept_server: Server) -> Server:
    """The same for all: nobody gets anything done here."""
    return kept_server


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1:80"])
async def test_a_foreign_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/v1/me", headers={"Host": host})
    assert response.status_code in (400, 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:4000"])
async def test_a_loopback_host_is_fine(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/v1/me", headers={"Host": host})).status_code == 200


HOSTS = {
    "127.0.0.1": True,
    "127.9.9.9:65535": True,
    "LOCALHOST:80": True,
    "[::1]": True,
    "[0:0:0:0:0:0:0:1]:80": True,
    "": False,
    "localhost.": False,
    "127.0.0.1.": False,
    "localhost.evil.example": False,
    "evil.example:localhost": False,
    "me@127.0.0.1": False,
    "evil.example@127.0.0.1:80": False,
    "127.0.0.1@evil.example": False,
    "127.0.0.1/": False,
    "127.0.0.1#.evil.example": False,
    "127.0.0.1:80:80": False,
    "127.0.0.1:٣": False,
    "127.0.0.1:": False,
    "127.0.0.1, evil.example": False,
    "127.0.0.1\tevil.example": False,
    "127.0.0.1\n": False,
    "127.1": False,
    "2130706433": False,
    "0x7f000001": False,
    "0177.0.0.1": False,
    "0.0.0.0": False,
    "192.168.1.5": False,
    "[::]": False,
    "::1": False,
    "[localhost]": False,
    "[::1%25lo]": False,
    "[::ffff:10.0.0.1]": False,
    "loсalhost": False,  # with a Cyrillic letter
}


@pytest.mark.parametrize(("netloc", "known"), HOSTS.items())
def test_which_hosts_are_this_backend(netloc: str, known: bool) -> None:
    assert Hosts().knows(netloc) is known


def test_a_backend_that_listens_elsewhere_is_known_by_that_name_alone() -> None:
    hosts = Hosts(frozenset({"box.lan", "192.168.1.5", "fd00::5"}))
    for netloc in ("box.lan:80", "BOX.lan", "192.168.1.5:80", "[fd00:0::5]:80", "127.0.0.1"):
        assert hosts.knows(netloc), netloc
    for netloc in ("evil.example", "192.168.1.6", "[fd00::6]", "box.lan.evil.example"):
        assert not hosts.knows(netloc), netloc
    everywhere = Hosts(any_address=True)
    assert everywhere.knows("10.1.2.3:80")
    assert everywhere.knows("[2001:db8::1]:80")
    assert not everywhere.knows("evil.example")  # a name can be rebound, an address cannot


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.0",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example",
        "GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n Host: 127.0.0.1",
        "GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.example",
    ],
)
async def test_without_exactly_one_host_there_is_no_answer(server: Server, head: str) -> None:
    said = await raw(server, f"{head}\r\nConnection: close\r\n\r\n".encode())
    assert said.split()[1] in (b"400", b"403"), said
    assert b"arkor-tui" not in said.partition(b"\r\n\r\n")[2]


async def test_the_port_of_a_tunnel_is_fine_and_a_page_of_another_port_is_not(
    server: Server, client: httpx.AsyncClient
) -> None:
    tunnel = {"Host": "localhost:9000"}
    assert (await client.get("/v1/me", headers=tunnel)).status_code == 200
    own = {"Origin": server.url}
    assert (await client.get("/v1/me", headers=own)).status_code == 200
    others = ["http://localhost:9000", "http://127.0.0.1:1", server.url.replace("http", "https")]
    for origin in (*others, server.url + "/", f"{server.url}, {server.url}", ""):
        answer = await client.get("/v1/me", headers={"Origin": origin})
        assert answer.status_code == 403, origin
    twice = [("Origin", server.url), ("Origin", "https://evil.example")]
    assert (await client.get("/v1/me", headers=twice)).status_code == 403


async def test_a_preflight_is_refused_and_nothing_allows_another_origin(
    server: Server, client: httpx.AsyncClient
) -> None:
    asked = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-arkor-client",
        "Access-Control-Request-Private-Network": "true",
    }
    for path in ("/", "/v1/me", "/v1/jobs", "/v1/auth/anonymous", "/v1/inference/chat", "/x"):
        for origin in ("https://evil.example", server.url):
            answer = await client.options(path, headers={**asked, "Origin": origin})
            assert answer.status_code >= 400, path
            refused = await client.get(path, headers={"Origin": origin})
            for headers in (answer.headers, refused.headers):
                assert not [name for name in headers if name.startswith("access-control-")]


async def test_no_answer_leads_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("/v1/jobs/", "/v1/me/", "//v1/me", "/x//evil.example", "/v1//jobs", "/\\evil"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert "location" not in answer.headers


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


@pytest.mark.parametrize(
    "token", [b"\xe9" * 43, "Ω".encode() * 30, b"\xff\xfe", b"x" * 60_000, b"%s"]
)
async def test_a_token_of_any_bytes_is_refused_without_a_crash(
    server: Server, token: bytes
) -> None:
    log = server.data_dir / "server.log"
    before = log.read_bytes()
    async with open_client(server, token="") as client:
        headers = [(b"Authorization", b"Bearer " + token), *client.headers.raw]
        answer = await client.get("/v1/jobs", headers=headers)
    assert answer.status_code == 401
    assert log.read_bytes() == before


async def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return given == wanted

    monkeypatch.setattr(gate.hmac, "compare_digest", compare)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("nobody gets here")

    transport = httpx.ASGITransport(Gate(app, "right", Hosts()))
    headers = {CLIENT_HEADER: "arkor/1.0", "Authorization": "Bearer wrong"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/v1/jobs", headers=headers)).status_code == 401
    assert compared == [(b"wrong", b"right")]


async def test_a_second_host_is_refused_whoever_reads_the_request() -> None:
    """h11 refuses it before; other servers do not."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    for hosts in (["127.0.0.1", "evil.example"], ["evil.example", "127.0.0.1"], []):
        headers = [(b"host", host.encode()) for host in hosts]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
        await Gate(Any, "right", Hosts())(scope, Any, send)  # type: ignore[arg-type]
        assert said.pop(0)["status"] == 403
        said.clear()


async def test_what_is_not_http_does_not_pass() -> None:
    with pytest.raises(ValueError, match="websocket"):
        await Gate(Any, "right", Hosts())({"type": "websocket"}, Any, Any)  # type: ignore[arg-type]


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


async def test_it_proves_to_have_its_token_without_telling_it(server: Server) -> None:
    port = httpx.URL(server.url).port or 0
    async with httpx.AsyncClient(trust_env=False) as stranger:
        for challenge in ("one", "other"):
            asked = {CHALLENGE_HEADER: challenge}
            headers = (await stranger.get(server.url + "/", headers=asked)).headers
            assert headers[PROOF_HEADER] == proof_of(server.token, challenge, port)
        for path, asked in (("/", {}), ("/v1/me", {CHALLENGE_HEADER: "one"})):
            assert (
                PROOF_HEADER not in (await stranger.get(server.url + path, headers=asked)).headers
            )
    assert server.token not in proof_of(server.token, "one", port)
    assert proof_of(server.token, "one", port) != proof_of(server.token, "one", port + 1)


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
    path = script("started", "complete")["config"]["datasetSource"]["path"]
    server = make_server(
        allow_anonymous=True,
        map_models={"unsloth/gemma-4-E4B-it": "arkor-tui/tiny"},
        map_datasets={"arkorlab/demo": path},
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
        request = {
            "name": "run",
            "config": {
                "model": "unsloth/gemma-4-E4B-it",
                "datasetSource": {"type": "huggingface", "name": "arkorlab/demo"},
            },
        }
        created = await client.post("/v1/jobs", params=scope, json=request)
        assert created.status_code == 201
        jobs = (await client.get("/v1/jobs", params=scope)).json()["jobs"]
        assert [each["id"] for each in jobs] == [created.json()["job"]["id"]]
        other = {"orgSlug": "local", "projectSlug": "demo"}
        assert (await client.get("/v1/jobs", params=other)).json()["jobs"] == []
    assert login["token"].encode() not in (server.data_dir / "backend.db").read_bytes()


async def test_an_anonymous_identity_cannot_name_files_of_this_user(
    make_server: Any, script: Any, tmp_path: Path
) -> None:
    server = make_server(allow_anonymous=True)
    request = script("started", "complete", model=str(tmp_path))
    async with open_client(server, token="") as client:
        login = (await client.post("/v1/auth/anonymous", json={"kind": "cli"})).json()
        client.headers["Authorization"] = f"Bearer {login['token']}"
        answer = await client.post("/v1/jobs", json=request)
        chat = {"messages": [{"role": "user", "content": "x"}], "baseModel": str(tmp_path)}
        talk = await client.post("/v1/inference/chat", json=chat)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["config.model", "config.datasetSource"]
    assert "--map-dataset" in answer.json()["error"]
    assert talk.status_code == 400
    assert "--map-model" in talk.json()["error"]
    async with open_client(server) as client:  # its owner may
        talk = await client.post("/v1/inference/chat", json=chat)
        assert "config.json" in talk.json()["error"]


async def test_anonymous_tokens_are_worth_nothing_without_the_option(make_server: Any) -> None:
    server = make_server(allow_anonymous=True)
    async with open_client(server, token="") as client:
        login = (await client.post("/v1/auth/anonymous", json={"kind": "cli"})).json()
    async with open_client(server, login["token"]) as client:
        assert (await client.get("/v1/me")).status_code == 200
    server.stop()
    server.options["allow_anonymous"] = False
    server.start()
    async with open_client(server, login["token"]) as client:
        assert (await client.get("/v1/me")).status_code == 401
