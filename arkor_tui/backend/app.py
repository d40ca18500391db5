"""The routes of the docs/protocol.md, section 3."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from arkor_tui._version import __version__
from arkor_tui.text.sanitize import plain

from .chatroutes import chat_reply
from .feed import Feed
from .gate import OWNER, answer, identity_of, refuse
from .inference import InferenceProcess
from .jobconfig import InvalidConfigError, check_job
from .limits import BODY_BYTES, BODY_SECONDS, MAX_LIVE_JOBS, MAX_STREAMS, Slots
from .models import ModelRegistry
from .runner import JobRunner
from .store import Store, StoredJob

PING_SECONDS = 15.0
"""Between two signs of life on a quiet stream."""

_PAGE = 500  # events that are read at once
_ENGINE = ("torch", "transformers", "peft")
_SLUG = re.compile(r"[a-z0-9-]{1,100}")


@dataclass(frozen=True, slots=True)
class Backend:
    """Everything that routes need. ``has_engine`` says whether jobs can be trained here."""

    store: Store
    feed: Feed
    runner: JobRunner
    inference: InferenceProcess
    models: ModelRegistry
    datasets: dict[str, Path]
    allow_anonymous: bool = False
    ping_seconds: float = PING_SECONDS
    body_seconds: float = BODY_SECONDS
    streams: Slots = field(default_factory=lambda: Slots(MAX_STREAMS))
    has_engine: Callable[[], bool] = lambda: all(find_spec(name) is not None for name in _ENGINE)


class RefusedError(Exception):
    """Ends a request with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def make_app(backend: Backend) -> Starlette:
    """The application, without the gate in front of it."""

    def route(
        path: str, method: str, handler: Callable[[Backend, Request], Awaitable[Response]]
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(backend, request)
            except RefusedError as refusal:
                return refusal.response

        return Route(path, endpoint, methods=[method])

    everything = ["GET", "POST", "PATCH", "DELETE"]
    routes = [
        route("/", "GET", _hello),
        route("/v1/auth/anonymous", "POST", _anonymous),
        route("/v1/auth/cli/config", "GET", _cli_config),
        route("/v1/me", "GET", _me),
        route("/v1/projects", "GET", _list_projects),
        route("/v1/projects", "POST", _create_project),
        route("/v1/jobs", "GET", _list_jobs),
        route("/v1/jobs", "POST", _create_job),
        route("/v1/jobs/{job_id}", "GET", _get_job),
        route("/v1/jobs/{job_id}/cancel", "POST", _cancel_job),
        route("/v1/jobs/{job_id}/events/stream", "GET", _stream),
        route("/v1/inference/chat", "POST", _chat),
        Route("/v1/endpoints", _no_endpoints, methods=everything),
        Route("/v1/endpoints/{rest:path}", _no_endpoints, methods=everything),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _http_error,
            sqlite3.Error: _store_error,
            Exception: _server_error,
        },
    )
    app.router.redirect_slashes = False  # where to would be up to the request's Host
    return app


async def _hello(_: Backend, __: Request) -> Response:
    return answer({"server": "arkor-tui", "version": __version__})


async def _anonymous(backend: Backend, request: Request) -> Response:
    if not backend.allow_anonymous:
        return refuse(
            403,
            "This backend hands out no tokens. Start it with `arkor-tui serve --allow-anonymous`, "
            "or use the token of its token file.",
        )
    body = await json_body(request, backend)
    kind = body.get("kind") if isinstance(body, dict) else None
    if kind not in ("cli", "web"):
        return refuse(400, "kind must be cli or web.")
    made = await backend.store.create_identity()
    if made is None:
        return refuse(
            503, "This backend has made as many anonymous identities as it may.", "too_many"
        )
    token, identity, org = made
    return answer(
        {
            "token": token,
            "anonymousId": identity,
            "kind": kind,
            "personalOrg": {"id": org, "slug": org, "name": "Anonymous"},
        }
    )


