"""Numbers that JSON cannot hold, made harmless for every reader of JSON."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """``value``, made of what JSON knows, with None for every NaN and infinity in it.

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
