"""Running a trainer from a plain script, without the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.text.sanitize import plain

from .loading import DEFAULT_ENTRY, load_trainer
from .trainer import Trainer, TrainingResult


class RunFailedError(ArkorTuiError):
    """The run did not complete; ``result`` says how it ended."""

    def __init__(self, result: TrainingResult) -> None:
        reason = plain(result.job.error or "the backend gave no reason", limit=1_000)
        super().__init__(f"The run {result.job.name!r} {result.status}: {reason}")
        self.result = result


def run_trainer(
    trainer: Trainer | str | Path = DEFAULT_ENTRY,
    *,
    raise_on_failure: bool = False,
    report: Callable[[str], None] = print,
) -> TrainingResult:
    """Start a trainer, or that of a file, and wait for its end.

    ``report`` gets the job id and the final status. A failed or cancelled run returns like a
    completed one, unless ``raise_on_failure`` is set, which turns a CI job red.

    Raises:
        RunFailedError: the run did not complete, and ``raise_on_failure`` is set.
        UsageError: an event loop runs already: ``await run_trainer_async(…)`` there.
        ArkorTuiError: whatever :meth:`Trainer.wait` raises.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            "run_trainer() was called from inside an event loop.",
            hint="Use `await run_trainer_async(…)` there.",
        )
    return asyncio.run(run_trainer_async(trainer, raise_on_failure=raise_on_failure, report=report))


async def run_trainer_async(
    trainer: Trainer | str | Path = DEFAULT_ENTRY,
    *,
    raise_on_failure: bool = False,
    report: Callable[[str], None] = print,
) -> TrainingResult:
    """As :func:`run_trainer`, inside an event loop."""
    if isinstance(trainer, str | Path):
        trainer = load_trainer(trainer)
    report(f"job {await trainer.start()}")
    result = await trainer.wait()
    report(f"{result.job.name}: {result.status}")
    if raise_on_failure and result.status != "completed":
        raise RunFailedError(result)
    return result
