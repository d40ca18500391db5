"""What a training job is, after every field of its request was checked.

The server makes a :class:`TrainingSpec` from the request (``jobconfig``), stores it as JSON, and
hands it to the training process. Nothing here imports the engine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, make_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from arkor_tui.params import PARAMETERS, FormatType, Parameter, Steps
from arkor_tui.params import Optimizer as Optimizer
from arkor_tui.params import Scheduler as Scheduler
from arkor_tui.text.redact import redact_url

OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)
SCHEDULERS: tuple[str, ...] = get_args(Scheduler)


@dataclass(frozen=True, slots=True)
class Every:
    """A step setting: ``steps`` (absolute) or ``ratio`` (share of all steps); never both."""

    steps: int | None = None
    ratio: float | None = None

    def resolve(self, total: int) -> int:
        """The number of steps in a run of ``total``; a ratio is rounded up, at least 1 if > 0."""
        if self.steps is not None:
            return self.steps
        ratio = self.ratio or 0.0
        return max(1, -int(-ratio * total // 1)) if ratio > 0 else 0


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Where rows come from and how they are read.

    ``kind`` file: ``location`` is an absolute path. blob: an address (``token`` is sent as bearer
    when it is fetched). huggingface: a hub name with ``split`` and ``subset``.
    """

    kind: Literal["file", "blob", "huggingface"]
    location: str
    split: str | None = None
    subset: str | None = None
    token: str | None = field(default=None, repr=False)
    format: FormatType | None = None
    column_mapping: dict[str, str] = field(default_factory=dict)
    held_out: float = 0.0
    """Share (below 1) or count (1 and more) of the rows that is held out; 0 for none."""
    split_seed: int = 42

    def without_secrets(self) -> DatasetSpec:
        """As it may be shown: no token, and an address without what may be one."""
        location = redact_url(self.location) if self.kind == "blob" else self.location
        return replace(self, token=None, location=location)


def sendable_token(token: str) -> bool:
    """Whether ``token`` can stand in a header; the HTTP library quotes one that cannot."""
    return token.isascii() and token.isprintable() and " " not in token


@dataclass(frozen=True, slots=True)
class _SpecHead:
    name: str
    model: str
    model_source: str
    dataset: DatasetSpec

    def to_json(self) -> str:
        """Write the spec as one JSON line. It holds the dataset token, if any: 0600 places only."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        raw["dataset"] = DatasetSpec(**raw["dataset"])
        for parameter in SETTINGS:
            if isinstance(parameter.kind, Steps) and parameter.spec in raw:
                raw[parameter.spec] = Every(**raw[parameter.spec])
        return cls(**raw)


def default_of(parameter: Parameter) -> Any:
    """What the engine takes where nothing is sent."""
    value = parameter.default
    return Every(steps=value) if isinstance(parameter.kind, Steps) else value


SETTINGS: tuple[Parameter, ...] = tuple(p for p in PARAMETERS.values() if p.spec is not None)
"""The parameters that the engine reads from a :class:`TrainingSpec`."""

if TYPE_CHECKING:

    class TrainingSpec(_SpecHead):
        """All settings of one run: an attribute for each of :data:`SETTINGS`, by its ``spec`` name.

        ``model_source`` is what the engine loads: a folder, a ``.gguf`` file or a hub id; ``model``
        is the name that the client used. ``max_steps`` wins over ``epochs`` when both are set.
        """

        def __init__(
            self, name: str, model: str, model_source: str, dataset: DatasetSpec, **settings: Any
        ) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

else:
    TrainingSpec = make_dataclass(
        "TrainingSpec",
        [(parameter.spec, Any, field(default=default_of(parameter))) for parameter in SETTINGS],
        bases=(_SpecHead,),
        namespace={"__module__": __name__},
        frozen=True,
        slots=True,
    )
