"""Two runs side by side in one process, and one abort for both.

    python examples/parallel.py

Ctrl-C aborts both waits at once through one controller. An abort ends only the waiting here: the
jobs go on, and are paid for, until they are stopped on the backend, which is what happens next.
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
    TrainingResult,
    create_trainer,
)
from arkor_tui.plain import plain

DATA = Path(__file__).parent / "data" / "tickets.jsonl"
RANKS = (4, 16)


def make_trainer(rank: int, steps: int, controller: AbortController) -> Trainer:
    """A fresh trainer; all of them listen to the one controller."""
    return create_trainer(
        name=f"rank-{rank}",
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=rank, alpha=2 * rank),
        max_steps=steps,
        learning_rate=0.01,
        abort_signal=controller.signal,
        backend="local",
    )


async def follow(trainer: Trainer) -> TrainingResult:
    """Submit it and wait for its end."""
    print(f"{trainer.name}: job {await trainer.start()}", flush=True)
    return await trainer.wait()


async def side_by_side(steps: int, controller: AbortController) -> list[TrainingResult]:
    """Both at once. One that fails does not take the other with it.

    Raises:
        AbortError: the controller aborted; both runs were stopped on the backend.
    """
    trainers = [make_trainer(rank, steps, controller) for rank in RANKS]
    try:
        ends = await asyncio.gather(*map(follow, trainers), return_exceptions=True)
        if controller.signal.aborted:
            states = await asyncio.gather(*(trainer.stop("aborted") for trainer in trainers))
            for trainer, state in zip(trainers, states, strict=True):
                print(plain(f"{trainer.name}: {state.message}"))
    finally:
        for trainer in trainers:
            await trainer.aclose()
    results: list[TrainingResult] = []
    for end in ends:
        if isinstance(end, BaseException):
            raise end
        results.append(end)
    return results


async def run(steps: int) -> int:
    """Ctrl-C and SIGTERM abort; the exit code is 0 if both runs completed."""
    controller = AbortController()
    for number in (signal.SIGINT, signal.SIGTERM):
        # through the loop: a handler of the signal module could interrupt anything
        asyncio.get_running_loop().add_signal_handler(number, controller.abort, "interrupted")
    try:
        results = await side_by_side(steps, controller)
    except AbortError as error:
        print(plain(error.message))
        return 130
    for result in results:
        print(plain(f"{result.job.name}: {result.status}"))
    return 0 if all(result.status == "completed" for result in results) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two runs side by side.")
    parser.add_argument("--steps", type=int, default=50)
    sys.exit(asyncio.run(run(parser.parse_args().steps)))
