"""The archive: a long list of runs, a run of a million events, and how fast events get to disk.

Three figures. Opening the archive and reading the first runs, with 10,000 runs against 10 (the
median of alternating rounds; ten runs are read from both, as the smaller has no more). Opening it
and reading what the live screen needs of a run of a million log events, in a process of its own,
with that process's memory. Events per second written in batches of 100. Everything lies in a
temporary folder that is gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from arkor_tui.api.jobs import Job
from arkor_tui.archive.records import NewEvent, RunIdentity, RunQuery
from arkor_tui.archive.store import Archive

from .report import Figure, at_least, at_most, command_line, show

RATIO_TARGET = 1.2
LONG_RUN_TARGET_MS = 500.0
APPEND_TARGET = 20_000.0
BATCH = 100
FEW = 10
PAGE = 100
EVAL_EVERY = 25


def job(number: int, status: str = "completed") -> Job:
    """A job as a backend tells it."""
    return Job.model_validate(
        {
            "id": f"job_{number:024x}",
            "orgId": "o-1",
            "projectId": "p-1",
            "name": f"triage-run-{number}",
            "status": status,
            "config": {
                "model": "unsloth/gemma-4-E4B-it",
                "datasetSource": {"type": "huggingface", "name": "arkorlab/triage-demo"},
                "loraR": 16,
                "maxSteps": 100,
                "learningRate": 2e-4,
            },
            "createdAt": f"2026-08-{number % 28 + 1:02d}T10:00:{number % 60:02d}.000Z",
            "startedAt": f"2026-08-{number % 28 + 1:02d}T10:01:00.000Z",
            "completedAt": f"2026-08-{number % 28 + 1:02d}T10:08:00.000Z",
        }
    )


def log_event(step: int) -> NewEvent:
    """What the backend sends for one step."""
    at = f"2026-08-07T{step // 3600 % 24:02d}:{step // 60 % 60:02d}:{step % 60:02d}.000Z"
    data = {
        "type": "training.log",
        "jobId": "job_000000000000000000000001",
        "timestamp": at,
        "step": step,
        "loss": round(3 / step**0.2 + step % 7 / 50, 6),
        "evalLoss": round(3.1 / step**0.2, 6) if step % EVAL_EVERY == 0 else None,
        "learningRate": 0.0002,
        "epoch": round(step / 1e6, 6),
        "samplesPerSecond": 41.5,
    }
    return NewEvent(str(step), "training.log", step, at, json.dumps(data, separators=(",", ":")))


def batches(first: int, last: int, size: int) -> Iterator[list[NewEvent]]:
    """Log events of the steps ``first`` to ``last``."""
    for start in range(first, last + 1, size):
        yield [log_event(step) for step in range(start, min(start + size, last + 1))]


def make_runs(path: Path, count: int) -> None:
    """An archive of ``count`` runs, each with a few events so that its summary is filled."""
    with Archive.open(path) as archive:
        archive.sync_jobs("local", "org", "project", [job(number) for number in range(count)])
        for run in archive.runs(limit=min(count, PAGE)):
            archive.append(run.key, [log_event(step) for step in range(1, 101)])


def first_page(path: Path, limit: int) -> float:
    """Seconds to open the archive and read the first ``limit`` of a project's runs."""
    query = RunQuery(backend="local", org="org", project="project")
    begin = time.perf_counter()
    with Archive.open(path) as archive:
        rows = archive.runs(query, limit=limit)
        seconds = time.perf_counter() - begin
    assert len(rows) == limit
    return seconds


def measure_pages(folder: Path, runs: int, rounds: int) -> dict[str, float]:
    """Medians for few and for many runs, and of what a person does with the many."""
    few, many = folder / "few.db", folder / "many.db"
    make_runs(few, FEW)
    make_runs(many, runs)
    times: dict[Path, list[float]] = {few: [], many: []}
    for path in (few, many):
        first_page(path, FEW)
    for _ in range(rounds):
        for path in (few, many):
            times[path].append(first_page(path, FEW))
    small, large = (statistics.median(times[path]) for path in (few, many))
    figures = {"pageFewMs": small * 1e3, "pageManyMs": large * 1e3, "pageRatio": large / small}
    figures["fullPageMs"] = 1e3 * statistics.median(first_page(many, PAGE) for _ in range(rounds))
    with Archive.open(many) as archive:
        for name, query in {
            "countMs": None,
            "searchRunsMs": RunQuery(text="triage 9999"),
            "sortByLossMs": RunQuery(sort="loss", descending=False),
        }.items():
            begin = time.perf_counter()
            if query is None:
                assert archive.count() == runs
            else:
                archive.runs(query, limit=PAGE)
            figures[name] = (time.perf_counter() - begin) * 1e3
    return figures


