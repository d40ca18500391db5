"""A trainer's settings, and the job request that they make (protocol reference, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from arkor_tui.api.jobs import JobConfig, JobCreate, StepConfig
from arkor_tui.api.wire import mistakes
from arkor_tui.datasets.sources import Dataset, LocalModel, model_name
from arkor_tui.errors import UsageError


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """The adapter: rank ``r``, scaling ``alpha``; ``max_length`` is tokens per example.

    ``load_in_4bit`` keeps the base weights in four bits, which saves memory on Arkor's GPUs. The
    embedded backend refuses True.
    """

    r: int
    alpha: float
    max_length: int | None = None
    load_in_4bit: bool | None = None


Steps = int | float | Mapping[str, Any] | StepConfig
"""A number of steps, ``{"steps": n}``, or ``{"ratio": r}`` of all steps."""


@dataclass(frozen=True, slots=True)
class TrainerInput:
    """Everything that a trainer sends. What is None is left to the backend.

    ``max_steps`` counts optimiser steps, ``num_train_epochs`` passes over the data; one of the two
    is enough. ``batch_size`` is examples per step and device. ``optim`` names the optimiser and
    ``lr_scheduler_type`` the course of the learning rate; both are sent as they are. The embedded
    backend knows the optimisers ``adamw_torch`` (also called ``adamw``), ``sgd`` and ``adafactor``
    and the courses ``linear``, ``cosine``, ``constant`` and ``constant_with_warmup``, and refuses
    others; the cloud has lists of its own, with ``adamw_8bit``, ``linear`` and ``cosine``.
    ``warmup_steps`` is how long the learning rate rises; ``logging_steps``, ``save_steps`` and
    ``eval_steps`` are how often there is a log event, a checkpoint and an eval loss.
    ``dataset_split`` is ``{"enabled", "test_size", "seed"}`` with ``test_size`` as a share below 1;
    without a held-out part there is no eval loss.
    ``train_on_responses_only`` takes the loss over the assistant's tokens only. ``gpu_types`` are
    slugs in order of preference, for the cloud. ``dry_run`` asks for a short run on little data.
    Names on the wire: protocol reference, section 4.
    """

    name: str
    model: str | LocalModel
    dataset: Dataset
    lora: LoraConfig | None = None
    max_steps: int | None = None
    num_train_epochs: float | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    weight_decay: float | None = None
    optim: str | None = None
    lr_scheduler_type: str | None = None
    warmup_steps: Steps | None = None
    logging_steps: Steps | None = None
    save_steps: Steps | None = None
    eval_steps: Steps | None = None
    dataset_split: Mapping[str, Any] | None = None
    dataset_format: Mapping[str, Any] | str | None = None
    train_on_responses_only: bool | None = None
    gpu_types: list[str] | None = None
    dry_run: bool | None = None
    seed: int | None = None

    def changed(self, **changes: Any) -> TrainerInput:
        """A copy with other values."""
        return replace(self, **changes)

    def job_request(self, folder: Path) -> JobCreate:
        """The request; relative paths are taken from ``folder``.

        Raises:
            UsageError: a setting has a type or shape that the wire does not know.
        """
        lora = self.lora
        settings: dict[str, Any] = {
            "model": model_name(self.model, folder),
            "dataset_source": self.dataset.source(folder),
            **({} if lora is None else _lora_fields(lora)),
            **{name: getattr(self, name) for name in _SAME_NAME},
        }
        try:
            config = JobConfig.model_validate(
                {name: value for name, value in settings.items() if value is not None}
            )
            return JobCreate(name=self.name, config=config)
        except ValidationError as error:
            raise UsageError(
                f"The trainer {self.name!r} has settings that cannot be sent: {mistakes(error)}.",
                hint="Correct them in the trainer file.",
            ) from None


_SAME_NAME = (
    "max_steps",
    "num_train_epochs",
    "learning_rate",
    "batch_size",
    "weight_decay",
    "optim",
    "lr_scheduler_type",
    "warmup_steps",
    "logging_steps",
    "save_steps",
    "eval_steps",
    "dataset_split",
    "dataset_format",
    "train_on_responses_only",
    "gpu_types",
    "dry_run",
    "seed",
)


def _lora_fields(lora: LoraConfig) -> dict[str, Any]:
    return {
        "lora_r": lora.r,
        "lora_alpha": lora.alpha,
        "max_length": lora.max_length,
        "load_in_4bit": lora.load_in_4bit,
    }
