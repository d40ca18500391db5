"""Which backend, as whom: and no token ever goes where it does not belong."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from arkor_tui import ReconnectPolicy, Trainer
from arkor_tui.api import proof
from arkor_tui.api.chat import ChatRequest
from arkor_tui.api.errors import ConnectionFailedError
from arkor_tui.config.credentials import (
    AnonymousCredentials,
    CredentialsUnreadableError,
    OAuthCredentials,
    credentials_path,
    read_credentials,
    write_credentials,
)
from arkor_tui.config.folders import config_dir
from arkor_tui.config.local_backend import (
    CHALLENGE_HEADER,
    PROOF_HEADER,
    LocalBackendError,
    backend_file,
    proof_of,
)
from arkor_tui.config.state import ProjectState, write_state
from arkor_tui.connect.connection import (
    Connection,
    chosen_backend,
    connect,
    embedded_connection,
    is_embedded_backend,
)
from arkor_tui.connect.embedded import EMBEDDED_HEADER, EmbeddedBackendError, is_ours
from arkor_tui.errors import UsageError
from tests.support.scripted import JOB_ID, LOCAL_TOKEN, Answer, Reply, Server, Unanswered, announce

CLOUD_TOKEN = "cloud-secret"
STATE = ProjectState("my-org", "my-project", "p-1")


@pytest.fixture
def token_file(home: Path) -> Path:
    path = home / "token"
    write_token(path, LOCAL_TOKEN)
    return path


def write_token(path: Path, token: str) -> None:
    path.touch(0o600)
    path.write_text(token + "\n")


def signed_in(url: str | None = None, project: Path | None = None) -> None:
    write_credentials(OAuthCredentials(access_token=CLOUD_TOKEN, cloud_api_url=url))
    if project is not None:
        write_state(STATE, project)


def told(server: Server) -> str:
    """Everything that the server was sent, headers and all."""
    return json.dumps([[r.target, r.headers, r.body.decode()] for r in server.requests])


# which backend


def settings(backend: str) -> None:
    (config_dir() / "settings.toml").write_text(f'backend = "{backend}"\n')


@pytest.mark.parametrize("asked", ["local", "cloud", "http://127.0.0.1:1", "https://x.example"])
def test_what_was_asked_for_comes_first(asked: str) -> None:
    settings("cloud" if asked == "local" else "local")
    assert chosen_backend(asked) == asked


def test_then_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings("local")
    signed_in()
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "https://x.example")
    assert chosen_backend(None) == "local"


def test_then_the_cloud_for_who_has_used_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_backend(None) == "local"
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "")
    assert chosen_backend(None) == "cloud"
    monkeypatch.delenv("ARKOR_CLOUD_API_URL")
    signed_in()
    assert chosen_backend(None) == "cloud"


def test_credentials_that_cannot_be_read_are_no_reason_to_go_local() -> None:
    credentials_path().mkdir(parents=True)
    with pytest.raises(CredentialsUnreadableError):
        chosen_backend(None)


@pytest.mark.parametrize("asked", ["clod", "127.0.0.1:80", "ftp://x"])
def test_anything_else_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="Unknown backend"):
        chosen_backend(asked)


# the cloud


async def test_the_cloud_gets_the_stored_token_and_the_scope_of_the_state(
    server: Server, project: Path
) -> None:
    signed_in(server.url, project)
    connection = await connect("cloud")
    assert (connection.kind, connection.base_url) == ("cloud", server.url)
    assert (connection.identity, connection.bearer) == ("oauth", CLOUD_TOKEN)
    assert (connection.scope.org_slug, connection.scope.project_slug) == ("my-org", "my-project")
    assert CLOUD_TOKEN not in repr(connection)
    assert server.requests == []


async def test_token_and_scope_are_of_one_snapshot_however_late_the_first_request(
    server: Server, project: Path
) -> None:
    signed_in(server.url, project)
    trainer = Trainer.attach(JOB_ID, backend="cloud", policy=ReconnectPolicy(base_delay=0))
    await trainer.connection()
    write_credentials(AnonymousCredentials(token="other", org_slug="other-org"))
    await trainer.start()
    (request,) = server.requests
    assert request.headers["authorization"] == f"Bearer {CLOUD_TOKEN}"
    assert request.query["orgSlug"] == "my-org"
    await trainer.aclose()


async def test_who_has_no_identity_gets_an_anonymous_one_and_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", server.url)
    org = {"id": "o", "slug": "anon-org", "name": "n"}
    server.answers["POST /v1/auth/anonymous"] = Answer(
        200, {"token": "fresh", "anonymousId": "a", "kind": "cli", "personalOrg": org}
    )
    made = {"id": "p", "slug": "demo-project", "name": "demo-project", "orgId": "o"}
    server.answers["POST /v1/projects"] = Answer(201, {"project": made})
    said: list[str] = []
    connection = await connect("cloud", report=said.append)
    assert (connection.bearer, connection.scope.project_slug) == ("fresh", "demo-project")
    assert len(said) == 1
    assert "anonymous identity" in said[0]


async def test_no_identity_is_made_where_that_is_not_wanted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", server.url)
    with pytest.raises(UsageError, match="Not signed in"):
        await connect("cloud", may_create=False)
    assert read_credentials() is None


# the embedded backend behind an address of the cloud


async def test_a_cloud_token_is_never_sent_to_an_embedded_backend(
    embedded: Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", embedded.url + "/")
    with pytest.raises(UsageError, match="never sent to it") as caught:
        await connect("cloud")
    assert "ARKOR_TUI_TOKEN_FILE" in (caught.value.hint or "")
    assert embedded.requests
    assert CLOUD_TOKEN not in told(embedded)


async def test_our_own_embedded_backend_gets_its_own_token_there(
    embedded: Server, project: Path, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in("https://api.arkor.ai", project)
    announce(embedded.url, token_file)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", embedded.url)
    connection = await connect(None)
    assert (connection.identity, connection.bearer) == ("embedded", LOCAL_TOKEN)
    assert (connection.scope.org_slug, connection.scope.project_slug) == ("local", "demo-project")
    assert await connection.client.list_jobs(connection.scope) == []
    await connection.aclose()
    assert embedded.requests[-1].headers["authorization"] == f"Bearer {LOCAL_TOKEN}"
    assert CLOUD_TOKEN not in told(embedded)


async def test_where_nothing_answers_on_this_machine_no_token_is_chosen(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whatever comes up there later would get it
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:1")
    with pytest.raises(ConnectionFailedError, match="Nothing answers"):
        await connect("cloud")


async def test_another_server_of_this_machine_gets_the_cloud_token_as_usual(
    server: Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", server.url)
    connection = await connect("cloud")
    assert connection.bearer == CLOUD_TOKEN
    assert "authorization" not in server.requests[0].headers


async def test_an_anonymous_login_made_at_an_embedded_backend_is_its_own(
    embedded: Server, project: Path
) -> None:
    write_credentials(
        AnonymousCredentials(token="minted-there", org_slug="my-org", cloud_api_url=embedded.url)
    )
    write_state(STATE, project)
    assert (await connect("cloud")).bearer == "minted-there"


# the embedded token stays home


async def test_who_took_the_port_of_our_backend_does_not_get_its_token(
    server: Server, project: Path, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(server.url, token_file)  # it answers, but not as an embedded backend
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", server.url)
    assert (await connect("cloud")).bearer == CLOUD_TOKEN
    with pytest.raises(EmbeddedBackendError, match="not running"):
        await connect("local", may_start=False)
    assert LOCAL_TOKEN not in told(server)


async def test_another_embedded_backend_on_that_port_does_not_get_it_either(
    embedded: Server, project: Path, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(embedded.url, token_file)
    embedded.token = "of somebody else"
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", embedded.url)
    with pytest.raises(UsageError, match="whose token is not at hand"):
        await connect("cloud")
    with pytest.raises(EmbeddedBackendError, match="not running"):
        await connect("local", may_start=False)
    assert LOCAL_TOKEN not in told(embedded)
    assert CLOUD_TOKEN not in told(embedded)


async def test_each_question_is_another_one(embedded: Server, token_file: Path) -> None:
    info = announce(embedded.url, token_file)
    assert await is_ours(info)
    assert await is_ours(info)
    asked = [request.headers[CHALLENGE_HEADER.lower()] for request in embedded.requests]
    assert len(set(asked)) == 2
    port = httpx.URL(embedded.url).port or 0
    proof = proof_of(LOCAL_TOKEN, asked[0], port)  # what was once overheard is worth nothing
    embedded.answers["GET /"] = Answer(200, {}, {EMBEDDED_HEADER: "0", PROOF_HEADER: proof})
    assert not await is_ours(info)


async def test_while_our_backend_does_not_run_nobody_is_sent_its_token(
    embedded: Server, token_file: Path
) -> None:
    announce(embedded.url, token_file)
    connection = await connect("local")
    backend_file().unlink()
    with pytest.raises(ConnectionFailedError, match="does not run now"):
        connection.find_again()
    announce(embedded.url, token_file)
    assert connection.find_again() is connection.client
    await connection.aclose()


ASKS: dict[str, Callable[[Connection], Awaitable[object]]] = {
    "jobs": lambda c: c.client.list_jobs(c.scope),
    "cancel": lambda c: c.client.cancel_job(c.scope, JOB_ID),
    "events": lambda c: c.client.open_event_stream(c.scope, JOB_ID, None).__aenter__(),
    "chat": lambda c: c.client.chat(c.scope, ChatRequest.model_validate(CHAT)),
    "found again": lambda c: c.find_again().get_job(c.scope, JOB_ID),
}
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "baseModel": "m"}


@pytest.mark.parametrize("asks", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("other", ["", "of somebody else"], ids=["another program", "another user"])
async def test_who_takes_the_port_while_we_are_connected_gets_nothing(
    embedded: Server,
    token_file: Path,
    asks: Callable[[Connection], Awaitable[object]],
    other: str,
) -> None:
    announce(embedded.url, token_file)
    connection = await connect("local")
    assert await connection.client.list_jobs(connection.scope) == []
    assert embedded.requests[-1].headers["authorization"] == f"Bearer {LOCAL_TOKEN}"
    embedded.requests.clear()
    embedded.token = other or None
    with pytest.raises(ConnectionFailedError, match="another program answers there"):
        await asks(connection)
    assert [request.target for request in embedded.requests] == ["/"]
    assert LOCAL_TOKEN not in told(embedded)
    embedded.token = LOCAL_TOKEN
    assert await connection.client.list_jobs(connection.scope) == []
    await connection.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {}, {PROOF_HEADER: "ü"}),
        Answer(200, {}, {"Connection": "close"}),
        Answer(200, b"", {"Content-Length": "100000"}),
        Unanswered(),
    ],
    ids=["no ASCII", "closed", "cut off", "silent"],
)
async def test_an_answer_that_proves_nothing_ends_the_connection(
    embedded: Server, token_file: Path, answer: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce(embedded.url, token_file)
    connection = await connect("local")
    monkeypatch.setattr(proof, "_SECONDS", 0.05)
    embedded.answers["GET /"] = answer
    with pytest.raises(ConnectionFailedError):
        await connection.client.list_jobs(connection.scope)
    assert LOCAL_TOKEN not in told(embedded)
    await connection.aclose()


async def test_the_cloud_never_gets_the_embedded_token(
    server: Server, embedded: Server, project: Path, token_file: Path
) -> None:
    announce(embedded.url, token_file)
    signed_in(server.url, project)
    assert (await connect("cloud")).bearer == CLOUD_TOKEN
    assert LOCAL_TOKEN not in told(server)


async def test_the_local_backend_is_used_as_it_runs(
    embedded: Server, token_file: Path, project: Path
) -> None:
    signed_in("https://api.arkor.ai", project)
    announce(embedded.url, token_file)
    connection = await connect("local")
    assert (connection.kind, connection.identity) == ("local", "embedded")
    assert (connection.bearer, connection.base_url) == (LOCAL_TOKEN, embedded.url)
    assert not (project / ".arkor" / "state.json").read_text().count("local")
    assert CLOUD_TOKEN not in told(embedded)


async def test_a_backend_that_came_back_elsewhere_is_found_again(
    embedded: Server, server: Server, token_file: Path
) -> None:
    announce(embedded.url, token_file)
    connection = await connect("local")
    before = connection.find_again()
    assert connection.find_again() is before
    write_token(token_file, "another-secret")
    announce(server.url, token_file)
    after = connection.find_again()
    assert after is not before
    assert (connection.base_url, connection.bearer) == (server.url, "another-secret")
    await connection.aclose()
    await connection.aclose()  # it is closed already
    named = embedded_connection(announce(embedded.url, token_file), Path.cwd())
    named.kind = "url"  # a server that was named is looked for nowhere else
    announce(server.url, token_file)
    assert named.find_again().base_url == embedded.url


async def test_a_backend_that_is_not_on_this_machine_is_never_asked(token_file: Path) -> None:
    backend_file().parent.mkdir(parents=True)
    content = {"url": "http://x.example:80", "pid": os.getpid(), "tokenFile": str(token_file)}
    backend_file().write_text(json.dumps(content))
    with pytest.raises(LocalBackendError, match="not on this machine"):
        await connect("local", may_start=False)


async def test_a_token_that_others_can_read_is_not_used(embedded: Server, token_file: Path) -> None:
    info = announce(embedded.url, token_file)
    os.chmod(token_file, 0o644)
    for attempt in (connect("local"), connect(embedded.url)):
        with pytest.raises(LocalBackendError, match="Other users"):
            await attempt
    with pytest.raises(LocalBackendError, match="Other users"):
        embedded_connection(info, Path.cwd())
    assert LOCAL_TOKEN not in told(embedded)


# a named server


async def test_a_named_server_uses_the_token_file_that_was_given(
    embedded: Server, token_file: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in("https://api.arkor.ai", project)
    monkeypatch.setenv("ARKOR_TUI_TOKEN_FILE", str(token_file))
    connection = await connect(embedded.url + "/")
    assert (connection.kind, connection.base_url) == ("url", embedded.url)
    assert (connection.identity, connection.bearer) == ("embedded", LOCAL_TOKEN)
    assert CLOUD_TOKEN not in told(embedded)


async def test_a_token_file_that_is_missing_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKOR_TUI_TOKEN_FILE", str(home / "none"))
    with pytest.raises(LocalBackendError, match="none"):
        await connect("http://127.0.0.1:1")


async def test_a_named_server_that_is_our_embedded_backend_gets_its_token(
    embedded: Server, token_file: Path
) -> None:
    announce(embedded.url, token_file)
    connection = await connect(embedded.url)
    assert (connection.kind, connection.bearer) == ("url", LOCAL_TOKEN)


async def test_a_named_server_gets_credentials_that_were_made_there(
    server: Server, project: Path
) -> None:
    signed_in(server.url, project)
    assert (await connect(server.url)).bearer == CLOUD_TOKEN


async def test_a_named_server_gets_no_credentials_of_another(server: Server, project: Path) -> None:
    signed_in("https://api.arkor.ai", project)
    with pytest.raises(UsageError, match="belong to another server"):
        await connect(server.url)
    assert CLOUD_TOKEN not in told(server)


async def test_a_backend_is_known_by_a_header_without_a_token(
    server: Server, embedded: Server
) -> None:
    assert await is_embedded_backend(embedded.url)
    assert not await is_embedded_backend(server.url)
    assert not await is_embedded_backend("http://127.0.0.1:1")
    assert "authorization" not in told(embedded) + told(server)


async def test_whoever_answers_oddly_there_is_no_backend(server: Server) -> None:
    """httpx reads the address of a redirect even where it does not follow it."""
    for location in ("javascript:1", "http://127.0.0.1:x/", "//"):
        server.answers["GET /"] = Answer(302, b"", {"Location": location})
        assert not await is_embedded_backend(server.url)


async def test_a_trainer_decides_once_and_keeps_its_backend(
    server: Server, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(server.url, project)
    trainer = Trainer.attach(JOB_ID)
    first = await trainer.connection()
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", "http://127.0.0.1:1")
    credentials_path().unlink()
    assert await trainer.connection() is first
    await trainer.start()
    await trainer.aclose()
    await trainer.cancel()  # it opens again
    await trainer.aclose()
    assert len(server.cancellations) == 1
