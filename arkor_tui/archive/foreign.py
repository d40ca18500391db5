"""Foreign values in a shape that the archive can hold."""

from __future__ import annotations

import json
from typing import Any

from arkor_tui.text.jsonsafe import finite


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
        text = json.dumps(finite(value), ensure_ascii=ascii_only, allow_nan=False)
    return clean(text)


def object_of(text: str) -> dict[str, Any]:
    """The JSON object in ``text``; empty where it is none."""
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
