"""Say why a run ended: one record for header, log, list, archive and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

EndedBy = Literal["guard", "person", "signal", "callback", "backend", "lost"]
"""Who ended a run: a recipe's guard, a person, a signal to a command, the user's own callback, the
backend by itself (completed or failed), or nobody who can be asked any more."""
_BY: tuple[EndedBy, ...] = get_args(EndedBy)


@dataclass(frozen=True, slots=True)
class Ended:
    """Hold who ended a run and why, in one sentence for people.

    ``guard`` names the guard that fired, ``step`` is where the run was then, and ``checkpoint`` the
    step of the checkpoint that was kept for it.
    """

    by: EndedBy
    sentence: str
    guard: str | None = None
    step: int | None = None
    checkpoint: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it, rather than the backend ending it."""
        return self.by != "backend"

    def __str__(self) -> str:
        """Tell it in one sentence, the same wherever a run's end is told."""
        where = f" at step {self.step}" if self.step is not None else ""
        if self.by == "guard":
            kept = f" (checkpoint {self.checkpoint} is kept)" if self.checkpoint is not None else ""
            return (
                f"Stopped by the guard {self.guard or 'of a recipe'}{where}: {self.sentence}{kept}"
            )
        if self.by == "callback":
            return f"Stopped by a callback{where}: {self.sentence}"
        return self.sentence[:1].upper() + self.sentence[1:]

    def as_dict(self) -> dict[str, Any]:
        """Give JSON values, without what is unknown."""
        values = {
            "by": self.by,
            "sentence": self.sentence,
            "guard": self.guard,
            "step": self.step,
            "checkpoint": self.checkpoint,
        }
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def from_dict(cls, raw: object) -> Ended | None:
        """Read what :meth:`as_dict` gave; None where it is something else."""
        if not isinstance(raw, dict):
            return None
        by = next((known for known in _BY if known == raw.get("by")), None)
        sentence, guard = raw.get("sentence"), raw.get("guard")
        if by is None or not isinstance(sentence, str):
            return None
        steps = [raw.get(name) for name in ("step", "checkpoint")]
        step, checkpoint = (value if type(value) is int else None for value in steps)
        return cls(by, sentence, guard if isinstance(guard, str) else None, step, checkpoint)
