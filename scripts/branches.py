"""Print how many branches of each room the tests take; exit 1 where a room misses its share.

Reads the report that ``coverage json`` has written.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path, PurePath

ROOMS = ("api", "run", "chat", "session", "archive")
TARGET = 0.95


def main(report: Path) -> int:
    """Print a line for each room; the exit code."""
    taken: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, file in json.loads(report.read_text())["files"].items():
        package, room, *_ = PurePath(name).parts
        if package == "arkor_tui" and room in ROOMS:
            taken[room] += file["summary"]["covered_branches"]
            total[room] += file["summary"]["num_branches"]
    missed = [room for room in ROOMS if taken[room] < TARGET * total[room] or not total[room]]
    for room in ROOMS:
        share = taken[room] / max(total[room], 1)
        note = f"  below {TARGET:.0%}" if room in missed else ""
        print(f"{room:<10}{taken[room]:>5} of {total[room]:>4} branches  {share:6.1%}{note}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
