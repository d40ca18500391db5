"""``arkor-tui replay``: play a recorded run."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.errors import UsageError
from arkor_tui.session.resolve import RUN_HELP
from arkor_tui.text.sanitize import one_line

from .interaction import emit, say

if TYPE_CHECKING:
    from arkor_tui.archive.recording import Recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Play a recorded run into the app: a file that `arkor-tui runs export` wrote, or a run of "
        "the archive. It is marked as a replay; nothing is sent anywhere."
    )
    parser.add_argument(
        "run",
        metavar="FILE|RUN",
        help=f"a recording (.jsonl), {RUN_HELP}",
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="how many times as fast (default 1)"
    )
    parser.add_argument("--theme", metavar="NAME", help="a theme by name")
    parser.add_argument(
        "--headless", action="store_true", help="print the events at once instead of the app"
    )


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100_000:
        raise ValueError("above 0, at most 100000")
    return value


def run(args: argparse.Namespace) -> int:
    """Play it.

    Raises:
        UsageError: there is no such file or run, or no terminal.
        RecordingError: the file is no recording.
    """
    with _recording(args.run) as recording:
        if args.headless or args.json:
            return _print(recording, json_lines=args.json)
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(
                "The app needs a terminal, and this is a pipe.",
                hint="`--headless` prints the events instead.",
            )
        return asyncio.run(_play(recording, args))


async def _play(recording: Recording, args: argparse.Namespace) -> int:
    from arkor_tui.config.settings import read_settings
    from arkor_tui.session.replay import replaying
    from arkor_tui.tui.app import ArkorApp

    settings = read_settings()
    async with replaying(recording, speed=args.speed) as session:
        monitor = next(iter(session.monitors))
        app = ArkorApp(session, theme=args.theme, run=monitor.record, settings=settings)
        await app.show(mouse=settings.app.mouse)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


@contextmanager
def _recording(ref: str) -> Iterator[Recording]:
    from arkor_tui.archive.export import export_run, read_recording
    from arkor_tui.archive.store import Archive
    from arkor_tui.session.resolve import archived_run

    path = Path(ref).expanduser()
    if path.is_file():
        yield read_recording(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.jsonl"
        with Archive.open() as archive, file.open("w", encoding="utf-8") as out:
            export_run(archive, archived_run(archive, ref, Path.cwd()).key, "jsonl", out)
        yield read_recording(file)


def _print(recording: Recording, *, json_lines: bool) -> int:
    from arkor_tui.archive.points import metric_points
    from arkor_tui.archive.records import utc_time

    name = f"replay: {recording.run.name}"
    if json_lines:
        emit("replay", {"name": recording.run.name, "jobId": recording.run.identity.job_id})
    else:
        say(one_line(name))
    for event in recording.events:
        if json_lines:
            emit("event", {"id": event.id, "kind": event.kind, "step": event.step, "at": event.at})
            continue
        points = metric_points(event.kind, event.step, None, event.data)
        numbers = " ".join(
            f"{metric}={value:.6g}" for metric, _, value in points if value is not None
        )
        step = "" if event.step is None else f" step={event.step}"
        say(
            one_line(
                f"{utc_time(event.at) or '-'} {event.kind}{step} {numbers}".rstrip(), limit=1_000
            )
        )
    return 0
