"""``arkor-tui --help`` against ``python -c pass``: median wall time of alternating runs."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

TARGET = 4.0
ROUNDS = 31


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of both commands, and their ratio."""
    script = Path(sys.executable).with_name("arkor-tui")
    ours = [str(script)] if script.exists() else [sys.executable, "-m", "arkor_tui"]
    assert shutil.which(ours[0])
    bare, helped = [], []
    for _ in range(rounds):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        helped.append(seconds([*ours, "--help"]))
    base, own = statistics.median(bare), statistics.median(helped)
    return {"bareSeconds": base, "helpSeconds": own, "ratio": own / base, "target": TARGET}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = measure()
    if args.json:
        print(json.dumps({"name": "help_time", **figures}))
    else:
        print(
            f"--help {figures['helpSeconds'] * 1e3:.1f} ms, bare {figures['bareSeconds'] * 1e3:.1f}"
            f" ms: {figures['ratio']:.2f} times (target: at most {TARGET:g})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
