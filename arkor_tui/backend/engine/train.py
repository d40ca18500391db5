"""The training child: ``python -m arkor_tui.backend.engine.train`` (``ipc`` has its protocol)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arkor_tui.backend.spec import TrainingSpec

from .child import Channel, die_with_parent, read_lines, serve_lines
from .errors import EngineError, explain
from .libraries import import_libraries

_GRACE = 0.8
"""Seconds that a cancelled step gets to end by itself."""


@dataclass(frozen=True, slots=True)
class Order:
    """The first line: what to train, where, and with how many threads."""

    spec: TrainingSpec
    folder: Path
    resume: Path | None
    threads: int

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Read the ``train`` line.

        Raises:
            EngineError: it is none.
        """
        try:
            raw = json.loads(line)
            return cls(
                TrainingSpec.from_json(json.dumps(raw["spec"])),
                Path(raw["folder"]),
                Path(raw["resume"]) if raw.get("resume") else None,
                max(1, int(raw.get("threads") or 1)),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(
                "The training process was started with an order that is not one."
            ) from (error)


class Run:
    """One run from the order to its terminal line."""

    def __init__(self, order: Order, channel: Channel) -> None:
        self._order = order
        self._channel = channel
        self._cancel = threading.Event()
        self._loop: Any = None

    def handle(self, message: dict[str, Any]) -> None:
        """A later line from the server."""
        if message.get("op") == "cancel" and not self._cancel.is_set():
            self._cancel.set()
            threading.Thread(target=self._insist, name="cancel", daemon=True).start()

    def execute(self) -> None:
        """Train; whatever happens, exactly one terminal line is written."""
        try:
            self._channel.finish("completed", **self._train())
        except Exception as error:
            from_loop = type(error).__name__ == "Cancelled"
            if from_loop or self._cancel.is_set():
                self._channel.finish("cancelled", step=self._step)
                return
            traceback.print_exc()
            self._channel.finish("failed", error=explain(error), step=self._step or None)

    @property
    def _step(self) -> int:
        return self._loop.step if self._loop is not None else 0

    def _insist(self) -> None:
        """End the process if a long step, an import or a download does not look at the flag."""
        time.sleep(_GRACE)
        lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        checkpoints = sys.modules.get("arkor_tui.backend.engine.checkpoints")
        if self._loop is not None and checkpoints is not None:
            lock = checkpoints.saving
        with lock:
            self._channel.finish("cancelled", step=self._step)
            os._exit(0)

    def _train(self) -> dict[str, Any]:
        order, spec = self._order, self._order.spec
        from .rows import read_examples

        # before torch: whoever has a broken line hears of it at once
        examples = read_examples(spec.dataset)
        self._order.folder.mkdir(parents=True, exist_ok=True)

        import_libraries()
        import torch

        torch.set_num_threads(order.threads)
        from .checkpoints import remove_leftovers
        from .encode import encode_all, split_held_out
        from .loop import DRY_RUN_ROWS, Cancelled, TrainingLoop
        from .modeling import add_lora, device_and_dtype, load_model, load_tokenizer, positions_of

        for folder in (order.folder, order.folder / "checkpoints"):
            remove_leftovers(folder)
        device, dtype = device_and_dtype()
        tokenizer = load_tokenizer(spec.model_source)
        model = load_model(spec.model_source, device=device, dtype=dtype)
        rows = encode_all(
            examples[:DRY_RUN_ROWS] if spec.dry_run else examples,
            tokenizer,
            max_length=spec.max_length,
            responses_only=spec.responses_only,
            positions=positions_of(model),
            stopped=self._cancel.is_set,
        )
        if self._cancel.is_set():
            raise Cancelled(0)
        share = spec.dataset.held_out
        if spec.dry_run and share >= 1:  # a count was meant for all rows, not for the first few
            share = min(share, len(rows) // 2)
        train, held_out = split_held_out(rows, share, spec.dataset.split_seed)
        parameters = sum(p.numel() for p in model.parameters())
        model = add_lora(model, r=spec.lora_r, alpha=spec.lora_alpha, seed=spec.seed)
        self._loop = loop = TrainingLoop(
            model,
            spec,
            train=train,
            held_out=held_out,
            pad=_pad_token(tokenizer),
            folder=order.folder,
            emit=self._channel.emit,
            stopped=self._cancel.is_set,
        )
        if order.resume is not None:
            loop.resume(order.resume)
        self._channel.emit(
            "started",
            metadata={
                "model": spec.model,
                "parameters": parameters,
                "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "rows": len(train),
                "heldOut": len(held_out),
                "truncated": sum(row.cut for row in rows),
                "maxLength": spec.max_length,
                "steps": loop.plan.total,
                "resumedFrom": loop.step or None,
                "device": device.type,
                "dtype": str(dtype).removeprefix("torch."),
                "threads": order.threads,
                "dryRun": spec.dry_run,
            },
        )
        return loop.run()


def _pad_token(tokenizer: Any) -> int:
    """Any token does: padding is masked and never a target."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return 0


def prepare_environment(order: Order) -> None:
    """Settings that libraries read when they are imported."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(order.threads)
    quiet_libraries()
    if Path(order.spec.model_source).exists() and order.spec.dataset.kind != "huggingface":
        os.environ["HF_HUB_OFFLINE"] = "1"


def quiet_libraries() -> None:
    """No tokenizer threads, no progress bars, no telemetry."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def main() -> None:
    """Read the order, train, write events; ends with status 0 once a terminal line is written."""
    channel = Channel.take_stdout()
    die_with_parent()
    lines = read_lines()
    first = next(lines, None)
    if first is None:
        return
    try:
        order = Order.read(first)
    except EngineError as error:
        channel.finish("failed", error=explain(error), step=None)
        return
    prepare_environment(order)
    run = Run(order, channel)
    serve_lines(lines, run.handle)
    run.execute()
    sys.stderr.flush()
    os._exit(0)  # the thread that reads stdin would otherwise be waited for


if __name__ == "__main__":
    main()
