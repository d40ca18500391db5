"""What callbacks may do with their run, beside stopping it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from arkor_tui.chat.infer import Infer
from arkor_tui.chat.provider import ArkorProvider
from arkor_tui.chat.target import Kind, Target
from arkor_tui.errors import UsageError

from .backend_job import BackendJob
from .contexts import target_of
from .findings import Finding
from .hooks import Hooks


class CallbackTools:
    """Keeps findings and marks, does work beside the stream, and talks to the run's models."""

    hooks: Hooks
    _job: BackendJob

    async def keep(self, finding: Finding) -> None:
        """Keep what a recipe found with the run, and tell every callback of it."""
        await self.hooks.keep(finding)

    async def first_time(self, mark: str) -> bool:
        """True once for each mark, also over restarts where an archive keeps the run."""
        return await self.hooks.first_time(mark)

    async def was_marked(self, mark: str) -> bool:
        """Whether :meth:`first_time` was called with this mark."""
        return await self.hooks.was_marked(mark)

    def background(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Do work beside the stream; see :class:`~arkor_tui.run.callbacks.RunHandle`."""
        return self.hooks.start(work, name)

    def infer(self, *, step: int | None = None, base: bool = False) -> Infer:
        """Talk to the final adapter, to the checkpoint at ``step``, or to the base model.

        Raises:
            UsageError: there is no job yet.
        """
        if self._job.known is None:
            raise UsageError("There is nothing to talk to before the job was submitted.")
        kind: Kind = "base" if base else "final" if step is None else "checkpoint"
        return self.talk(target_of(self._job.known, kind, None if base else step))

    def talk(self, target: Target) -> Infer:
        """Talk to a target of the run."""
        return Infer(ArkorProvider(self._job.connection), target)