async def _cli_config(_: Backend, __: Request) -> Response:
    return answer({"auth0Domain": None, "clientId": None, "audience": None, "callbackPorts": []})


async def _me(_: Backend, request: Request) -> Response:
    identity, org = identity_of(request)
    name = "This machine" if (identity, org) == OWNER else "Anonymous"
    return answer(
        {
            "user": {"id": identity, "email": None, "name": name},
            "orgs": [{"id": org, "slug": org, "name": name}],
        }
    )


async def _list_projects(backend: Backend, request: Request) -> Response:
    org = _org(request)
    return answer(
        {
            "org": {"id": org, "slug": org, "name": org},
            "projects": await backend.store.projects(org),
        }
    )


async def _create_project(backend: Backend, request: Request) -> Response:
    body = await json_body(request, backend)
    name = body.get("name") if isinstance(body, dict) else None
    slug = body.get("slug") if isinstance(body, dict) else None
    if not isinstance(name, str) or not name.strip() or len(name) > 200:
        return refuse(400, "name must be a text of 1 to 200 characters.")
    if not isinstance(slug, str) or not _SLUG.fullmatch(slug):
        return refuse(400, "slug must be 1 to 100 of a-z, 0-9 and -.")
    project = await backend.store.create_project(_org(request), name, slug)
    if project is None:
        return refuse(409, f"The project slug {slug!r} is taken.", "slug_taken")
    return answer({"project": project}, 201)


async def _list_jobs(backend: Backend, request: Request) -> Response:
    query = request.query_params
    jobs = await backend.store.jobs(query.get("orgSlug"), query.get("projectSlug"))
    return answer({"jobs": [job.to_wire() for job in jobs]})


async def _create_job(backend: Backend, request: Request) -> Response:
    body = await json_body(request, backend)
    if not backend.has_engine():
        return refuse(
            503,
            "The training engine is not installed. Install the extra: "
            "pip install 'arkor-tui[local]'",
            "engine_missing",
        )
    try:
        # it looks at files, and may ask a hub
        name, config, spec = await asyncio.to_thread(
            check_job,
            body,
            backend.models,
            backend.datasets,
            may_name_files=identity_of(request) == OWNER,
        )
    except InvalidConfigError as error:
        return refuse(400, f"The job is refused: {error}.", "invalid_config", fields=error.fields)
    query = request.query_params
    job = await backend.store.create_job(
        query.get("orgSlug") or identity_of(request)[1],
        query.get("projectSlug") or "default",
        name,
        config,
        spec,
    )
    if job is None:
        return refuse(
            503,
            f"{MAX_LIVE_JOBS:,} jobs have not ended yet, which is the limit. Cancel some, or wait.",
            "queue_full",
        )
    backend.runner.submit(job.id)
    return answer({"job": job.to_wire()}, 201)


async def _get_job(backend: Backend, request: Request) -> Response:
    job = await _job(backend, request)
    events = await backend.store.milestones(job.id)
    return answer({"job": job.to_wire(), "events": events})


async def _cancel_job(backend: Backend, request: Request) -> Response:
    job = await _job(backend, request)
    if not job.is_terminal:
        await backend.runner.cancel(job.id)
        job = await _job(backend, request)
    return answer({"job": job.to_wire()})


async def _stream(backend: Backend, request: Request) -> Response:
    job = await _job(backend, request)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
    if after > await backend.store.last_seq(job.id):
        after = 0  # not an id of ours: the whole history is better than a gap
    if not backend.streams.take():
        return refuse(
            503, f"{MAX_STREAMS} event streams are open, which is the limit.", "too_many_streams"
        )
    return _Stream(
        _frames(backend, job.id, after), backend.streams, headers={"X-Accel-Buffering": "no"}
    )


class _Stream(StreamingResponse):
    """An event stream; its slot is free again when the client is gone, however it went."""

    def __init__(self, frames: AsyncGenerator[str, None], slots: Slots, **options: Any) -> None:
        super().__init__(frames, media_type="text/event-stream", **options)
        self._opened, self._slots = frames, slots

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            async with contextlib.aclosing(self._opened):
                await super().__call__(scope, receive, send)
        finally:
            self._slots.give_back()


