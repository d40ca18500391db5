"""``arkor-tui --help`` against ``python -c pass``: median wall time of alternating runs."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .report import Figure, at_most, command_line, run

TARGET = 4.0
ROUNDS = 31


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure() -> list[Figure]:
    """Median of each, and their ratio."""
    script = Path(sys.executable).with_name("arkor-tui")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "arkor_tui"]
    assert shutil.which(ours[0])
    bare, helped = [], []
    for _ in range(ROUNDS):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        helped.append(seconds([*ours, "--help"]))
    base, own = statistics.median(bare), statistics.median(helped)
    return [
        at_most(TARGET, "arkor-tui --help, against an empty Python program", own / base),
        Figure("arkor-tui --help", own * 1e3, "ms"),
    ]


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), measure)


if __name__ == "__main__":
    raise SystemExit(main())
