"""What a training job is, after every field of its request was checked.

The server makes a :class:`TrainingSpec` from the request (``jobconfig``), stores it as JSON, and
hands it to the training process. Nothing here imports the engine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from arkor_tui.datasets.formats import FormatType
from arkor_tui.text.redact import redact_url

Optimizer = Literal["adamw_torch", "adamw", "sgd", "adafactor"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]

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
class TrainingSpec:
    """All settings of one run. ``max_steps`` wins over ``epochs`` when both are set.

    ``model_source`` is what the engine loads: a folder, a ``.gguf`` file or a hub id; ``model`` is
    the name that the client used. ``save_every``, ``eval_every`` and ``log_every`` of 0 mean never
    (``log_every``: 0 means at the end only).
    """

    name: str
    model: str
    model_source: str
    dataset: DatasetSpec
    lora_r: int = 16
    lora_alpha: float = 16.0
    max_length: int = 512
    max_steps: int | None = None
    epochs: float = 1.0
    learning_rate: float = 2e-4
    batch_size: int = 8
    weight_decay: float = 0.0
    optimizer: Optimizer = "adamw_torch"
    scheduler: Scheduler = "linear"
    warmup: Every = Every(steps=0)
    log_every: Every = Every(steps=1)
    save_every: Every = Every(steps=0)
    eval_every: Every = Every(steps=0)
    responses_only: bool = False
    dry_run: bool = False
    seed: int = 42

    def to_json(self) -> str:
        """The spec as one JSON line. It holds the dataset token, if any: 0600 places only."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TrainingSpec:
        """Read what :meth:`to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        raw["dataset"] = DatasetSpec(**raw["dataset"])
        for name in ("warmup", "log_every", "save_every", "eval_every"):
            raw[name] = Every(**raw[name])
        return cls(**raw)
