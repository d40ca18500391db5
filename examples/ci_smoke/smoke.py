"""A smoke test for CI: does this trainer still start, train and end well?

    ARKOR_SMOKE=1 python examples/ci_smoke.py

With the flag the run is a dry run: few rows, few steps. A run that does not complete raises, so
the process ends with 1 and the job is red. `examples/ci_smoke.yml` is a workflow for GitHub.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from arkor_tui import (
    ArkorTuiError,
    FileDataset,
    LoraConfig,
    RunFailedError,
    create_arkor,
    create_trainer,
    run_trainer,
)

trainer = create_trainer(
    name="smoke",
    model="arkor-tui/tiny",
    dataset=FileDataset(os.environ.get("SMOKE_DATA", Path(__file__).parent / "data/tickets.jsonl")),
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
    except RunFailedError as error:
        sys.exit(f"the run {error.result.status}: {error.result.job.error}")
    except ArkorTuiError as error:
        sys.exit(f"{error.message}\n{error.hint or ''}")