def measure_append(folder: Path, events: int) -> dict[str, float]:
    """Events per second, each batch a transaction of its own."""
    prepared = list(batches(1, events, BATCH))
    with Archive.open(folder / "append.db") as archive:
        key = archive.register(RunIdentity("local", "org", "project", "a"), job(1, "running"))
        begin = time.perf_counter()
        for batch in prepared:
            archive.append(key, batch)
        seconds = time.perf_counter() - begin
    return {"eventsPerSecond": events / seconds}


def make_long_run(path: Path, events: int) -> dict[str, float]:
    """A run of ``events`` log events; how long the last tenth took says whether size matters."""
    spent = 0.0
    written = 0
    with Archive.open(path) as archive:
        key = archive.register(RunIdentity("local", "org", "project", "a"), job(1, "running"))
        for batch in batches(1, events, BATCH):
            begin = time.perf_counter()
            archive.append(key, batch)
            if batch[0].step is not None and batch[0].step > events * 9 // 10:
                spent += time.perf_counter() - begin
                written += len(batch)
    return {"eventsPerSecondAtEnd": written / spent, "fileMiB": path.stat().st_size / 2**20}


def read_long_run(path: Path) -> dict[str, float]:
    """What the live screen needs of a long run, from nothing; milliseconds and MiB."""
    before = _rss()
    begin = time.perf_counter()
    with Archive.open(path) as archive:
        run = archive.runs(limit=1)[0]
        opened = time.perf_counter()
        series = archive.load_series(run.key, ["loss", "evalLoss"])
        loaded = time.perf_counter()
        rows = archive.log(run.key, after=run.events - 500, limit=500)
        shown = time.perf_counter()
        rss = _rss()
        assert len(rows) == 500
        assert len(series["loss"].steps) == run.events
        archive.row_of_step(run.key, run.events // 2)
        jumped = time.perf_counter()
        archive.search(run.key, "no such text", start=0, forward=True)
        searched = time.perf_counter()
        archive.checkpoints(run.key)
        listed = time.perf_counter()
    return {
        "openMs": (opened - begin) * 1e3,
        "seriesMs": (loaded - opened) * 1e3,
        "rowsMs": (shown - loaded) * 1e3,
        "totalMs": (shown - begin) * 1e3,
        "rowOfStepMs": (jumped - shown) * 1e3,
        "fruitlessSearchMs": (searched - jumped) * 1e3,
        "checkpointsMs": (listed - searched) * 1e3,
        "rssMiB": rss,
        "rssGrowthMiB": rss - before,
    }


def _rss() -> float:
    """This process's largest memory so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere in Linux the figure is at least that of the parent process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(runs: int, events: int, rounds: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = measure_pages(folder, runs, rounds)
        figures |= measure_append(folder, min(events, 50_000))
        long_run = folder / "long.db"
        figures |= make_long_run(long_run, events)
        command = [sys.executable, "-m", "benchmarks.archive", "--read", str(long_run)]
        reads = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            for _ in range(5)
        ]
        figures |= {name: statistics.median(read[name] for read in reads) for name in reads[0]}
    return figures


def figures_of(found: dict[str, float], runs: int, events: int) -> list[Figure]:
    """What was found, with the targets."""
    return [
        at_most(RATIO_TARGET, f"first runs of {runs:,}, against 10", found["pageRatio"]),
        Figure(f"archive opened and first runs of {runs:,} read", found["pageManyMs"], "ms"),
        Figure(f"search in the names of {runs:,} runs", found["searchRunsMs"], "ms"),
        at_most(LONG_RUN_TARGET_MS, f"run of {events:,} events read", found["totalMs"], "ms"),
        Figure("its search without a find", found["fruitlessSearchMs"], "ms"),
        Figure("memory of the process that read it", found["rssMiB"], "MiB"),
        at_least(APPEND_TARGET, "events archived", found["eventsPerSecond"], "/s"),
        Figure(f"events archived behind {events:,}", found["eventsPerSecondAtEnd"], "/s"),
    ]


def main() -> int:
    """Print the figures."""
    parser = command_line(__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read_long_run(options.read)))
        return 0
    found = measure(options.runs, options.events, options.rounds)
    return show(figures_of(found, options.runs, options.events), as_json=options.json)


if __name__ == "__main__":
    raise SystemExit(main())
