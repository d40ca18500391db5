"""Training steps per second of the engine, against a bare transformers + PEFT loop.

Both train the model that ships with the package on the same batches with the same number of
threads, in this process. The runs alternate; the median of the ratios counts. Target: at least 0.9
of the bare loop's rate. The engine's side includes what a run needs: batching, schedule, log events
and the final adapter.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from arkor_tui.backend.spec import DatasetSpec, Every, TrainingSpec

from .report import Figure, at_least, command_line, show

TARGET = 0.9


def make_spec(steps: int, batch: int) -> TrainingSpec:
    """A run as the triage starter makes it."""
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    return TrainingSpec(
        name="benchmark",
        model="arkor-tui/tiny",
        model_source=str(files("arkor_tui.backend") / "tiny"),
        dataset=DatasetSpec("file", str(rows)),
        lora_r=16,
        lora_alpha=32.0,
        learning_rate=1e-2,
        batch_size=batch,
        max_steps=steps,
        warmup=Every(steps=min(10, steps)),
        log_every=Every(steps=1),
        responses_only=True,
    )


def load(spec: TrainingSpec) -> tuple[Any, list[Any]]:
    """A fresh PEFT model and the encoded rows."""
    from arkor_tui.backend.engine.encode import encode_all
    from arkor_tui.backend.engine.modeling import (
        add_lora,
        device_and_dtype,
        load_model,
        load_tokenizer,
    )
    from arkor_tui.backend.engine.rows import read_examples

    device, dtype = device_and_dtype()
    model = load_model(spec.model_source, device=device, dtype=dtype)
    rows = encode_all(
        read_examples(spec.dataset),
        load_tokenizer(spec.model_source),
        max_length=spec.max_length,
        responses_only=spec.responses_only,
    )
    return add_lora(model, r=spec.lora_r, alpha=spec.lora_alpha, seed=spec.seed), rows


def ours(spec: TrainingSpec) -> float:
    """Steps per second of the engine's loop."""
    from arkor_tui.backend.engine.loop import TrainingLoop

    model, rows = load(spec)
    with tempfile.TemporaryDirectory() as folder:
        loop = TrainingLoop(
            model,
            spec,
            train=rows,
            held_out=[],
            pad=0,
            folder=Path(folder),
            emit=lambda kind, **fields: None,
        )
        begin = time.perf_counter()
        loop.run()  # saves the final adapter too, a few hundredths of a second
        return loop.plan.total / (time.perf_counter() - begin)


def bare(spec: TrainingSpec) -> float:
    """Steps per second of the shortest loop that trains the same."""
    import torch

    from arkor_tui.backend.engine.batches import batch_of_step

    model, rows = load(spec)
    total = spec.max_steps or 0
    batches = [
        batch_of_step(rows, step, batch_size=spec.batch_size, seed=spec.seed)
        for step in range(1, total + 1)
    ]
    device = next(model.parameters()).device
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=spec.learning_rate, weight_decay=0.0)
    model.train()
    begin = time.perf_counter()
    for batch in batches:
        longest = max(len(row.ids) for row in batch)
        ids = torch.tensor([[*r.ids, *[0] * (longest - len(r.ids))] for r in batch])
        mask = torch.tensor([[1] * len(r.ids) + [0] * (longest - len(r.ids)) for r in batch])
        labels = torch.tensor([[*r.labels, *[-100] * (longest - len(r.labels))] for r in batch])
        loss = model(
            input_ids=ids.to(device), attention_mask=mask.to(device), labels=labels.to(device)
        ).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return total / (time.perf_counter() - begin)


def measure(steps: int, batch: int, threads: int, runs: int) -> list[Figure]:
    """Median rates and their ratio."""
    import torch

    torch.set_num_threads(threads)
    spec = make_spec(steps, batch)
    warm = make_spec(2, batch)
    for run in (bare, ours):
        run(warm)
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    for number in range(runs):
        # who goes first changes, so that a machine that slows down favours neither
        for run in (bare, ours) if number % 2 else (ours, bare):
            rates[run.__name__].append(run(spec))
    # of neighbours in time: what else the machine does meanwhile slows both of a pair
    pairs = zip(rates["ours"], rates["bare"], strict=True)
    ratio = statistics.median(own / other for own, other in pairs)
    return [
        at_least(TARGET, "training steps, against a bare PEFT loop", ratio),
        Figure(f"training steps, {threads} thread(s)", statistics.median(rates["ours"]), "/s"),
    ]


def main() -> int:
    """Print the figures."""
    parser = command_line(__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    found = measure(options.steps, options.batch, options.threads, options.runs)
    return show(found, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
