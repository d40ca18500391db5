"""JSON as other programs understand it: no NaN, no infinity, in either direction."""

from __future__ import annotations

import json
import math
from typing import Any

from .sanitize import escape_controls


class NotJsonError(ValueError):
    """The text is not a JSON object."""


def finite(value: Any) -> Any:
    """Return ``value``, made of what JSON knows, with None for every NaN and infinity in it.

    Goes through the values of dicts, lists and tuples (which come back as lists), however deep.
    What was given is not changed.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return value


def read_object(content: bytes) -> dict[str, Any]:
    """Read the JSON object in ``content`` (UTF-8; broken bytes become U+FFFD).

    Raises:
        NotJsonError: not JSON, or not an object. The message never quotes the content, which may
            hold secrets.
    """
    try:
        value = json.loads(
            content.decode("utf-8", "replace"), parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, RecursionError):
        # the cause would carry the whole document
        raise NotJsonError("not JSON") from None
    if not isinstance(value, dict):
        raise NotJsonError(f"not a JSON object but {type(value).__name__}")
    return value


def write_object(value: dict[str, Any]) -> str:
    """Write ``value`` with an indent of two spaces and no final newline."""
    return json.dumps(value, indent=2, allow_nan=False)


def shown_as_sent(value: Any) -> str:
    """Write ``value`` as JSON that is harmless plain text too: what is shown can be sent.

    Raises:
        ValueError: a NaN or an infinity is in it.
    """
    return escape_controls(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def _refuse(token: str) -> float:
    raise ValueError(token)


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
