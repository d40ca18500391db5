"""A run from a plain script: start, wait, look at the result, talk to the final adapter.

    python examples/script.py

`run_trainer` prints the job id and how the run ended. A failed run returns like a completed one
unless `raise_on_failure` is set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from arkor_tui import FileDataset, LoraConfig, Trainer, create_trainer, run_trainer

DATA = Path(__file__).parent / "data" / "tickets.jsonl"


def make_trainer(name: str = "from-a-script", steps: int = 50) -> Trainer:
    """A fresh trainer: one drives exactly one run."""
    return create_trainer(
        name=name,
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=16, alpha=32),
        max_steps=steps,
        learning_rate=0.01,
        batch_size=8,
        logging_steps=5,
        save_steps=steps,
        backend="local",
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Train on a few support tickets.")
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    result = run_trainer(make_trainer(steps=args.steps), raise_on_failure=True)
    final = result.metrics.final_loss if result.metrics else None
    print(f"final loss {final:.3f}" if final is not None else "no final loss")


if __name__ == "__main__":
    main()