async def _frames(backend: Backend, job_id: str, after: int) -> AsyncGenerator[str, None]:
    """History, then what happens, then ``end``. A slow reader slows nobody but itself."""
    told = ""
    while not backend.feed.closing:
        waiter = backend.feed.waiter(job_id)
        job = await backend.store.job(job_id)
        events = await backend.store.events_after(job_id, after, _PAGE)
        if events:
            after = events[-1].seq
            yield "".join(
                f"id: {event.seq}\nevent: {event.type}\ndata: {event.data}\n\n" for event in events
            )
        elif job is None or job.is_terminal:
            yield "event: end\ndata: {}\n\n"
            return
        elif (why := backend.feed.held_up(job_id)) != told:
            told = why
            yield _ping(why)
        else:
            try:
                async with asyncio.timeout(backend.ping_seconds):
                    await waiter.wait()
            except TimeoutError:
                yield _ping(why)


def _ping(waits: str) -> str:
    """A sign of life; of an extension of ours, why the job waits. Other clients skip its data."""
    data = json.dumps({"waits": waits}) if waits else "{}"
    return f"event: ping\ndata: {data}\n\n"


async def _chat(backend: Backend, request: Request) -> Response:
    if not backend.has_engine():
        return refuse(
            503,
            "The inference engine is not installed. Install the extra: "
            "pip install 'arkor-tui[local]'",
            "engine_missing",
        )
    return await chat_reply(
        await json_body(request, backend),
        store=backend.store,
        runner=backend.runner,
        inference=backend.inference,
        models=backend.models,
        may_name_files=identity_of(request) == OWNER,
    )


async def _no_endpoints(_: Request) -> Response:
    return refuse(501, "This backend has no hosted endpoints; Arkor's cloud does.", "not_here")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {404: "There is no such route.", 405: "This route does not know that method."}
    return refuse(error.status_code, texts.get(error.status_code, str(error.detail)))


async def _store_error(_: Request, error: Exception) -> Response:
    return refuse(
        507, f"The backend cannot use its store: {error}. Check the free space of its disk."
    )


async def _server_error(_: Request, error: Exception) -> Response:
    return refuse(500, f"The backend failed ({type(error).__name__}); its log says more.")


async def _job(backend: Backend, request: Request) -> StoredJob:
    """The job that the path names; the scope is not asked for one (as upstream's local server)."""
    job = await backend.store.job(request.path_params["job_id"])
    if job is None:
        shown = plain(request.path_params["job_id"], limit=80, newlines=False)
        raise RefusedError(refuse(404, f"There is no job {shown!r}.", "not_found"))
    return job


def _org(request: Request) -> str:
    return request.query_params.get("orgSlug") or identity_of(request)[1]


async def json_body(request: Request, backend: Backend) -> Any:
    """The request's JSON, within the limits of size and time. A compressed one is none.

    Raises:
        RefusedError: too large (413), too slow (408) or not JSON (400).
    """
    data = bytearray()
    try:
        async with (
            asyncio.timeout(backend.body_seconds),
            contextlib.aclosing(request.stream()) as chunks,
        ):
            async for chunk in chunks:
                data += chunk
                if len(data) > BODY_BYTES:
                    raise RefusedError(refuse(413, f"The body has more than {BODY_BYTES:,} bytes."))
    except TimeoutError:
        raise RefusedError(refuse(408, "The body did not come in time.")) from None
    except ClientDisconnect:
        raise RefusedError(refuse(400, "The body is incomplete.")) from None
    try:
        return from_json(bytes(data), allow_inf_nan=False)
    except ValueError as error:
        text = plain(str(error), limit=200, newlines=False)
        raise RefusedError(refuse(400, f"The body is not JSON: {text}.")) from error
