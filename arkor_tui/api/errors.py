"""What can go wrong on the wire, with the server's own words where it gave some."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.redact import redact_text
from arkor_tui.text.sanitize import plain

from .wire import read_json

_MESSAGE_LIMIT = 2_000  # characters of a server's text that are worth showing


class ApiError(ArkorTuiError):
    """The server answered with an error status.

    ``status`` is the HTTP status, ``code`` the server's machine-readable code where it sent one,
    ``fields`` its messages by field of the request (this package's backend sends them).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.fields = fields or {}


class UpgradeRequiredError(ApiError):
    """The server refuses this client's version (426); retrying is useless."""


class ConnectionFailedError(ArkorTuiError):
    """The server could not be reached, or the connection broke."""


class NotArkorError(ArkorTuiError):
    """Something answered, but not in Arkor's protocol."""


class ReplyFailedError(ArkorTuiError):
    """The server gave up in the middle of a reply; what came of it is no whole answer."""


class StreamExhaustedError(ArkorTuiError):
    """The event stream failed more often in a row than the policy allows.

    ``attempts`` is the number of consecutive failures; the last one is the ``__cause__``.
    """

    def __init__(self, message: str, attempts: int) -> None:
        super().__init__(
            message, hint="The job itself may go on: `arkor-tui attach JOB` follows it again."
        )
        self.attempts = attempts


_CODE_HINTS = {
    "invalid_config": "Correct what it names, then start again.",
    "anonymous_token_single_device": (
        "This anonymous identity is in use on another device. `arkor-tui login --anonymous` makes "
        "a new one; then delete .arkor/state.json in the project folder."
    ),
    "anonymous_account_not_found": (
        "This anonymous identity no longer exists. `arkor-tui login --anonymous` makes a new one; "
        "then delete .arkor/state.json in the project folder."
    ),
    "tool_calling_not_configured": (
        "Name the tool (tool_choice 'required' or a function); automatic choice needs an endpoint "
        "that was configured for it."
    ),
}
_STATUS_HINTS = {
    401: "The token is unknown or expired: sign in again with `arkor-tui login`.",
    403: "This identity is not a member of the scope: check .arkor/state.json, or sign in as its "
    "owner with `arkor-tui login`.",
}


def error_from_response(
    status: int, body: bytes, *, where: str, hide: Callable[[str], str] = redact_text
) -> ApiError:
    """The error for a non-2xx answer.

    The message is the envelope's non-empty ``error``, else the raw body, else a text with the
    status. ``where`` names the request, for people. ``hide`` takes out what is secret in what the
    server quotes.
    """
    raw: Any = None
    with contextlib.suppress(ValueError):
        raw = read_json(body)
    envelope = raw if isinstance(raw, dict) else {}
    if status == 426:
        return _upgrade_required(envelope, body, hide)
    code = envelope.get("code")
    code = code if isinstance(code, str) else None
    said = envelope.get("error")
    text = plain(hide(said), limit=_MESSAGE_LIMIT).strip() if isinstance(said, str) else ""
    text = text or plain(hide(_decoded(body)), limit=_MESSAGE_LIMIT).strip()
    hint = _CODE_HINTS.get(code or "") or _STATUS_HINTS.get(status)
    if text.startswith("<"):
        # nobody wants to read a web page in a terminal
        text = f"{where} got a web page with status {status}: this may not be an Arkor server"
        hint = hint or "Check the address (ARKOR_CLOUD_API_URL, --backend)."
    text = text or f"{where} answered with status {status}"
    fields = envelope.get("fields")
    return ApiError(
        status,
        text,
        code=code,
        hint=hint,
        fields={plain(k, limit=200): plain(hide(str(v)), limit=500) for k, v in fields.items()}
        if isinstance(fields, dict)
        else None,
    )


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "replace").strip()


def _upgrade_required(
    envelope: dict[str, Any], body: bytes, hide: Callable[[str], str]
) -> UpgradeRequiredError:
    """A 426 in the documented shape, or in any other, gives a text one can act on."""

    def field(name: str) -> str | None:
        value = envelope.get(name)
        if not isinstance(value, str) or not value:
            return None
        return plain(hide(value), limit=300, newlines=False)

    parts = ["The server does not accept this client's version"]
    if field("reason"):
        parts.append(f"(version header {field('reason')})")
    if field("currentVersion"):
        parts.append(f"(sent {field('currentVersion')})")
    if field("supportedRange"):
        parts.append(f"— it supports {field('supportedRange')}")
    if not envelope:
        text = plain(hide(_decoded(body)), limit=300, newlines=False)
        if text and not text.startswith("<"):
            parts.append(f"— {text}")
    elif field("error") and field("error") != "sdk_version_unsupported":
        parts.append(f"— {field('error')}")
    hint = field("upgrade") or "Upgrade arkor-tui: `pip install -U arkor-tui`."
    return UpgradeRequiredError(426, " ".join(parts) + ".", code=field("error"), hint=hint)
