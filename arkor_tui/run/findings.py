"""What recipes learn about a run, in words that an archive and a screen understand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FindingKind = Literal["sample", "guard", "notice", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a recipe learned; kept with the run by whoever archives it.

    ``name`` is the recipe's. ``data`` holds JSON values only, and no secrets:

    - ``sample``: ``prompt`` (index from 0), ``text``, ``name`` (the prompt's own, or empty),
      ``system``, ``target`` (``base``, ``checkpoint``, ``final``), ``reply``, ``passed`` (or None),
      ``verdict``, ``seconds``
    - ``guard``: ``guard``, ``reason``, ``value``, ``limit``, ``action`` (``now``, ``checkpoint``),
      ``phase`` (``armed``, ``stopping``, ``stopped``, ``failed``), ``message`` (what
      came of a stop, or empty)
    - ``notice``: ``service``, ``event``, ``ok``, ``error``, ``first`` (true where nobody
      was told of such a failure of this run)
    - ``error`` (a callback raised, or the process with the callbacks failed): ``event``,
      ``message``, ``hint``, ``file``, ``line``, ``traceback``
    """

    kind: FindingKind
    name: str
    step: int | None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gauge:
    """How far a guard is from firing: ``share`` goes from 0 (far) to 1 (fires)."""

    name: str
    value: float | None = None
    limit: float | None = None
    share: float | None = None
    text: str = ""
    state: Literal["watching", "warming", "armed", "fired", "off"] = "watching"
