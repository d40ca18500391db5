"""The manifest: what tools look for in a project's entry file (docs/protocol.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from .trainer import Trainer


@dataclass(frozen=True, slots=True)
class Arkor:
    """A frozen record with one optional slot."""

    trainer: Trainer | None = None
    _kind: Literal["arkor"] = field(default="arkor", repr=False)


def create_arkor(*, trainer: Trainer | None = None) -> Arkor:
    """Make the manifest of a project."""
    return Arkor(trainer)


def is_arkor(value: object) -> TypeGuard[Arkor]:
    """Whether ``value`` is a manifest, whichever copy of this package made it."""
    return getattr(value, "_kind", None) == "arkor"


def is_trainer(value: Any) -> TypeGuard[Trainer]:
    """Whether ``value`` can be run: it has callable ``start``, ``wait`` and ``cancel``."""
    return not isinstance(value, type) and all(
        callable(getattr(value, name, None)) for name in ("start", "wait", "cancel")
    )
