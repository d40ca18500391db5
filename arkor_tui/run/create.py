"""``create_trainer``: the one function that a trainer file is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.datasets.sources import Dataset, LocalModel, check_model

from .abort import AbortSignal
from .callbacks import (
    Callback,
    CheckpointContext,
    CompletedContext,
    FailedContext,
    FunctionCallback,
    LogContext,
    StartedContext,
)
from .config import LoraConfig, Steps, TrainerInput
from .hooks import OnCallbackError
from .trainer import Trainer


def create_trainer(
    *,
    name: str,
    model: str | LocalModel,
    dataset: Dataset,
    lora: LoraConfig | None = None,
    max_steps: int | None = None,
    num_train_epochs: float | None = None,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    weight_decay: float | None = None,
    optim: str | None = None,
    lr_scheduler_type: str | None = None,
    warmup_steps: Steps | None = None,
    logging_steps: Steps | None = None,
    save_steps: Steps | None = None,
    eval_steps: Steps | None = None,
    dataset_split: Mapping[str, Any] | None = None,
    dataset_format: Mapping[str, Any] | str | None = None,
    train_on_responses_only: bool | None = None,
    gpu_types: list[str] | None = None,
    dry_run: bool | None = None,
    seed: int | None = None,
    callbacks: Sequence[Callback] = (),
    on_started: Callable[[StartedContext], object] | None = None,
    on_log: Callable[[LogContext], object] | None = None,
    on_checkpoint: Callable[[CheckpointContext], object] | None = None,
    on_completed: Callable[[CompletedContext], object] | None = None,
    on_failed: Callable[[FailedContext], object] | None = None,
    abort_signal: AbortSignal | None = None,
    on_callback_error: OnCallbackError = "raise",
    backend: str | None = None,
    policy: ReconnectPolicy | None = None,
) -> Trainer:
    """Describe a run. Reads nothing, connects to nothing.

    Settings are those of :class:`~arkor_tui.run.config.TrainerInput`; what is left out is the
    backend's choice. The five ``on_…`` functions run after ``callbacks``. ``backend`` is ``local``,
    ``cloud`` or a URL; by default the command line or the surroundings decide.

    Raises:
        UnsupportedModelError: no backend has a model of that name.
    """
    check_model(model)
    functions = {
        "on_started": on_started,
        "on_log": on_log,
        "on_checkpoint": on_checkpoint,
        "on_completed": on_completed,
        "on_failed": on_failed,
    }
    every = list(callbacks)
    if any(function is not None for function in functions.values()):
        every.append(FunctionCallback(**functions))  # type: ignore[arg-type]
    settings = TrainerInput(
        name=name,
        model=model,
        dataset=dataset,
        lora=lora,
        max_steps=max_steps,
        num_train_epochs=num_train_epochs,
        learning_rate=learning_rate,
        batch_size=batch_size,
        weight_decay=weight_decay,
        optim=optim,
        lr_scheduler_type=lr_scheduler_type,
        warmup_steps=warmup_steps,
        logging_steps=logging_steps,
        save_steps=save_steps,
        eval_steps=eval_steps,
        dataset_split=dataset_split,
        dataset_format=dataset_format,
        train_on_responses_only=train_on_responses_only,
        gpu_types=gpu_types,
        dry_run=dry_run,
        seed=seed,
    )
    return Trainer(
        settings,
        callbacks=every,
        abort_signal=abort_signal,
        on_callback_error=on_callback_error,
        backend=backend,
        policy=policy,
    )
