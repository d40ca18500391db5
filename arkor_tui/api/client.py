"""The HTTP client: one method for each route of the protocol reference, section 3."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from arkor_tui._version import __version__
from arkor_tui.errors import UsageError
from arkor_tui.text.redact import Secrets, secrets_of

from . import accounts, endpoints, jobs
from .chat import ChatDelta, ChatReply, ChatRequest, parse_reply
from .deltas import read_deltas
from .errors import ConnectionFailedError, NotArkorError, error_from_response
from .notices import DeprecationNotice, NoticeHandler, hand_over, read_notice
from .proof import ProofOfToken
from .scope import Scope
from .wire import read_json

CLIENT_HEADER = "X-Arkor-Client"
CLIENT_VERSION = "arkor/0.0.3-alpha.1"
"""The release whose protocol we follow: a server answers 426 to a product it does not know."""

USER_AGENT = f"arkor-tui/{__version__}"

_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # in a header's value
_BODY_LIMIT = 64 * 1024 * 1024  # bytes of an answer; beyond it something is not Arkor

ModelT = TypeVar("ModelT", bound=BaseModel)


class CloudApiClient:
    """Talks to one backend as one identity. Close it, or use it as ``async with``.

    ``base_url`` loses its trailing slashes. ``bearer`` is the token, or a function that gives it
    once. ``on_notice`` hears of deprecations in any answer, errors included; :attr:`notice` holds
    the latest in any case. With ``proof`` the server is asked on each new connection to prove that
    it has the token, as only the embedded backend can; whoever cannot is not reached.

    Every method raises :class:`ApiError` for a non-2xx answer, :class:`ConnectionFailedError` where
    the server cannot be reached, and :class:`NotArkorError` where what it says is not the protocol.
    """

    def __init__(
        self,
        base_url: str,
        *,
        bearer: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        on_notice: NoticeHandler | None = None,
        proof: bool = False,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.notice: DeprecationNotice | None = None
        self._on_notice = on_notice
        self._headers = {CLIENT_HEADER: CLIENT_VERSION, "User-Agent": USER_AGENT}
        self._secrets = Secrets()
        self._secrets.add(bearer)
        self._authorization = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._extensions = (
            {"trace": ProofOfToken(self.base_url, bearer)} if proof and bearer else None
        )
        # Proxies and .netrc belong to the world outside: a token for this machine stays on it.
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=not is_this_machine(self.base_url),
            verify=tls_for(self.base_url),
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    # accounts

    async def login_anonymous(self, kind: str = "cli") -> accounts.AnonymousLogin:
        """Mint a new anonymous identity. Sends no token."""
        return await self._json(
            accounts.AnonymousLogin, "POST", "/v1/auth/anonymous", body={"kind": kind}, auth=False
        )

    async def cli_config(self) -> accounts.CliConfig:
        """How to sign in with a browser, as far as the server offers it. Sends no token."""
        return await self._json(accounts.CliConfig, "GET", "/v1/auth/cli/config", auth=False)

    async def me(self) -> accounts.Me:
        """Who the token belongs to."""
        return await self._json(accounts.Me, "GET", "/v1/me")

    async def list_projects(self, org_slug: str) -> accounts.ProjectList:
        """The projects of an organisation."""
        return await self._json(
            accounts.ProjectList, "GET", "/v1/projects", query={"orgSlug": org_slug}
        )

    async def create_project(self, org_slug: str, name: str, slug: str) -> accounts.Project:
        """Create a project; a taken slug is an :class:`ApiError` with status 409."""
        envelope = await self._json(
            accounts.ProjectEnvelope,
            "POST",
            "/v1/projects",
            query={"orgSlug": org_slug},
            body={"name": name, "slug": slug},
        )
        return envelope.project

    # jobs

    async def create_job(self, scope: Scope, job: jobs.JobCreate) -> jobs.Job:
        """Submit a training job."""
        source = job.config.dataset_source
        if isinstance(source, jobs.BlobSource):
            self._secrets.add(source.token, *secrets_of(source.url))
        envelope = await self._json(
            jobs.JobEnvelope, "POST", "/v1/jobs", query=_query(scope), body=job.body()
        )
        return envelope.job

    async def list_jobs(self, scope: Scope) -> list[jobs.Job]:
        """Every job of the scope, in the server's order."""
        return (await self._json(jobs.JobList, "GET", "/v1/jobs", query=_query(scope))).jobs

    async def get_job(self, scope: Scope, job_id: str) -> jobs.JobDetail:
        """One job, with its events where the server sends them."""
        return await self._json(jobs.JobDetail, "GET", _job_path(job_id), query=_query(scope))

    async def cancel_job(self, scope: Scope, job_id: str) -> None:
        """Ask for the job's end. A server may answer 409 for a job that has ended already."""
        await self._send("POST", f"{_job_path(job_id)}/cancel", query=_query(scope))

    @asynccontextmanager
    async def open_event_stream(
        self, scope: Scope, job_id: str, last_event_id: str | None
    ) -> AsyncIterator[httpx.Response]:
        """Open a job's event stream after ``last_event_id`` (None or empty: from its start).

        The response is unread and has a 2xx status. No read timeout: the stream's watchdog is the
        reader's.
        """
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_event_id and _UNSENDABLE.search(last_event_id) is None:
            # without it the history comes again, which is slower but loses nothing
            headers["Last-Event-ID"] = last_event_id.strip()
        async with self._open(
            "GET",
            f"{_job_path(job_id)}/events/stream",
            query=_query(scope),
            headers=headers,
            timeout=httpx.Timeout(30.0, connect=10.0, read=None),
        ) as response:
            yield response

    # inference

    async def chat(self, scope: Scope, request: ChatRequest) -> ChatReply:
        """One whole reply. Never retried: each call is one billed request."""
        wire = {**request.to_wire(), "stream": False}
        body = await self._send(
            "POST",
            "/v1/inference/chat",
            query=_query(scope),
            body=wire,
            timeout=httpx.Timeout(30.0, connect=10.0, read=600.0),
        )
        try:
            return parse_reply(body)
        except ValueError as error:
            raise self._not_arkor("POST /v1/inference/chat") from error

    @asynccontextmanager
    async def stream_chat(
        self, scope: Scope, request: ChatRequest
    ) -> AsyncIterator[AsyncIterator[ChatDelta]]:
        """A streamed reply, piece by piece. Leaving the block stops reading it."""
        wire = {**request.to_wire(), "stream": True}
        opening = self._open(
            "POST",
            "/v1/inference/chat",
            query=_query(scope),
            body=wire,
            headers={"Accept": "text/event-stream"},
            timeout=httpx.Timeout(30.0, connect=10.0, read=600.0),
        )
        async with opening as response, aclosing(read_deltas(response)) as deltas:
            yield deltas

    # endpoints

    async def list_endpoints(self, scope: Scope) -> list[endpoints.Deployment]:
        """Every endpoint of the scope."""
        answer = await self._json(
            endpoints.DeploymentList, "GET", "/v1/endpoints", query=_query(scope)
        )
        return answer.deployments

    async def create_endpoint(
        self, scope: Scope, endpoint: endpoints.EndpointCreate
    ) -> endpoints.Deployment:
        """Create one; a taken slug is an :class:`ApiError` with status 409."""
        answer = await self._json(
            endpoints.DeploymentEnvelope,
            "POST",
            "/v1/endpoints",
            query=_query(scope),
            body=endpoint.to_wire(),
        )
        return answer.deployment

    async def get_endpoint(self, scope: Scope, endpoint_id: str) -> endpoints.Deployment:
        """One endpoint."""
        path = _endpoint_path(endpoint_id)
        answer = await self._json(endpoints.DeploymentEnvelope, "GET", path, query=_query(scope))
        return answer.deployment

    async def update_endpoint(
        self, scope: Scope, endpoint_id: str, change: endpoints.EndpointUpdate
    ) -> endpoints.Deployment:
        """Change what ``change`` names."""
        answer = await self._json(
            endpoints.DeploymentEnvelope,
            "PATCH",
            _endpoint_path(endpoint_id),
            query=_query(scope),
            body=change.to_wire(),
        )
        return answer.deployment

    async def delete_endpoint(self, scope: Scope, endpoint_id: str) -> None:
        """Remove an endpoint for good."""
        await self._send("DELETE", _endpoint_path(endpoint_id), query=_query(scope))

    async def list_endpoint_keys(
        self, scope: Scope, endpoint_id: str
    ) -> list[endpoints.EndpointKey]:
        """An endpoint's keys, never with their plaintext, even if a server sent it."""
        raw = await self._send("GET", f"{_endpoint_path(endpoint_id)}/keys", query=_query(scope))
        try:
            listed = read_json(raw)["keys"]
            return [
                endpoints.EndpointKey.model_validate(
                    {name: value for name, value in key.items() if name != "plaintext"}
                )
                for key in listed
            ]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._not_arkor("GET /v1/endpoints/:id/keys") from error

    async def create_endpoint_key(
        self, scope: Scope, endpoint_id: str, label: str
    ) -> endpoints.NewEndpointKey:
        """Make a key. Its plaintext is told here and never again."""
        answer = await self._json(
            endpoints.NewKeyEnvelope,
            "POST",
            f"{_endpoint_path(endpoint_id)}/keys",
            query=_query(scope),
            body=endpoints.KeyCreate(label=label).to_wire(),
        )
        return answer.key

    async def delete_endpoint_key(self, scope: Scope, endpoint_id: str, key_id: str) -> None:
        """Remove a key for good."""
        path = f"{_endpoint_path(endpoint_id)}/keys/{_segment(key_id)}"
        await self._send("DELETE", path, query=_query(scope))

    # the one way to the wire

    async def _json(
        self,
        model: type[ModelT],
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | bytes | None = None,
        auth: bool = True,
    ) -> ModelT:
        data = await self._send(method, path, query=query, body=body, auth=auth)
        try:
            return model.model_validate(read_json(data))
        except (ValidationError, ValueError) as error:
            raise self._not_arkor(f"{method} {path}") from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | bytes | None = None,
        auth: bool = True,
        timeout: httpx.Timeout | None = None,
    ) -> bytes:
        async with self._open(
            method, path, query=query, body=body, auth=auth, timeout=timeout
        ) as response:
            return await self._read(response)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | bytes | None = None,
        headers: dict[str, str] | None = None,
        auth: bool = True,
        timeout: httpx.Timeout | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """A 2xx answer whose body is unread; anything else raises."""
        merged = {**self._headers, **(self._authorization if auth else {}), **(headers or {})}
        content: bytes | None = None
        if body is not None:
            content = body if isinstance(body, bytes) else _encoded(body)
            merged["Content-Type"] = "application/json"
        try:
            request = self._http.build_request(
                method,
                self.base_url + path,
                params=query,
                # httpx would write str values as ASCII; ids and tokens may be any text
                headers=[(name.encode(), value.encode()) for name, value in merged.items()],
                content=content,
                timeout=timeout or _TIMEOUT,
                extensions=self._extensions,
            )
            response = await self._http.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        try:
            await self._note(response.headers)
            if not response.is_success:
                raise error_from_response(
                    response.status_code,
                    await self._read(response),
                    where=f"{method} {path}",
                    hide=self._secrets.hide,
                )
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        data = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > _BODY_LIMIT:
                    raise self._not_arkor(f"{response.request.method} {response.request.url.path}")
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return bytes(data)

    async def _note(self, headers: httpx.Headers) -> None:
        notice = read_notice(headers)
        if notice is None:
            return
        self.notice = notice
        if self._on_notice is not None:
            await hand_over(notice, self._on_notice)

    def _unreachable(self, error: Exception) -> ConnectionFailedError:
        reason = str(error).rstrip(".") or type(error).__name__
        return ConnectionFailedError(
            f"Cannot reach {self.base_url or 'the backend (its URL is empty)'}: {reason}.",
            hint="Check the address (ARKOR_CLOUD_API_URL, --backend) and the network; "
            "`arkor-tui doctor` shows what is in use.",
        )

    def _not_arkor(self, where: str) -> NotArkorError:
        return NotArkorError(
            f"{self.base_url} did not answer {where} as an Arkor server does.",
            hint="Check the address (ARKOR_CLOUD_API_URL, --backend): another program may be "
            "answering there.",
        )


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"The request cannot be written as JSON: {error}.",
            hint="NaN, infinities, half emoji and Python objects have no form there.",
        ) from error


def is_this_machine(url: str) -> bool:
    """Whether ``url`` names this machine's loopback interface."""
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return False
    return host in ("localhost", "::1") or host.startswith("127.")


def tls_for(url: str) -> ssl.SSLContext | Literal[True]:
    """What httpx is to verify certificates with.

    Reading every authority of the system takes tens of milliseconds for each client, which plain
    HTTP to this machine can do without: the context for it trusts nobody.
    """
    if url.startswith("http://") and is_this_machine(url):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return True


def _query(scope: Scope) -> dict[str, str]:
    return {"orgSlug": scope.org_slug, "projectSlug": scope.project_slug}


def _segment(text: str) -> str:
    return quote(text, safe="")


def _job_path(job_id: str) -> str:
    return f"/v1/jobs/{_segment(job_id)}"


def _endpoint_path(endpoint_id: str) -> str:
    return f"/v1/endpoints/{_segment(endpoint_id)}"
