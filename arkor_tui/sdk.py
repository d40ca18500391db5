"""The public names of a run, with the archive behind them.

``arkor_tui.run`` follows runs and knows no archive. This module, from which the package takes its
names, puts the two together: a run that a plain script follows is archived as any other. Whoever
follows runs otherwise (the app, commands, supervisors) says itself where a run is kept
(``Trainer.open_sink``), and ``archive=False`` keeps a script's run out of the archive.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .run.create import create_trainer as create_trainer
from .run.loading import load_trainer as load_trainer
from .run.runner import RunFailedError as RunFailedError
from .run.runner import run_trainer as run_trainer
from .run.runner import run_trainer_async as run_trainer_async
from .run.trainer import Trainer as Trainer
from .run.trainer import TrainingResult as TrainingResult

if TYPE_CHECKING:
    from .run.sink import Sink

_log = logging.getLogger("arkor_tui")


@asynccontextmanager
async def _archived(trainer: Trainer) -> AsyncIterator[Sink | None]:
    """Keep a script's run; the archive is loaded when one is followed.

    The callbacks of a run that the script has submitted are the run's own. Those of a run that it
    attached to are the script's: they hear the whole history, whoever has heard it before.
    """
    from .session.keeping import archived

    own = not trainer.is_attached
    async with archived(trainer, origin="script", note=_log.warning, own_callbacks=own) as sink:
        yield sink


Trainer.archive_sink = staticmethod(_archived)
