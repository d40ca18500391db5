"""What recipes cost: event throughput with guards and a probe, and a what-if over a long run.

Throughput is that of api + run with one plain callback against the same with guards (ceiling,
window, patience, non-finite) and a probe beside it; the runs alternate, the medians count. Target:
at least 0.95. The what-if reads a run of a million log events from the archive and feeds the same
guards. Target: at most 2 s.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arkor_tui.api.scope import Scope
from arkor_tui.archive.records import RunIdentity
from arkor_tui.archive.store import Archive
from arkor_tui.connect.connection import Connection
from arkor_tui.recipes import EarlyStopping, PromptProbe
from arkor_tui.recipes.whatif import GuardSettings, what_if
from arkor_tui.run.callbacks import Callback, FunctionCallback, LogContext
from arkor_tui.run.trainer import Trainer
from arkor_tui.session.whatif import observations

from .archive import BATCH, job, log_event
from .report import Figure, at_least, at_most, command_line, show

COST_TARGET = 0.95
WHAT_IF_TARGET = 2.0


async def rate(url: str, count: int, recipes: list[Callback]) -> float:
    """Events per second."""
    seen = 0

    def on_log(ctx: LogContext) -> None:
        nonlocal seen
        seen += 1

    connection = Connection("url", url, Scope("org", "project"), "anonymous", "token")
    callbacks = [FunctionCallback(on_log=on_log), *recipes]
    begin = time.perf_counter()
    result = await Trainer.attach("job-1", callbacks=callbacks, connection=connection).wait()
    seconds = time.perf_counter() - begin
    await connection.aclose()
    if result.status != "completed" or seen != count:
        raise RuntimeError(f"{result.status}, {seen} of {count} events")
    return count / seconds


def guarded() -> list[Callback]:
    """All numeric guards, none of which fires, and a probe."""
    return [
        EarlyStopping(ceiling=5.0, window=10, patience=1_000_000),
        PromptProbe(["hi"]),
    ]


async def throughput(count: int, runs: int) -> dict[str, float]:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.event_stream", "--serve", "--events", str(count),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        plain, with_recipes = [], []
        for recipes in ([], guarded()):  # warm
            await rate(url, count, recipes)
        for _ in range(runs):
            plain.append(await rate(url, count, []))
            with_recipes.append(await rate(url, count, guarded()))
    finally:
        assert server.stdin is not None
        server.stdin.close()
        await server.wait()
    return {"plain": statistics.median(plain), "recipes": statistics.median(with_recipes)}


def what_if_seconds(count: int) -> float:
    """Seconds to read a long run and feed the guards."""
    with tempfile.TemporaryDirectory() as folder, Archive.open(Path(folder) / "h.db") as archive:
        key = archive.register(RunIdentity("local", "o", "p", "long"), job(1))
        for start in range(0, count, 50 * BATCH):
            archive.append(
                key, [log_event(step) for step in range(start + 1, start + 1 + 50 * BATCH)]
            )
        settings = GuardSettings(ceiling=1e6, window=10, patience=10 * count)
        begin = time.perf_counter()
        found = what_if(observations(archive, key), settings)
        seconds = time.perf_counter() - begin
    if found.events != count or found.step is not None:
        raise RuntimeError(f"{found}")
    return seconds


def main() -> int:
    """Print the figures."""
    parser = command_line(__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--long", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates = asyncio.run(throughput(options.events, options.runs))
    figures = [
        at_least(COST_TARGET, "events with guards and a probe, against none",
                 rates["recipes"] / rates["plain"]),
        Figure("events with guards and a probe", rates["recipes"], "/s"),
        at_most(WHAT_IF_TARGET, f"what-if over {options.long:,} events",
                what_if_seconds(options.long), "s"),
    ]  # fmt: skip
    return show(figures, as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
