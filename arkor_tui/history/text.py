"""Foreign values in a shape that the archive can hold."""

from __future__ import annotations

import json
import math
from typing import Any


def clean(text: str) -> str:
    """``text`` as valid Unicode: lone halves of surrogate pairs become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """``value`` as JSON that every reader takes: numbers beyond all bounds become null."""
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=ascii_only, allow_nan=False)
    return clean(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def object_of(text: str) -> dict[str, Any]:
    """The JSON object in ``text``; empty where it is none."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
