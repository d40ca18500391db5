"""Run every benchmark, one after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

NAMES = (
    "help_time", "event_stream", "training_step", "first_token", "archive", "chart", "first_paint",
    "live", "recipes",
)  # fmt: skip


def main() -> int:
    """Run what was named on the command line, or all."""
    failed = 0
    for name in sys.argv[1:] or NAMES:
        print(f"{name}: ", end="", flush=True)
        failed += subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], check=False
        ).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
