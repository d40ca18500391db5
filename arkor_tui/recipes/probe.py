"""Mid-run evaluation: golden prompts at every checkpoint, while training goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from arkor_tui.api.jobs import Job
from arkor_tui.api.reconnect import StreamState
from arkor_tui.chat.golden import GoldenAnswer, ask_golden
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.target import Target
from arkor_tui.chat.trained import system_prompt_of_job
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.run.callbacks import Callback, RunHandle
from arkor_tui.run.contexts import (
    CheckpointContext,
    CompletedContext,
    Context,
    StartedContext,
)
from arkor_tui.run.findings import Finding

from .prompts import Golden, golden, read_prompts


class PromptProbe(Callback):
    """Asks golden prompts at every checkpoint, and keeps the answers with the run.

    ``prompts`` are texts, :class:`Golden` prompts, or the path of a prompt file. ``system``,
    ``schema`` and ``max_tokens`` are for those that are plain texts. Without ``system`` a prompt is
    asked with the system prompt of the run's rows; an empty text switches that off. ``baseline``
    asks the base model once, ``final`` the final adapter. The log goes on meanwhile, and the
    prompts of one checkpoint are finished before those of the next begin. An answer that cannot be
    had is kept as one without a verdict; it never ends the run. What a restart or a change of
    process cut short is asked afterwards, and nothing twice. ``name`` is what answers are kept
    under; a second probe of that name in one run gets a number.

    Raises:
        UsageError: there are no prompts.
        PromptFileError: the prompt file cannot be used.
    """

    def __init__(
        self,
        prompts: Sequence[str | Golden] | str | Path,
        *,
        system: str | None = None,
        schema: type[BaseModel] | Mapping[str, Any] | None = None,
        max_tokens: int = 200,
        baseline: bool = True,
        final: bool = False,
        name: str = "probe",
    ) -> None:
        if isinstance(prompts, str | Path):
            self.prompts = read_prompts(prompts)
        else:
            usual = {"system": system, "schema": schema, "max_tokens": max_tokens}
            self.prompts = [golden(prompt, **usual) for prompt in prompts]
        if not self.prompts:
            raise UsageError("A probe needs at least one prompt.")
        self.baseline = baseline
        self.final = final
        self.name = name
        self._run: RunHandle | None = None
        self._kept_as = name
        self._turn = asyncio.Lock()
        self._past: list[tuple[Infer, Job]] = []
        self._of_rows: str | None = None

    def attached(self, run: RunHandle) -> None:
        """Remember the run."""
        self._run = run
        # samples and marks are kept by name: those of two probes must not get mixed
        namesakes = [
            other
            for other in getattr(run, "callbacks", ())
            if isinstance(other, PromptProbe) and other.name == self.name
        ]
        place = next((i for i, other in enumerate(namesakes, 1) if other is self), 1)
        self._kept_as = self.name if place == 1 else f"{self.name} {place}"

    def on_replayed(self, ctx: Context) -> None:
        """Remember what was to be asked; some of it may not have been."""
        asked = self._asked_at(ctx)
        if asked is not None:
            self._past.append((asked, ctx.job))

    def on_connection(self, state: StreamState) -> None:
        """Ask what an earlier process did not come to."""
        if state.phase == "live":
            past, self._past = self._past, []
            for asked in past:
                self._begin(*asked)

    def _asked_at(self, ctx: Context) -> Infer | None:
        if isinstance(ctx, StartedContext) and self.baseline:
            return ctx.infer
        if isinstance(ctx, CheckpointContext):
            return ctx.infer
        if isinstance(ctx, CompletedContext) and self.final:
            return ctx.infer
        return None

    def on_started(self, ctx: StartedContext) -> None:
        """Have the base model answer, once for the run."""
        self._ask_at(ctx)

    def on_checkpoint(self, ctx: CheckpointContext) -> None:
        """Ask exactly this checkpoint."""
        self._ask_at(ctx)

    def on_completed(self, ctx: CompletedContext) -> None:
        """Ask the final adapter."""
        self._ask_at(ctx)

    def _ask_at(self, ctx: Context) -> None:
        asked = self._asked_at(ctx)
        if asked is not None:
            self._begin(asked, ctx.job)

    def _begin(self, infer: Infer, job: Job) -> None:
        run = self._run
        assert run is not None
        target = infer.target
        at = f" {target.step}" if target.step is not None else ""
        name = f"{self._kept_as} at {target.kind}{at}"
        run.background(self._ask_all(run, infer, job), name=name)

    async def _ask_all(self, run: RunHandle, infer: Infer, job: Job) -> None:
        # tasks get the lock in the order in which they asked for it: that of the checkpoints
        async with self._turn:
            target = infer.target
            for number, prompt in enumerate(self.prompts):
                mark = f"probe:{self._kept_as}:{target.kind}:{target.step}:{number}"
                if await run.was_marked(mark):
                    continue  # before a restart
                prompt = prompt.asked_of(await self._prompt_of_rows(infer, job))
                answer = await ask_golden(infer, prompt)
                await run.keep(finding_of(self._kept_as, number, prompt, target, answer))
                await run.first_time(mark)

    async def _prompt_of_rows(self, infer: Infer, job: Job) -> str:
        """The system prompt of the run's rows, for prompts that name none; looked for once."""
        if self._of_rows is None:
            try:
                is_here = await infer.provider.is_here()
            except ArkorTuiError:
                return ""  # who cannot be reached cannot be asked either, and that is told
            self._of_rows = await system_prompt_of_job(job, is_here=is_here)
        return self._of_rows


def finding_of(
    name: str, number: int, prompt: Golden, target: Target, answer: GoldenAnswer
) -> Finding:
    """An answer as a finding of kind ``sample``."""
    return Finding(
        "sample",
        name,
        target.step,
        {
            "prompt": number,
            "text": prompt.text,
            "name": prompt.name,
            "system": prompt.system,
            "target": target.kind,
            "reply": answer.reply,
            "passed": answer.verdict.passed,
            "verdict": answer.verdict.text,
            "seconds": round(answer.seconds, 3),
        },
    )
