"""One finding of ``arkor-tui doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``name`` is stable; ``hint`` says what to do where something is to be done."""

    name: str
    status: Status
    detail: str
    hint: str | None = None
