"""The one way to the wire: headers, deadlines, notices, and every failure in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from arkor_tui.api.errors import ConnectionFailedError, NotArkorError, error_from_response
from arkor_tui.api.http import UnusableAnswerError, advice_for, open_client, read_body, reason_of
from arkor_tui.api.notices import DeprecationNotice, NoticeHandler, hand_over, read_notice
from arkor_tui.api.proof import ProofOfToken
from arkor_tui.api.scope import Scope
from arkor_tui.api.wire import read_json
from arkor_tui.errors import UsageError
from arkor_tui.text.redact import Secrets

CLIENT_HEADER = "X-Arkor-Client"
CLIENT_VERSION = "arkor/0.0.3-alpha.1"
"""The release whose protocol we follow: a server answers 426 to a product it does not know."""

TOTAL_SECONDS = 60.0
"""From the first byte of a request to the last one of its answer, however it drips."""
_WAITS = httpx.Timeout(30.0, connect=10.0)
_BODY_LIMIT = 64 * 1024 * 1024  # bytes of an answer; beyond it something is not Arkor
_ERROR_LIMIT = 1024 * 1024  # bytes of a refusal that are read
_ADDRESS_HINT = "Check the address (ARKOR_CLOUD_API_URL, --backend)"

ModelT = TypeVar("ModelT", bound=BaseModel)


class Caller:
    """Calls one backend as one identity; what it can be asked is added by subject."""

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
        self.secrets = Secrets()
        self.secrets.add(bearer)
        self._on_notice = on_notice
        self._authorization = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._extensions = (
            {"trace": ProofOfToken(self.base_url, bearer)} if proof and bearer else None
        )
        self._transport = transport
        self._opened: httpx.AsyncClient | None = None

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
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    async def json(
        self,
        model: type[ModelT],
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | bytes | None = None,
        auth: bool = True,
    ) -> ModelT:
        """Send a request and read its answer as ``model``."""
        data = await self.send(method, path, query=query, body=body, auth=auth)
        try:
            return model.model_validate(read_json(data))
        except (ValidationError, ValueError) as error:
            raise self.not_arkor(f"{method} {path}") from error

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | bytes | None = None,
        auth: bool = True,
        waits: httpx.Timeout = _WAITS,
        seconds: float | None = None,
    ) -> bytes:
        """Send a request and give the body of its 2xx answer."""
        request = self._request(method, path, query, body, {}, auth, waits)
        async with self._answering(method, path, seconds):
            response = await self._accepted(request)
            try:
                return await read_body(response, _BODY_LIMIT)
            finally:
                await response.aclose()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str],
        body: dict[str, Any] | bytes | None = None,
        headers: dict[str, str],
        waits: httpx.Timeout,
        seconds: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and give its 2xx answer, unread; it begins in time."""
        request = self._request(method, path, query, body, headers, True, waits)
        async with self._answering(method, path, seconds):
            response = await self._accepted(request)
        try:
            yield response
        finally:
            await response.aclose()

    def not_arkor(self, where: str, why: str = "") -> NotArkorError:
        """Make the error for an answer that is not of the protocol."""
        return NotArkorError(
            f"{self.base_url} did not answer {where} as an Arkor server does"
            f"{f': {why}' if why else ''}.",
            hint=f"{_ADDRESS_HINT}: another program may be answering there.",
        )

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: dict[str, Any] | bytes | None,
        headers: dict[str, str],
        auth: bool,
        waits: httpx.Timeout,
    ) -> httpx.Request:
        """Build a request.

        Raises:
            ConnectionFailedError: the address is none.
            UsageError: the body has no form in JSON, or the environment names a proxy or
                certificates that cannot be used.
        """
        merged = {CLIENT_HEADER: CLIENT_VERSION, **(self._authorization if auth else {}), **headers}
        content: bytes | None = None
        if body is not None:
            content = body if isinstance(body, bytes) else _encoded(body)
            merged["Content-Type"] = "application/json"
        if self._opened is None:
            self._opened = open_client(self.base_url, timeout=_WAITS, transport=self._transport)
        try:
            return self._opened.build_request(
                method,
                self.base_url + path,
                params=query,
                # httpx would write str values as ASCII; ids and tokens may be any text
                headers=[(name.encode(), value.encode()) for name, value in merged.items()],
                content=content,
                timeout=waits,
                extensions=self._extensions,
            )
        except httpx.InvalidURL as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def _answering(
        self, method: str, path: str, seconds: float | None
    ) -> AsyncIterator[None]:
        """Bound the time of a request, and tell its failures."""
        seconds = TOTAL_SECONDS if seconds is None else seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            error = httpx.ReadTimeout(f"no whole answer came within {seconds:g} seconds")
            raise self._unreachable(error) from error
        except UnusableAnswerError as error:
            raise self.not_arkor(f"{method} {path}", str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    async def _accepted(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its answer, if that is a 2xx one."""
        assert self._opened is not None
        response = await self._opened.send(request, stream=True)
        if response.is_success:
            await self._note(response.headers)
            return response
        try:
            await self._note(response.headers)
            try:
                body = await read_body(response, _ERROR_LIMIT)
            except UnusableAnswerError:
                body = b""  # the status says enough
            where = f"{request.method} {request.url.path}"
            raise error_from_response(
                response.status_code, body, where=where, hide=self.secrets.hide
            )
        finally:
            await response.aclose()

    async def _note(self, headers: httpx.Headers) -> None:
        notice = read_notice(headers)
        if notice is None:
            return
        self.notice = notice
        if self._on_notice is not None:
            await hand_over(notice, self._on_notice)

    def _unreachable(self, error: Exception) -> ConnectionFailedError:
        return ConnectionFailedError(
            f"Cannot reach {self.base_url or 'the backend (its URL is empty)'}: "
            f"{reason_of(error, self.base_url)}.",
            hint=advice_for(error, self.base_url)
            or f"{_ADDRESS_HINT} and the network; `arkor-tui doctor` shows what is in use.",
        )


def query_of(scope: Scope) -> dict[str, str]:
    """Give the parts of a query that name a scope."""
    return {"orgSlug": scope.org_slug, "projectSlug": scope.project_slug}


def segment(text: str) -> str:
    """Write ``text`` as one part of a path."""
    return quote(text, safe="")


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"The request cannot be written as JSON: {error}.",
            hint="NaN, infinities, half emoji and Python objects have no form there.",
        ) from error
