"""Each route: what is sent, what is read, and how it fails. Over real HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import ValidationError

from arkor_tui.api.chat import AdapterRef, ChatRequest
from arkor_tui.api.client import CLIENT_VERSION, CloudApiClient
from arkor_tui.api.endpoints import (
    AdapterTarget,
    BaseModelTarget,
    EndpointCreate,
    EndpointUpdate,
)
from arkor_tui.api.errors import (
    ApiError,
    ConnectionFailedError,
    NotArkorError,
    UpgradeRequiredError,
)
from arkor_tui.api.jobs import HuggingFaceSource, JobConfig, JobCreate
from arkor_tui.api.notices import DeprecationNotice
from arkor_tui.api.scope import Scope
from arkor_tui.errors import UsageError
from tests.support.scripted import BEARER, DROP, JOB, JOB_ID, SCOPE, Answer, Server, Stream

SCOPE_QUERY = {"orgSlug": SCOPE.org_slug, "projectSlug": SCOPE.project_slug}
ODD = "a/b ?#é%"
ODD_SEGMENT = "a%2Fb%20%3F%23%C3%A9%25"
DEPLOYMENT = {
    "id": "e-1",
    "slug": "triage",
    "orgId": "o",
    "projectId": "p",
    "target": {"kind": "adapter", "adapter": {"kind": "final", "jobId": JOB_ID}},
    "authMode": "fixed_api_key",
    "urlFormat": "openai_compat",
    "enabled": True,
    "customDomain": None,
    "createdAt": "2026-08-07T10:00:00.000Z",
    "updatedAt": "2026-08-07T10:00:00.000Z",
}
PROJECT = {"id": "p-1", "slug": "demo", "name": "Demo", "orgId": "o-1"}
ASK = ChatRequest(
    messages=[{"role": "user", "content": "hi"}], adapter=AdapterRef(kind="final", job_id=JOB_ID)
)


def a_job(**config: Any) -> JobCreate:
    source = HuggingFaceSource(name="arkorlab/triage-demo")
    return JobCreate(
        name="run", config=JobConfig(model="any/model", dataset_source=source, **config)
    )


# what every request has


async def test_every_request_says_which_protocol_and_who(server: Server) -> None:
    server.answers["GET /v1/me"] = Answer(200, {"user": {"id": "u", "email": None}, "orgs": []})
    async with server.client() as client:
        await client.me()
    (request,) = server.requests
    assert request.headers["x-arkor-client"] == CLIENT_VERSION
    assert request.headers["user-agent"].startswith("arkor-tui/")
    assert request.headers["authorization"] == f"Bearer {BEARER}"


async def test_the_two_login_calls_carry_no_token(server: Server) -> None:
    server.answers["POST /v1/auth/anonymous"] = Answer(
        200,
        {
            "token": "t",
            "anonymousId": "a",
            "kind": "cli",
            "personalOrg": {"id": "o", "slug": "s", "name": "n"},
        },
    )
    server.answers["GET /v1/auth/cli/config"] = Answer(
        200, {"auth0Domain": None, "clientId": None, "audience": None, "callbackPorts": []}
    )
    async with server.client() as client:
        login = await client.login_anonymous()
        await client.cli_config()
    assert login.token == "t"
    assert server.requests[0].json == {"kind": "cli"}
    assert all("authorization" not in request.headers for request in server.requests)
    assert all(request.headers["x-arkor-client"] == CLIENT_VERSION for request in server.requests)


async def test_trailing_slashes_of_the_address_are_cut(server: Server) -> None:
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": []})
    async with CloudApiClient(server.url + "///", bearer=BEARER) as client:
        assert await client.list_jobs(SCOPE) == []
    assert server.requests[0].raw_path == "/v1/jobs"


async def test_ids_and_slugs_are_percent_encoded(server: Server) -> None:
    server.job["id"] = ODD
    scope = Scope("org &=é", "p/q")
    async with server.client() as client:
        await client.get_job(scope, ODD)
    (request,) = server.requests
    assert request.raw_path == f"/v1/jobs/{ODD_SEGMENT}"
    assert request.query == {"orgSlug": "org &=é", "projectSlug": "p/q"}


# jobs


async def test_creating_a_job_posts_name_and_config_to_the_scope(server: Server) -> None:
    async with server.client() as client:
        job = await client.create_job(SCOPE, a_job(dry_run=False))
    (request,) = server.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/jobs", SCOPE_QUERY)
    assert request.headers["content-type"] == "application/json"
    assert request.json == {
        "name": "run",
        "config": {
            "model": "any/model",
            "datasetSource": {"type": "huggingface", "name": "arkorlab/triage-demo"},
            "dryRun": False,
        },
    }
    assert (job.id, job.status) == (JOB_ID, "queued")


async def test_a_job_keeps_unknown_fields_and_any_model(server: Server) -> None:
    server.job.update(novel={"x": 1}, config={"model": "their/own", "rank": 3})
    async with server.client() as client:
        detail = await client.get_job(SCOPE, JOB_ID)
    assert detail.job.extra == {"novel": {"x": 1}}
    assert (detail.job.config.model, detail.job.config.extra) == ("their/own", {"rank": 3})
    assert detail.events is None


async def test_a_job_may_come_with_its_events(server: Server) -> None:
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(200, {"job": JOB, "events": [{"a": 1}]})
    async with server.client() as client:
        assert (await client.get_job(SCOPE, JOB_ID)).events == [{"a": 1}]


async def test_times_are_normalised_to_text(server: Server) -> None:
    server.job.update(createdAt=1_754_560_800_000, startedAt="2026-08-07T10:00:00Z")
    async with server.client() as client:
        job = (await client.get_job(SCOPE, JOB_ID)).job
    assert job.created_at == "2025-08-07T10:00:00+00:00"
    assert (job.started_at, job.completed_at) == ("2026-08-07T10:00:00Z", None)


@pytest.mark.parametrize("status", ["queued", "running", "completed", "failed", "cancelled"])
async def test_these_five_statuses_are_known(server: Server, status: str) -> None:
    server.job["status"] = status
    async with server.client() as client:
        job = (await client.get_job(SCOPE, JOB_ID)).job
    assert job.is_terminal == (status not in ("queued", "running"))


@pytest.mark.parametrize(
    "change", [{"status": "paused"}, {"id": None}, {"config": {}}, {"name": 7}, {"orgId": None}]
)
async def test_another_status_or_a_missing_field_is_not_arkor(
    server: Server, change: dict[str, Any]
) -> None:
    server.job.update(change)
    server.answers[f"GET /v1/jobs/{JOB_ID}"] = Answer(200, {"job": server.job})
    async with server.client() as client:
        with pytest.raises(NotArkorError, match=f"GET /v1/jobs/{JOB_ID}"):
            await client.get_job(SCOPE, JOB_ID)


async def test_cancel_takes_any_success_whatever_its_body(server: Server) -> None:
    path = f"/v1/jobs/{JOB_ID}/cancel"
    server.answers[f"POST {path}"] = [Answer(204), Answer(202, b"<ok>"), Answer(200, {"job": JOB})]
    async with server.client() as client:
        for _ in range(3):
            await client.cancel_job(SCOPE, JOB_ID)
    assert all(request.query == SCOPE_QUERY for request in server.asked("POST", path))
    assert all(request.body == b"" for request in server.requests)


# projects


async def test_projects_are_listed_and_created_in_an_organisation(server: Server) -> None:
    server.answers["GET /v1/projects"] = Answer(
        200, {"org": {"slug": "org", "id": "o"}, "projects": [PROJECT]}
    )
    server.answers["POST /v1/projects"] = [
        Answer(201, {"project": PROJECT}),
        Answer(409, {"error": "slug taken"}),
    ]
    async with server.client() as client:
        assert (await client.list_projects("org")).projects[0].slug == "demo"
        assert (await client.create_project("org", "Demo", "demo")).id == "p-1"
        with pytest.raises(ApiError, match="slug taken") as caught:
            await client.create_project("org", "Demo", "demo")
    assert caught.value.status == 409
    assert server.requests[1].json == {"name": "Demo", "slug": "demo"}
    assert all(request.query == {"orgSlug": "org"} for request in server.requests)


# endpoints


async def test_each_verb_on_endpoints_has_its_path_scope_and_body(server: Server) -> None:
    one = Answer(200, {"deployment": DEPLOYMENT})
    server.answers.update(
        {
            "GET /v1/endpoints": Answer(200, {"deployments": [DEPLOYMENT]}),
            "POST /v1/endpoints": Answer(201, {"deployment": DEPLOYMENT}),
            "GET /v1/endpoints/e-1": one,
            "PATCH /v1/endpoints/e-1": one,
            "DELETE /v1/endpoints/e-1": Answer(204),
        }
    )
    adapter = AdapterRef(kind="checkpoint", job_id=JOB_ID, step=20)
    async with server.client() as client:
        assert [d.slug for d in await client.list_endpoints(SCOPE)] == ["triage"]
        await client.create_endpoint(
            SCOPE,
            EndpointCreate(
                slug="triage",
                target=AdapterTarget(adapter=adapter),
                auth_mode="none",
                run_retention_mode="days",
                run_retention_days=7,
            ),
        )
        assert (await client.get_endpoint(SCOPE, "e-1")).auth_mode == "fixed_api_key"
        change = EndpointUpdate(enabled=False, target=BaseModelTarget(base_model="m"))
        await client.update_endpoint(SCOPE, "e-1", change)
        await client.delete_endpoint(SCOPE, "e-1")
    assert all(request.query == SCOPE_QUERY for request in server.requests)
    assert server.requests[1].json == {
        "slug": "triage",
        "target": {
            "kind": "adapter",
            "adapter": {"kind": "checkpoint", "jobId": JOB_ID, "step": 20},
        },
        "authMode": "none",
        "runRetentionMode": "days",
        "runRetentionDays": 7,
    }
    assert server.requests[3].json == {
        "enabled": False,
        "target": {"kind": "base_model", "baseModel": "m"},
    }


async def test_a_target_of_an_unknown_kind_does_not_cost_the_list(server: Server) -> None:
    menu = {**DEPLOYMENT, "id": "e-2", "target": {"kind": "model_menu"}, "expiresAt": None}
    server.answers["GET /v1/endpoints"] = Answer(200, {"deployments": [DEPLOYMENT, menu]})
    async with server.client() as client:
        kinds = [d.target["kind"] for d in await client.list_endpoints(SCOPE)]
    assert kinds == ["adapter", "model_menu"]


@pytest.mark.parametrize("slug", ["a", "-ab", "ab-", "A-b", "a_b", "x" * 51, "ab\n"])
def test_a_slug_that_the_server_would_refuse_is_refused_here(slug: str) -> None:
    with pytest.raises(ValidationError):
        EndpointCreate(slug=slug, target=BaseModelTarget(base_model="m"), auth_mode="none")


@pytest.mark.parametrize(
    "retention",
    [{"run_retention_mode": "days"}, {"run_retention_mode": "unlimited", "run_retention_days": 1}],
)
def test_days_go_with_the_mode_days_and_only_so(retention: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EndpointUpdate(**retention)


async def test_a_key_is_shown_once_and_never_in_a_list(server: Server) -> None:
    key = {"id": "k", "label": "ci", "prefix": "ak_", "plaintext": "ak_secret"}
    path = "/v1/endpoints/e-1/keys"
    server.answers[f"GET {path}"] = Answer(200, {"keys": [{**key, "lastUsedAt": None}]})
    server.answers[f"POST {path}"] = Answer(201, {"key": key})
    server.answers[f"DELETE {path}/k"] = Answer(204)
    async with server.client() as client:
        (listed,) = await client.list_endpoint_keys(SCOPE, "e-1")
        made = await client.create_endpoint_key(SCOPE, "e-1", "  ci ")
        await client.delete_endpoint_key(SCOPE, "e-1", "k")
    assert "secret" not in listed.model_dump_json()
    assert made.plaintext == "ak_secret"
    assert "secret" not in repr(made)
    assert server.requests[1].json == {"label": "ci"}


@pytest.mark.parametrize("body", [{"keys": None}, {"keys": [1]}, [], {"keys": [{"id": 1}]}, b"x"])
async def test_a_list_of_keys_of_another_shape_is_not_arkor(server: Server, body: Any) -> None:
    server.answers["GET /v1/endpoints/e-1/keys"] = Answer(200, body)
    async with server.client() as client:
        with pytest.raises(NotArkorError):
            await client.list_endpoint_keys(SCOPE, "e-1")


# chat


async def test_a_chat_is_one_post_with_its_json(server: Server) -> None:
    turns = [
        {"role": "user", "content": "call it"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "done", "tool_call_id": "c"},
    ]
    reply = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "ok"}}]}
    server.answers["POST /v1/inference/chat"] = Answer(200, reply)
    request = ChatRequest(messages=turns, base_model="m", max_tokens=5, temperature=0)
    async with server.client() as client:
        answer = await client.chat(SCOPE, request)
    assert (answer.text, answer.finish_reason) == ("ok", "stop")
    (asked,) = server.requests
    assert asked.query == SCOPE_QUERY
    assert asked.json == {
        "messages": turns,
        "baseModel": "m",
        "maxTokens": 5,
        "temperature": 0,
        "stream": False,
    }


async def test_a_refused_chat_is_never_sent_again(server: Server) -> None:
    server.answers["POST /v1/inference/chat"] = Answer(
        400, {"error": "no tools here", "code": "tool_calling_not_configured"}
    )
    async with server.client() as client:
        with pytest.raises(ApiError, match="no tools here") as caught:
            await client.chat(SCOPE, ASK)
        with pytest.raises(ApiError, match="no tools here"):
            async with client.stream_chat(SCOPE, ASK):
                pytest.fail("it was refused")
    assert caught.value.code == "tool_calling_not_configured"
    assert caught.value.hint
    assert len(server.requests) == 2


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices": 1}', b"<html>"])
async def test_a_reply_of_another_shape_is_not_arkor(server: Server, body: bytes) -> None:
    server.answers["POST /v1/inference/chat"] = Answer(200, body)
    async with server.client() as client:
        with pytest.raises(NotArkorError):
            await client.chat(SCOPE, ASK)


async def test_leaving_a_streamed_chat_hangs_up(server: Server) -> None:
    never = asyncio.Event()
    server.answers["POST /v1/inference/chat"] = Stream((b'data: "hel"\n\n', never))
    async with server.client() as client, client.stream_chat(SCOPE, ASK) as deltas:
        assert (await anext(deltas)).text == "hel"
    await server.requests[0].gone.wait()
    assert server.requests[0].json["stream"] is True


async def test_a_streamed_chat_that_breaks_off_says_so(server: Server) -> None:
    server.answers["POST /v1/inference/chat"] = Stream((b'data: "hel"\n\n', DROP))
    async with server.client() as client, client.stream_chat(SCOPE, ASK) as deltas:
        assert (await anext(deltas)).text == "hel"
        with pytest.raises(ConnectionFailedError, match="middle of the reply"):
            await anext(deltas)


# errors


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error": "no such job", "code": "x"}', "no such job"),
        (b'{"error": ""}', '{"error": ""}'),
        (b'{"error": 7}', '{"error": 7}'),
        (b"plain words", "plain words"),
        (b"", "POST /v1/jobs answered with status 418"),
        (b" \n ", "POST /v1/jobs answered with status 418"),
        (b"\x1b[31m", "POST /v1/jobs answered with status 418"),
        (b'{"error": "\\u001b]52;c;AAAA\\u0007red"}', "red"),
    ],
)
async def test_an_error_has_the_servers_own_words(server: Server, body: bytes, text: str) -> None:
    server.answers["POST /v1/jobs"] = Answer(418, body)
    async with server.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.create_job(SCOPE, a_job())
    assert (caught.value.status, caught.value.message) == (418, text)


async def test_an_error_that_quotes_the_token_is_told_without_it(server: Server) -> None:
    for body in ({"error": f"no: Bearer {BEARER}"}, f"Authorization: Bearer {BEARER}"):
        content = body.encode() if isinstance(body, str) else body
        server.answers["GET /v1/me"] = Answer(400, content)
        async with CloudApiClient(server.url, bearer=BEARER) as client:
            with pytest.raises(ApiError) as caught:
                await client.me()
        assert BEARER not in f"{caught.value} {caught.value.hint} {vars(caught.value)}"
        assert "Bearer …" in str(caught.value)


async def test_a_redirect_is_not_followed_so_that_no_token_goes_elsewhere(server: Server) -> None:
    server.answers["GET /v1/jobs"] = Answer(307, b"", {"Location": f"{server.url}/elsewhere"})
    async with server.client() as client:
        with pytest.raises(ApiError) as caught:
            await client.list_jobs(SCOPE)
    assert caught.value.status == 307
    assert len(server.requests) == 1


async def test_a_426_is_an_upgrade_with_what_to_do(server: Server) -> None:
    body = {"error": "sdk_version_unsupported", "supportedRange": ">=1", "upgrade": "do this"}
    server.answers["GET /v1/jobs"] = Answer(426, body)
    async with server.client() as client:
        with pytest.raises(UpgradeRequiredError, match=">=1") as caught:
            await client.list_jobs(SCOPE)
    assert caught.value.hint == "do this"


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1", "no-scheme", "http://[", "ftp://x"])
async def test_an_address_that_cannot_be_reached_is_named(url: str) -> None:
    async with CloudApiClient(url) as client:
        with pytest.raises(ConnectionFailedError) as caught:
            await client.me()
    assert (url or "empty") in str(caught.value)
    assert caught.value.hint


async def test_an_answer_that_breaks_off_is_a_failed_connection(server: Server) -> None:
    server.answers["GET /v1/jobs"] = Answer(200, b"{", {"Content-Length": "100"})
    async with server.client() as client:
        with pytest.raises(ConnectionFailedError):
            await client.list_jobs(SCOPE)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_json_does_not_have_are_refused_in_a_job(value: float) -> None:
    with pytest.raises(ValidationError):
        a_job(learning_rate=value)


@pytest.mark.parametrize("content", [math.nan, object(), "\ud83d"])
async def test_messages_that_json_cannot_hold_are_a_usage_error(
    server: Server, content: Any
) -> None:
    request = ASK.model_copy(update={"messages": [{"role": "user", "content": content}]})
    async with server.client() as client:
        with pytest.raises(UsageError, match="cannot be written as JSON"):
            await client.chat(SCOPE, request)
    assert server.requests == []


# deprecation

OLD = {"Deprecation": "true", "Warning": '299 - "upgrade to 2"', "Sunset": "Sat, 01 Jan 2028"}


async def test_a_notice_is_kept_from_any_answer_and_the_latest_wins(server: Server) -> None:
    server.answers["GET /v1/jobs"] = [
        Answer(200, {"jobs": []}, OLD),
        Answer(500, {"error": "x"}, {**OLD, "Warning": '299 - "now really"'}),
        Answer(200, {"jobs": []}),
    ]
    async with server.client() as client:
        await client.list_jobs(SCOPE)
        assert client.notice == DeprecationNotice("upgrade to 2", "Sat, 01 Jan 2028")
        with pytest.raises(ApiError):
            await client.list_jobs(SCOPE)
        await client.list_jobs(SCOPE)
        assert client.notice == DeprecationNotice("now really", "Sat, 01 Jan 2028")


async def _fails(notice: DeprecationNotice) -> None:
    await asyncio.sleep(0)
    raise RuntimeError("handler")


def _raises(notice: DeprecationNotice) -> None:
    raise RuntimeError("handler")


@pytest.mark.parametrize("handler", [_fails, _raises])
async def test_a_handler_that_fails_harms_no_request(
    server: Server, handler: Callable[[DeprecationNotice], Awaitable[None] | None]
) -> None:
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": []}, OLD)
    async with server.client(on_notice=handler) as client:
        assert await client.list_jobs(SCOPE) == []
        assert client.notice is not None


async def test_a_handler_hears_each_notice_and_those_of_streams_too(server: Server) -> None:
    server.script(Answer(401, {"error": "no"}, OLD))
    server.answers["GET /v1/jobs"] = Answer(200, {"jobs": []}, OLD)
    heard: list[str] = []
    async with server.client(on_notice=lambda notice: heard.append(notice.message)) as client:
        await client.list_jobs(SCOPE)
        with pytest.raises(ApiError):
            async with client.open_event_stream(SCOPE, JOB_ID, None):
                pytest.fail("it was refused")
    assert heard == ["upgrade to 2", "upgrade to 2"]
