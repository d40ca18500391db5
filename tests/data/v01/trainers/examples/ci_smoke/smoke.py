"""A smoke test for CI: does this trainer still start, train and end well?

    ARKOR_SMOKE=1 python examples/ci_smoke/smoke.py

With the flag the run is a dry run: few rows, few steps. Without it the same file trains in earnest.
A run that does not complete raises, so the process ends with 1 and the job is red.
`workflow.yml` beside this file is a workflow for GitHub Actions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from arkor_tui import (
    ArkorTuiError,
    FileDataset,
    LoraConfig,
    create_arkor,
    create_trainer,
    run_trainer,
)
from arkor_tui.plain import plain

DATA = Path(__file__).parents[1] / "data" / "tickets.jsonl"

trainer = create_trainer(
    name="smoke",
    model="arkor-tui/tiny",
    dataset=FileDataset(os.environ.get("SMOKE_DATA", DATA)),
    lora=LoraConfig(r=16, alpha=32),
    max_steps=200,
    learning_rate=0.01,
    dry_run=os.environ.get("ARKOR_SMOKE") == "1",
    backend="local",
)
arkor = create_arkor(trainer=trainer)

if __name__ == "__main__":
    try:
        run_trainer(trainer, raise_on_failure=True)
    except ArkorTuiError as error:  # a failed run is one of these too; what it says is foreign text
        sys.exit(plain(f"{error.message}\n{error.hint or ''}".strip()))
