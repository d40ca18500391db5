"""Two runs one after the other: the second begins only if the first completed.

    python examples/sequence.py

Ctrl-C aborts the wait for whichever run is going, stops that run on the backend, and the rest never
begins.
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
)
from arkor_tui.plain import plain

DATA = Path(__file__).parent / "data" / "tickets.jsonl"
RANKS = (4, 16)


def make_trainer(rank: int, steps: int, controller: AbortController) -> Trainer:
    """A fresh trainer: one drives exactly one run."""
    return create_trainer(
        name=f"rank-{rank}",
        model="arkor-tui/tiny",
        dataset=FileDataset(DATA),
        lora=LoraConfig(r=rank, alpha=2 * rank),
        max_steps=steps,
        learning_rate=0.01,
        abort_signal=controller.signal,
        on_started=lambda ctx: print(f"rank-{rank}: started {ctx.job.id}", flush=True),
        backend="local",
    )


async def in_sequence(steps: int, controller: AbortController) -> bool:
    """The small one first; the large one only if that went well. Whether all completed.

    Raises:
        AbortError: the controller aborted; the run that was going was stopped on the backend.
    """
    for rank in RANKS:
        trainer = make_trainer(rank, steps, controller)
        try:
            result = await trainer.wait()
        except AbortError:
            state = await trainer.stop("aborted")
            print(plain(f"rank-{rank}: {state.message}"))
            raise
        finally:
            await trainer.aclose()
        print(plain(f"{result.job.name}: {result.status}"))
        if result.status != "completed":
            return False
    return True


async def run(steps: int) -> int:
    """Ctrl-C and SIGTERM abort; the exit code is 0 if both runs completed."""
    controller = AbortController()
    for number in (signal.SIGINT, signal.SIGTERM):
        # through the loop: a handler of the signal module could interrupt anything
        asyncio.get_running_loop().add_signal_handler(number, controller.abort, "interrupted")
    try:
        return 0 if await in_sequence(steps, controller) else 1
    except AbortError as error:
        print(plain(error.message))
        return 130


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two runs, one after the other.")
    parser.add_argument("--steps", type=int, default=50)
    sys.exit(asyncio.run(run(parser.parse_args().steps)))
