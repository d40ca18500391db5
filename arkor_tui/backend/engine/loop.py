"""The training loop: plain steps over a PEFT model, with events, evaluation and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arkor_tui.backend.spec import TrainingSpec

from .batches import batch_of_step, chunks, collate, steps_per_epoch
from .checkpoints import Progress, load_checkpoint, save_adapter
from .encode import Encoded
from .errors import ModelError
from .loss import Loss
from .optim import learning_rate, make_optimizer

DRY_RUN_ROWS = 50
DRY_RUN_STEPS = 10

Emit = Callable[..., None]


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """The run was asked to stop; ``step`` is the last one that was finished."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


@dataclass(frozen=True, slots=True)
class Plan:
    """A run in absolute steps."""

    total: int
    warmup: int
    log_every: int
    save_every: int
    eval_every: int

    @classmethod
    def of(cls, spec: TrainingSpec, rows: int) -> Plan:
        """The plan for ``rows`` training rows. ``max_steps`` wins over ``epochs``."""
        if spec.max_steps is not None:
            total = spec.max_steps
        else:
            total = max(1, math.ceil(spec.epochs * steps_per_epoch(rows, spec.batch_size) - 1e-9))
        if spec.dry_run:
            total = min(total, DRY_RUN_STEPS)
        return cls(
            total,
            min(spec.warmup.resolve(total), total),
            spec.log_every.resolve(total),
            spec.save_every.resolve(total),
            spec.eval_every.resolve(total),
        )


