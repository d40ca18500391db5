"""Trainers on a scripted server, and a callback that keeps what it is given."""

from __future__ import annotations

from typing import Any

from arkor_tui import (
    Callback,
    CheckpointContext,
    CompletedContext,
    FailedContext,
    HuggingFaceDataset,
    LogContext,
    StartedContext,
    Trainer,
    create_trainer,
)
from tests.support.scripted import AT_ONCE, JOB_ID, Server


class Recorder(Callback):
    """Keeps every context it is given."""

    def __init__(self) -> None:
        self.contexts: list[Any] = []

    def on_started(self, ctx: StartedContext) -> None:
        self.contexts.append(ctx)

    def on_log(self, ctx: LogContext) -> None:
        self.contexts.append(ctx)

    async def on_checkpoint(self, ctx: CheckpointContext) -> None:
        self.contexts.append(ctx)

    def on_completed(self, ctx: CompletedContext) -> None:
        self.contexts.append(ctx)

    def on_failed(self, ctx: FailedContext) -> None:
        self.contexts.append(ctx)

    @property
    def kinds(self) -> list[str]:
        return [type(ctx).__name__.removesuffix("Context").lower() for ctx in self.contexts]


def unconnected(*callbacks: Callback, **options: Any) -> Trainer:
    return create_trainer(
        name="triage-run",
        model="unsloth/gemma-4-E4B-it",
        dataset=HuggingFaceDataset(name="arkorlab/triage-demo"),
        callbacks=callbacks,
        **{"policy": AT_ONCE, "archive": False, **options},
    )


def a_trainer(server: Server, *callbacks: Callback, **options: Any) -> Trainer:
    trainer = unconnected(*callbacks, **options)
    trainer.use(server.connection())
    return trainer


def attached(server: Server, *callbacks: Callback, **options: Any) -> Trainer:
    return Trainer.attach(
        JOB_ID,
        callbacks=callbacks,
        connection=server.connection(),
        **{"policy": AT_ONCE, "archive": False, **options},
    )
