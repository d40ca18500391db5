"""Mid-run evaluation: golden prompts at every checkpoint, while training goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from arkor_tui.api.reconnect import StreamState
from arkor_tui.chat.infer import Infer
from arkor_tui.chat.verdict import Verdict
from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.run.callbacks import Callback, RunHandle
from arkor_tui.run.contexts import (
    CheckpointContext,
    CompletedContext,
    Context,
    StartedContext,
)
from arkor_tui.run.findings import Finding
from arkor_tui.text.sanitize import plain

from .prompts import Golden, golden, read_prompts


class PromptProbe(Callback):
    """Asks golden prompts at every checkpoint, and keeps the answers with the run.

    ``prompts`` are texts, :class:`Golden` prompts, or the path of a prompt file. ``system``,
    ``schema`` and ``max_tokens`` are for those that are plain texts. ``baseline`` asks the base
    model once, ``final`` the final adapter. The log goes on meanwhile, and the prompts of one
    checkpoint are finished before those of the next begin. An answer that cannot be had is kept as
    one without a verdict; it never ends the run. What a restart or a change of process cut short is
    asked afterwards, and nothing twice. ``name`` is what answers are kept under; a second probe of
    that name in one run gets a number.

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
        self._past: list[tuple[Infer, str, int | None]] = []

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
            self._past.append(asked)

    def on_connection(self, state: StreamState) -> None:
        """Ask what an earlier process did not come to."""
        if state.phase == "live":
            past, self._past = self._past, []
            for asked in past:
                self._begin(*asked)

    def _asked_at(self, ctx: Context) -> tuple[Infer, str, int | None] | None:
        if isinstance(ctx, StartedContext) and self.baseline:
            return ctx.infer, "base", None
        if isinstance(ctx, CheckpointContext):
            return ctx.infer, "checkpoint", ctx.step
        if isinstance(ctx, CompletedContext) and self.final:
            return ctx.infer, "final", None
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
            self._begin(*asked)

    def _begin(self, infer: Infer, target: str, step: int | None) -> None:
        run = self._run
        assert run is not None
        at = f" {step}" if step is not None else ""
        name = f"{self._kept_as} at {target}{at}"
        run.background(self._ask_all(run, infer, target, step), name=name)

    async def _ask_all(self, run: RunHandle, infer: Infer, target: str, step: int | None) -> None:
        # tasks get the lock in the order in which they asked for it: that of the checkpoints
        async with self._turn:
            for number, prompt in enumerate(self.prompts):
                mark = f"probe:{self._kept_as}:{target}:{step}:{number}"
                if await run.was_marked(mark):
                    continue  # before a restart
                answer = await ask_golden(infer, prompt)
                await run.keep(finding_of(self._kept_as, number, prompt, target, step, answer))
                await run.first_time(mark)


@dataclass(frozen=True, slots=True)
class GoldenAnswer:
    """What a golden prompt was answered; ``seconds`` until the whole reply was there.

    ``error`` is why there is no answer, or no verdict although something was expected.
    """

    reply: str
    verdict: Verdict
    seconds: float
    error: str | None = None


async def ask_golden(infer: Infer, prompt: Golden) -> GoldenAnswer:
    """Ask once and judge. Whatever goes wrong becomes an answer without a verdict."""
    began = time.perf_counter()
    try:
        reply = await infer(prompt.messages(), **prompt.options())
    except Exception as error:
        took = time.perf_counter() - began
        why = f"could not be asked: {_words(error)}"
        return GoldenAnswer("", Verdict(None, why), took, why)
    took = time.perf_counter() - began
    verdict = await asyncio.to_thread(_judged, prompt, reply.text)
    unjudged = verdict.passed is None and verdict.text
    return GoldenAnswer(reply.text, verdict, took, verdict.text if unjudged else None)


def _judged(prompt: Golden, reply: str) -> Verdict:
    try:
        return prompt.judge(reply)
    except Exception as error:  # of a function of the user's own
        return Verdict(None, f"could not be judged: {_words(error)}")


def _words(error: Exception) -> str:
    text = str(error) if isinstance(error, ArkorTuiError) else f"{type(error).__name__}: {error}"
    return plain(text, limit=300, newlines=False)


def finding_of(
    name: str, number: int, prompt: Golden, target: str, step: int | None, answer: GoldenAnswer
) -> Finding:
    """An answer as a finding of kind ``sample``."""
    return Finding(
        "sample",
        name,
        step,
        {
            "prompt": number,
            "text": prompt.text,
            "name": prompt.name,
            "system": prompt.system,
            "target": target,
            "reply": answer.reply,
            "passed": answer.verdict.passed,
            "verdict": answer.verdict.text,
            "seconds": round(answer.seconds, 3),
        },
    )
