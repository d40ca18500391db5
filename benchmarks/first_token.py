"""Time to the first token of a checkpoint chat: while training runs, against an idle backend.

Both over real HTTP against one embedded backend of its own, with the same checkpoint and prompt.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from importlib.resources import files
from pathlib import Path

from arkor_tui import FileDataset, LoraConfig, Trainer, create_trainer
from arkor_tui.api.events import CheckpointSaved
from arkor_tui.api.scope import Scope
from arkor_tui.chat.infer import Infer
from arkor_tui.connect.connection import Connection

from .report import Figure, at_most, command_line, run

TARGET = 2.5
ROUNDS = 25
PROMPT = [
    {"role": "system", "content": "You triage support tickets."},
    {"role": "user", "content": "I can't log in to my account."},
]


async def first_token_seconds(infer: Infer) -> float:
    """From sending the prompt to the first piece of the reply."""
    begin = time.perf_counter()
    async with infer.stream(PROMPT, max_tokens=16, temperature=0) as deltas:
        async for delta in deltas:
            if delta.text:
                return time.perf_counter() - begin
    raise AssertionError("the reply was empty")


async def sample(trainer: Trainer, step: int) -> list[float]:
    """Times with the checkpoint in memory; the first request, which loads it, is left out."""
    infer = trainer.infer(step=step)
    await first_token_seconds(infer)
    return [await first_token_seconds(infer) for _ in range(ROUNDS)]


async def measure(connection: Connection) -> list[Figure]:
    """Medians busy and idle, and their ratio."""
    rows = Path(str(files("arkor_tui.starters"))) / "triage" / "data" / "train.jsonl"
    trainer = create_trainer(
        name="first-token",
        model="arkor-tui/tiny",
        dataset=FileDataset(rows),
        dataset_format="chatml",
        lora=LoraConfig(r=16, alpha=32),
        max_steps=1_000_000,
        batch_size=16,
        save_steps=5,
        logging_steps=100,
        train_on_responses_only=True,
    )
    trainer.use(connection)
    busy: list[float] = []
    async with aclosing(trainer.events()) as events:
        async for item in events:
            if isinstance(item.event, CheckpointSaved) and item.event.step == 5:
                busy = await sample(trainer, 5)
                await trainer.cancel()
    idle = await sample(trainer, 5)
    await connection.aclose()
    one, other = statistics.median(busy), statistics.median(idle)
    return [
        at_most(TARGET, "first token while training, against an idle backend", one / other),
        Figure("first token while training", one * 1e3, "ms"),
    ]


def with_a_backend() -> list[Figure]:
    """Measure with a backend of its own."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "arkor_tui", "serve", "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ARKOR_TUI_DATA_DIR": folder},
        )
        try:
            assert process.stdout is not None
            info = json.loads(process.stdout.readline())
            token = Path(info["tokenFile"]).read_text()
            # by its address: the data folder in which "local" looks is not the one it has
            connection = Connection("url", info["url"], Scope("local", "bench"), "embedded", token)
            return asyncio.run(measure(connection))
        finally:
            process.terminate()
            process.wait()


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), with_a_backend)


if __name__ == "__main__":
    raise SystemExit(main())
