"""Run every benchmark; keep what was found in RESULTS.md and results.json beside this file.

Each runs in a process of its own, one after another. Names on the command line choose some; then
nothing is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from .report import Figure, machine, show

NAMES = (
    "help_time", "event_stream", "engine_start", "training_step", "first_token", "archive", "chart",
    "first_paint", "live", "recipes",
)  # fmt: skip
_FOLDER = Path(__file__).parent


def figures_of(name: str) -> list[Figure]:
    """Run one benchmark.

    Raises:
        RuntimeError: it printed no figures.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json"]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"benchmarks.{name} ended with {done.returncode}") from None
    return [Figure(**{key: row[key] for key in Figure.__slots__}) for row in found]


def table(found: dict[str, list[Figure]], date: str) -> str:
    """The figures as Markdown."""
    rows = [
        f"| {name} | {figure.name} | " + " | ".join(figure.cells) + " |"
        for name, figures in found.items()
        for figure in figures
    ]
    return "\n".join(
        (
            "# Figures of the last full run",
            "",
            f"{date} UTC, {machine()}. `make bench` measures anew and writes this page. A value in",
            '"times" compares two things in one run; one without a target is for the record.',
            "",
            "| benchmark | what | measured | target | met |",
            "|---|---|---:|---|---|",
            *rows,
            "",
        )
    )


def main() -> int:
    """Run what was named, or all."""
    names = sys.argv[1:]
    found: dict[str, list[Figure]] = {}
    failed = 0
    for name in names or NAMES:
        print(name, flush=True)
        found[name] = figures_of(name)
        failed |= show(found[name], as_json=False)
    if not names:
        date = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
        (_FOLDER / "RESULTS.md").write_text(table(found, date), encoding="utf-8")
        as_dicts = {
            name: [{**{k: getattr(f, k) for k in Figure.__slots__}, "met": f.met} for f in figures]
            for name, figures in found.items()
        }
        result = {"date": date, "machine": machine(), "figures": as_dicts}
        (_FOLDER / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
