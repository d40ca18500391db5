"""What can be asked: how it is named, typed and listed, and what is meant where nobody says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import one_line

# A command declares its options with what is here: nothing heavy before it must be.
if TYPE_CHECKING:
    from arkor_tui.api.chat import AdapterRef
    from arkor_tui.api.jobs import JobDetail

Kind = Literal["base", "checkpoint", "final", "latest"]


@dataclass(frozen=True, slots=True)
class Target:
    """A base model, the checkpoint at ``step``, a final adapter, or ``latest``.

    ``latest`` is the final adapter of a completed run, else its newest checkpoint.
    ``model`` and ``job_id`` say of which model and run; a target that a person typed has neither
    until :meth:`RunTargets.find` has found it. ``run`` is the run's name, for people.
    """

    kind: Kind
    step: int | None = None
    model: str = ""
    job_id: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        if (self.kind == "checkpoint") != (self.step is not None):
            raise ValueError("a step goes with a checkpoint, and only so")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``base``, ``final``, ``latest``, a step, or ``step 25``.

        Raises:
            UsageError: it is none of them.
        """
        word = text.strip().casefold()
        for kind in _WORDS:
            if word == kind:
                return cls(kind)
        number = word.removeprefix("step").strip()
        if number.isascii() and number.isdecimal() and len(number) < 16:
            return cls("checkpoint", int(number))
        shown = one_line(text, limit=60)
        raise UsageError(
            f"{shown!r} is nothing that can be asked.",
            hint="Say base, final, latest, or the step of a checkpoint.",
        )

    @property
    def label(self) -> str:
        """For people: ``base``, ``step 25``, ``final`` or ``latest``."""
        return label_of(self.kind, self.step)

    @property
    def described(self) -> str:
        """For people, with model and run."""
        if self.kind == "base":
            return f"base model {self.model}".rstrip()
        what = f"checkpoint {self.step}" if self.kind == "checkpoint" else f"{self.kind} adapter"
        return f"{what} of {self.run}" if self.run else what

    @property
    def adapter(self) -> AdapterRef | None:
        """How the wire names its weights; None for a base model.

        Raises:
            UsageError: it is not known yet which ones these are.
        """
        from arkor_tui.api.chat import AdapterRef

        if self.kind == "base":
            return None
        if self.kind == "latest" or not self.job_id:
            raise UsageError(f"{self.label} of which run? Find it among the run's targets first.")
        return AdapterRef(kind=self.kind, job_id=self.job_id, step=self.step)

    def __str__(self) -> str:
        return self.label


_WORDS: tuple[Kind, ...] = ("base", "final", "latest")
LATEST = Target("latest")


@dataclass(frozen=True, slots=True)
class RunTargets:
    """What can be asked of one run. ``steps`` are those of its checkpoints, as far as known."""

    run: str
    job_id: str
    model: str
    status: str
    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, detail: JobDetail, known: Iterable[int] = ()) -> RunTargets:
        """From a backend's answer, with checkpoints that are known from elsewhere."""
        job = detail.job
        steps = sorted({*known, *saved_steps(detail.events or ())})
        return cls(job.name, job.id, job.config.model, job.status, tuple(steps))

    def at(self, kind: Kind, step: int | None = None) -> Target:
        """A target of this run, whether it is there or not."""
        return Target(kind, step, self.model, self.job_id, self.run)

    @property
    def all(self) -> list[Target]:
        """In the order of training: base, checkpoints, final adapter."""
        final = [self.at("final")] if self.status == "completed" else []
        return [self.at("base"), *(self.at("checkpoint", step) for step in self.steps), *final]

    @property
    def latest(self) -> Target | None:
        """What is meant where nobody says: the newest that was trained; None if nothing was."""
        return next((one for one in reversed(self.all) if one.kind != "base"), None)

    def find(self, wanted: Target = LATEST) -> Target:
        """Find what was typed. A step is taken as it is where no checkpoint is known at all.

        Raises:
            UsageError: it is not there; the hint says what is.
        """
        if wanted.kind == "latest":
            found = self.latest
            if found is None:
                raise UsageError(
                    f"{self._name} is {self.status}, and no checkpoint of it is known.",
                    hint="Name one with --step N, or ask the base model with --base.",
                )
            return found
        if wanted.kind == "final" and self.status != "completed":
            raise UsageError(
                f"{self._name} has no final adapter; it is {self.status}.",
                hint="Say latest for its newest checkpoint, or name one by its step.",
            )
        if wanted.step is not None and self.steps and wanted.step not in self.steps:
            raise UsageError(
                f"There is no checkpoint {wanted.step} of {self._name}.",
                hint=f"There are: {_some(self.steps)}.",
            )
        return self.at(wanted.kind, wanted.step)

    def pick(self, wanted: Sequence[Target]) -> list[Target]:
        """Find several, each once, in the order of training; the latest where none is wanted.

        Raises:
            UsageError: one of them is not there.
        """
        found = {self.find(target) for target in wanted or (LATEST,)}
        return sorted(found, key=order_of)

    @property
    def _name(self) -> str:
        return one_line(self.run, limit=80)


def order_of(target: Target) -> tuple[int, int]:
    """The place of a target in training, to sort by."""
    place = {"base": 0, "checkpoint": 1}.get(target.kind, 2)
    return place, target.step or 0


def saved_steps(events: Iterable[Mapping[str, Any]]) -> set[int]:
    """The steps of the checkpoints that events tell of."""
    return {
        event["step"]
        for event in events
        if event.get("type") == "checkpoint.saved" and type(event.get("step")) is int
    }


def _some(steps: Sequence[int], most: int = 12) -> str:
    shown = ", ".join(map(str, steps[-most:]))
    return f"… {shown}" if len(steps) > most else shown


def label_of(kind: str, step: int | None) -> str:
    """Name a target for people, as an archive has it: ``base``, ``step 25``, ``final``."""
    return f"step {step}" if kind == "checkpoint" and step is not None else kind
