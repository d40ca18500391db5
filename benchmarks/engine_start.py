"""The engine's imports against the same ones done plainly: median processor time of alternating
runs. Both children of the embedded backend begin with them.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from arkor_tui.backend.engine.libraries import NEEDED

from .report import Figure, at_most, command_line, run

TARGET = 0.9
ROUNDS = 7
_PLAIN = "import " + ", ".join(NEEDED)
_OURS = "from arkor_tui.backend.engine.libraries import import_libraries; import_libraries()"
_END = "; import os; os._exit(0)"  # as the children end: what is frozen is not torn down either


def seconds(script: str) -> float:
    """Processor time of one run."""
    before = _used()
    subprocess.run([sys.executable, "-c", script], check=True)
    return _used() - before


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def measure() -> list[Figure]:
    """Median of each, and their ratio."""
    plain, ours = [], []
    for _ in range(ROUNDS):
        plain.append(seconds(_PLAIN + _END))
        ours.append(seconds(_OURS + _END))
    base, own = statistics.median(plain), statistics.median(ours)
    return [
        at_most(TARGET, "imports of the engine, against plain ones", own / base),
        Figure("imports of the engine", own, "s"),
    ]


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), measure)


if __name__ == "__main__":
    raise SystemExit(main())