class TrainingLoop:
    """One run of ``model`` (a PEFT model) over ``train`` rows.

    ``emit`` gets the events of ``ipc``; ``stopped`` is asked before each step and each evaluation
    batch. Random numbers are drawn anew from seed and step at every step, so a run that resumes
    draws what the uninterrupted one would have.
    """

    def __init__(
        self,
        model: Any,
        spec: TrainingSpec,
        *,
        train: Sequence[Encoded],
        held_out: Sequence[Encoded],
        pad: int,
        folder: Path,
        emit: Emit,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan = Plan.of(spec, len(train))
        self._model = model
        self._loss = Loss(model)
        self._spec = spec
        self._train = train
        # of like length: less padding, and the mean is weighted by tokens anyway
        self._held_out = sorted(held_out, key=lambda row: len(row.ids))
        self._pad = pad
        self._folder = folder
        self._emit = emit
        self._stopped = stopped
        self._device = next(model.parameters()).device
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._optimizer = make_optimizer(
            spec.optimizer, self._parameters, lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        self.step = 0
        self._loss_sum = 0.0
        self._loss_count = 0
        self._samples = 0
        self._clock = 0.0

    def resume(self, checkpoint: Path) -> None:
        """Go on after the step of ``checkpoint``.

        Raises:
            ModelError: it belongs to another run.
        """
        progress = load_checkpoint(self._model, self._optimizer, checkpoint)
        if (progress.rows, progress.total_steps) != (len(self._train), self.plan.total):
            raise ModelError(
                f"The run cannot go on from its checkpoint {checkpoint.name}: it was made with "
                f"{progress.rows:,} rows and {progress.total_steps:,} steps, and now there are "
                f"{len(self._train):,} and {self.plan.total:,}.",
                hint="Put the dataset back as it was, or start a new run.",
            )
        self.step = progress.step
        self._loss_sum, self._loss_count = progress.loss_sum, progress.loss_count

    def run(self) -> dict[str, Any]:
        """Train to the end and save the final adapter; returns the ``completed`` fields.

        Raises:
            Cancelled: ``stopped`` said so; nothing was saved beyond the last checkpoint.
            OSError: a folder could not be written; nothing is left of it.
        """
        started = self._clock = time.perf_counter()
        metrics: dict[str, Any] = {}
        while self.step < self.plan.total:
            self._stop_if_asked()
            rate = self._train_step(self.step + 1)
            self.step += 1
            self._report(rate, metrics)
            if self._due(self.plan.save_every):
                self._checkpoint()
        self._stop_if_asked()
        artifacts = save_adapter(self._model, self._folder / "final")
        metrics["totalSteps"] = self.plan.total
        metrics["totalTime"] = round(time.perf_counter() - started, 3)
        return {"step": self.step, "path": "final", "artifacts": artifacts, "metrics": metrics}

    def _train_step(self, step: int) -> float:
        """One optimizer step; returns its learning rate."""
        spec = self._spec
        rate = learning_rate(
            spec.scheduler,
            step,
            peak=spec.learning_rate,
            warmup=self.plan.warmup,
            total=self.plan.total,
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed((spec.seed << 32) + step & 0x7FFF_FFFF_FFFF_FFFF)
        rows = batch_of_step(self._train, step, batch_size=spec.batch_size, seed=spec.seed)
        ids, mask, labels = collate(rows, pad=self._pad, device=self._device)
        self._model.train()
        loss = self._loss(ids, mask, labels)
        loss.backward()
        if spec.max_grad_norm > 0:
            torch.nn.utils.clip_grad_norm_(self._parameters, spec.max_grad_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._loss_sum += loss.item()
        self._loss_count += 1
        self._samples += len(rows)
        return rate

    def _report(self, rate: float, metrics: dict[str, Any]) -> None:
        """Emit the log event of this step, if one is due; ``metrics`` gets the newest losses."""
        logs = self._due(self.plan.log_every) or self.step == self.plan.total
        evaluates = bool(self._held_out) and self._due(self.plan.eval_every)
        if not logs and not evaluates:
            return
        fields: dict[str, Any] = {}
        non_finite: dict[str, str] = {}
        if logs:
            elapsed = time.perf_counter() - self._clock
            loss = self._loss_sum / max(1, self._loss_count)
            _put(fields, non_finite, "loss", loss, metrics, "finalLoss")
            fields["learningRate"] = rate
            if elapsed > 0:
                fields["samplesPerSecond"] = round(self._samples / elapsed, 3)
            self._loss_sum, self._loss_count, self._samples = 0.0, 0, 0
        if evaluates:
            paused = time.perf_counter()
            loss = self.evaluate()
            _put(fields, non_finite, "evalLoss", loss, metrics, "evalLoss")
            # evaluation is no training time
            self._clock += time.perf_counter() - paused
        if logs:
            self._clock = time.perf_counter()
        if non_finite:
            fields["nonFinite"] = non_finite
        per_epoch = steps_per_epoch(len(self._train), self._spec.batch_size)
        self._emit("log", step=self.step, epoch=round(self.step / per_epoch, 4), **fields)

    def evaluate(self) -> float:
        """Mean loss per target token over the held-out rows.

        Raises:
            Cancelled: ``stopped`` said so.
        """
        self._model.eval()
        total, count = 0.0, 0
        with torch.no_grad():
            for rows in chunks(self._held_out, self._spec.batch_size):
                self._stop_if_asked()
                ids, mask, labels = collate(rows, pad=self._pad, device=self._device)
                loss = self._loss(ids, mask, labels).item()
                targets = sum(row.targets for row in rows)
                total += loss * targets
                count += targets
        return total / count

    def _checkpoint(self) -> None:
        progress = Progress(
            self.step, self.plan.total, len(self._train), self._loss_sum, self._loss_count
        )
        path = f"checkpoints/step-{self.step}"
        paused = time.perf_counter()
        artifacts = save_adapter(
            self._model, self._folder / path, state=(self._optimizer, progress)
        )
        self._emit("checkpoint", step=self.step, path=path, artifacts=artifacts)
        self._clock += time.perf_counter() - paused

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _stop_if_asked(self) -> None:
        if self._stopped():
            raise Cancelled(self.step)


def _put(
    fields: dict[str, Any],
    non_finite: dict[str, str],
    name: str,
    value: float,
    metrics: dict[str, Any],
    metric: str,
) -> None:
    """A finite ``value`` to ``fields`` and ``metrics``, any other to ``non_finite``, by name."""
    if math.isfinite(value):
        fields[name] = metrics[metric] = value
    else:
        non_finite[name] = "nan" if math.isnan(value) else "inf"
        metrics.pop(metric, None)
