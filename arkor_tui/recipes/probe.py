"""Mid-run evaluation: golden prompts at every checkpoint, while training goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from arkor_tui.errors import ArkorTuiError, UsageError
from arkor_tui.training.callbacks import Callback, RunHandle
from arkor_tui.training.contexts import CheckpointContext, CompletedContext, StartedContext
from arkor_tui.training.findings import Finding
from arkor_tui.training.infer import Infer

from .prompts import Golden, golden, read_prompts
from .verdict import Verdict


class PromptProbe(Callback):
    """Asks golden prompts at every checkpoint, and keeps the answers with the run.

    ``prompts`` are texts, :class:`Golden` prompts, or the path of a prompt file. ``system``,
    ``schema`` and ``max_tokens`` are for those that are plain texts. ``baseline`` asks the base
    model once, ``final`` the final adapter. The log goes on meanwhile, and the prompts of one
    checkpoint are finished before those of the next begin. An answer that cannot be had is kept as
    one without a verdict; it never ends the run. ``name`` tells several probes of a run apart.

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
        self._turn = asyncio.Lock()

    def attached(self, run: RunHandle) -> None:
        """Remember the run."""
        self._run = run

    def on_started(self, ctx: StartedContext) -> None:
        """Have the base model answer, once for the run."""
        if self.baseline:
            self._begin(ctx.infer, "base", None)

    def on_checkpoint(self, ctx: CheckpointContext) -> None:
        """Ask exactly this checkpoint."""
        self._begin(ctx.infer, "checkpoint", ctx.step)

    def on_completed(self, ctx: CompletedContext) -> None:
        """Ask the final adapter."""
        if self.final:
            self._begin(ctx.infer, "final", None)

    def _begin(self, infer: Infer, target: str, step: int | None) -> None:
        run = self._run
        assert run is not None
        at = f" {step}" if step is not None else ""
        run.background(self._ask_all(run, infer, target, step), name=f"{self.name} at {target}{at}")

    async def _ask_all(self, run: RunHandle, infer: Infer, target: str, step: int | None) -> None:
        # tasks get the lock in the order in which they asked for it: that of the checkpoints
        async with self._turn:
            for number, prompt in enumerate(self.prompts):
                mark = f"probe:{self.name}:{target}:{step}:{number}"
                if await run.was_marked(mark):
                    continue  # before a restart
                answer = await ask_golden(infer, prompt)
                await run.keep(finding_of(self.name, number, prompt, target, step, answer))
                await run.first_time(mark)


class GoldenAnswer:
    """What a golden prompt was answered; ``error`` is why there is no answer."""

    __slots__ = ("error", "reply", "seconds", "verdict")

    def __init__(self, reply: str, verdict: Verdict, seconds: float, error: str | None) -> None:
        self.reply, self.verdict, self.seconds, self.error = reply, verdict, seconds, error


async def ask_golden(infer: Infer, prompt: Golden) -> GoldenAnswer:
    """Ask once and judge. A refusal or a lost connection becomes an answer without a verdict."""
    began = time.perf_counter()
    try:
        reply = await infer(prompt.messages(), **prompt.options())
        text = reply.text
    except ArkorTuiError as error:
        took = time.perf_counter() - began
        return GoldenAnswer("", Verdict(None, f"could not be asked: {error}"), took, str(error))
    took = time.perf_counter() - began
    # a check or a pattern of one's own may take a while
    verdict = await asyncio.to_thread(_judged, prompt, text)
    return GoldenAnswer(text, verdict, took, None)


def _judged(prompt: Golden, reply: str) -> Verdict:
    try:
        return prompt.expect.judge(reply)
    except Exception as error:  # of a function of the user's own
        return Verdict(None, f"could not be judged: {type(error).__name__}: {error}")


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
            "system": prompt.system,
            "target": target,
            "reply": answer.reply,
            "passed": answer.verdict.passed,
            "verdict": answer.verdict.text,
            "seconds": round(answer.seconds, 3),
        },
    )
