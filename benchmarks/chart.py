"""Charts: the time of a frame does not grow with the points, and live points cost little.

The points are noise around a falling curve. Before each measured frame a point is added, so that
nothing is taken from an earlier frame that a live run would not find there. Nothing is written to
a terminal. Targets: a frame of 1,000 points in at most 15 ms and of 1,000,000 in at most 1.3 times
that; twenty series of 50,000 points opened in at most 500 ms, a frame of them in at most 13 ms
whether one of them grows or all do; 100 events on 100,000 points in at most 4.5 ms of own work.
The last four are what the makers of W&B LEET publish for it (wandb pull request 12535 and its
neighbours), which name no machine; RESULTS.md names ours.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from array import array
from collections.abc import Callable, Sequence

from arkor_tui.archive.series import Series
from arkor_tui.tui.chart.frame import ChartSpec, LineSpec, draw

from .report import Figure, at_most, command_line, run

WIDTH, HEIGHT = 100, 30
FRAME_MS, RATIO = 15.0, 1.3
OPEN_MS, MANY_MS, LIVE_MS = 500.0, 13.0, 4.5
COUNT = 15  # frames for each median


def numbers(count: int, seed: int = 1) -> tuple[array[float], array[float]]:
    """Steps and values as the archive gives them."""
    rng = random.Random(seed)
    values = (1 + 3 * math.exp(-4 * n / count) + rng.uniform(-0.3, 0.3) for n in range(count))
    return array("d", range(count)), array("d", values)


def milliseconds(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def spec(*series: Series) -> ChartSpec:
    """A live chart of ``series``."""
    lines = tuple(LineSpec(f"line {n}", one, "solid", f"run{n}") for n, one in enumerate(series))
    return ChartSpec(lines, WIDTH, HEIGHT, room=True)


def grow(series: Series) -> None:
    """One more point."""
    series.put((series.last_step or 0) + 1, 1.0)


def frames(picture: ChartSpec, growing: Sequence[Series], count: int) -> float:
    """Median of frames, each after one more point of every one of ``growing``."""
    draw(picture)
    times = []
    for _ in range(count):
        for one in growing:
            grow(one)
        times.append(milliseconds(lambda: draw(picture)))
    return statistics.median(times)


def moved_on(picture: ChartSpec, growing: Sequence[Series]) -> float:
    """A frame after the points ran out of the room on the x axis, so that all is drawn anew."""
    shown = draw(picture).x_range
    assert shown is not None
    for one in growing:
        one.put(shown[1] + 1, 1.0)
    return milliseconds(lambda: draw(picture))


def measure() -> list[Figure]:
    """Every figure."""
    short, long = Series(*numbers(1_000)), Series(*numbers(1_000_000))
    first = milliseconds(lambda: draw(spec(long)))
    # alternating, so that a machine that slows down slows both
    small, large = [], []
    for _ in range(COUNT):
        small.append(frames(spec(short), [short], 3))
        large.append(frames(spec(long), [long], 3))
    raw = [numbers(50_000, seed) for seed in range(20)]
    opened: list[Series] = []

    def open_many() -> None:
        opened.extend(Series(*one) for one in raw)
        draw(spec(*opened))

    opening = milliseconds(open_many)
    many = frames(spec(*opened), opened[:1], COUNT)
    all_new = frames(spec(*opened), opened, COUNT)
    moved = [moved_on(spec(*opened), opened) for _ in range(3)]
    live = Series(*numbers(100_000))
    edges = [0.0, 100_000.0]

    def batch() -> None:
        start = int(live.last_step or 0)
        for step in range(start + 1, start + 101):
            live.put(step, 1.0)
        edges[1] = start + 100
        live.columns(edges[0], edges[1], WIDTH * 2)

    batch()
    live_batch = statistics.median(milliseconds(batch) for _ in range(COUNT))
    short_frame, long_frame = statistics.median(small), statistics.median(large)
    return [
        at_most(FRAME_MS, "frame 100x30 of 1,000 points", short_frame, "ms"),
        at_most(RATIO, "frame of 1,000,000 points, against 1,000", long_frame / short_frame),
        Figure("its first frame", first, "ms"),
        at_most(OPEN_MS, "20 series of 50,000 points opened", opening, "ms"),
        at_most(MANY_MS, "their frame, one of them growing", many, "ms"),
        at_most(MANY_MS, "their frame, all growing", all_new, "ms"),
        Figure("their frame when the x axis makes room", statistics.median(moved), "ms"),
        at_most(LIVE_MS, "100 live events on 100,000 points", live_batch, "ms"),
    ]


def main() -> int:
    """Print the figures."""
    return run(command_line(__doc__), measure)


if __name__ == "__main__":
    raise SystemExit(main())
