"""``create_trainer``: the one function that a trainer file is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from arkor_tui.api.reconnect import ReconnectPolicy
from arkor_tui.datasets.sources import Dataset, LocalModel, check_model
from arkor_tui.params import RunParameters

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
from .config import TrainerInput
from .hooks import OnCallbackError
from .trainer import Trainer


def create_trainer(
    *,
    name: str,
    model: str | LocalModel,
    dataset: Dataset,
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
    archive: bool = True,
    **parameters: Unpack[RunParameters],
) -> Trainer:
    """Describe a run. Reads nothing, connects to nothing.

    ``parameters`` are those of :class:`~arkor_tui.params.RunParameters` (docs/parameters.md); what
    is left out is the backend's choice. The five ``on_…`` functions run after ``callbacks``.
    ``backend`` is ``local``, ``cloud`` or a URL; by default the command line or the surroundings
    decide. ``archive=False`` keeps the run out of the archive.

    Raises:
        UnsupportedModelError: no backend has a model of that name.
        TypeError: there is no parameter of that name.
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
    settings = TrainerInput.of(name, model, dataset, parameters)
    return Trainer(
        settings,
        callbacks=every,
        abort_signal=abort_signal,
        on_callback_error=on_callback_error,
        backend=backend,
        policy=policy,
        archive=archive,
    )
