"""Two trainers in one process: one after the other, or side by side with one shared abort.

    python examples/two_runs.py sequence
    python examples/two_runs.py parallel

In sequence the second run begins only if the first one completed. Side by side, Ctrl-C aborts both
waits at once through one controller, and then both runs are stopped on the backend.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from arkor_tui import (
    AbortController,
    AbortError,
    FileDataset,
    LoraConfig,
    Trainer,
    create_trainer,
    run_trainer_async,
)

DATA = Path(__file__).parent / "data" / "tickets.jsonl"


def make_trainer(rank: int, steps: int, controller: AbortController | None = None) -> Trainer:
    """Two ranks, to be compared afterwards."""
    return create_trainer(
        name=f"rank-{rank}",
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=rank, alpha=2 * rank),
        max_steps=steps,
        learning_rate=0.01,
        abort_signal=controller.signal if controller else None,
        backend="local",
    )


async def in_sequence(steps: int) -> None:
    """The small one first; the large one only if that went well."""
    for rank in (4, 16):
        await run_trainer_async(make_trainer(rank, steps), raise_on_failure=True)


async def side_by_side(steps: int, controller: AbortController) -> None:
    """Both at once; an abort ends both waits, and then both runs."""
    trainers = [make_trainer(rank, steps, controller) for rank in (4, 16)]
    try:
        results = await asyncio.gather(*(trainer.wait() for trainer in trainers))
    except AbortError:
        for state in await asyncio.gather(*(trainer.stop("aborted") for trainer in trainers)):
            print(state.message)
        raise
    finally:
        for trainer in trainers:
            await trainer.aclose()
    for result in results:
        print(f"{result.job.name}: {result.status}")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Two runs in one process.")
    parser.add_argument("order", choices=("sequence", "parallel"))
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    if args.order == "sequence":
        asyncio.run(in_sequence(args.steps))
        return 0
    controller = AbortController()
    signal.signal(signal.SIGINT, lambda *_: controller.abort("Ctrl-C"))
    try:
        asyncio.run(side_by_side(args.steps, controller))
    except AbortError as error:
        print(error.message)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
