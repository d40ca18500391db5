"""A run for elsewhere: as a recording, as a table of its metrics, or as a report to read."""

from __future__ import annotations

import csv
import heapq
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Literal, TextIO

from arkor_tui.errors import UsageError
from arkor_tui.text.sanitize import plain

from .points import iterate, series_names
from .recording import Recording, RecordingError, import_run, read_recording, write_recording
from .records import RunRecord
from .statistics import summary
from .store import Archive

__all__ = [
    "FORMATS",
    "Format",
    "Recording",
    "RecordingError",
    "export_run",
    "import_run",
    "read_recording",
]

Format = Literal["jsonl", "csv", "markdown"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv", "markdown")
_FIRST_COLUMNS = ("loss", "evalLoss", "learningRate", "epoch", "samplesPerSecond", "time")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
_LINE_MARKUP = re.compile(r"^([-+=]|\d{1,9}[.)])")  # lists, rules, underlines of headings
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_LONGEST_REPLY = 300


def export_run(archive: Archive, key: int, format: Format, out: TextIO) -> None:
    """Write a run to ``out``; a long one is never in memory as a whole.

    ``jsonl`` is a recording that :func:`~arkor_tui.archive.recording.import_run` takes back,
    ``csv`` the metric points by step, ``markdown`` a report. None of them holds a secret, and no
    text in them can harm a terminal.

    Raises:
        UsageError: there is no such run.
    """
    run = archive.run(key)
    if run is None:
        raise UsageError(f"There is no run {key} in the archive.")
    if format == "jsonl":
        write_recording(archive, run, out)
    elif format == "csv":
        _write_csv(archive, key, out)
    else:
        _write_markdown(archive, run, out)


def _write_csv(archive: Archive, key: int, out: TextIO) -> None:
    """A row for each step that has a value; an empty cell where a series has none there."""
    known = series_names(archive.db, key)
    names = [name for name in _FIRST_COLUMNS if name in known]
    names += [name for name in known if name not in names]
    table = csv.writer(out, lineterminator="\n")
    cells = ["step", *map(_cell, names)]
    if any(";" in cell for cell in cells):  # where a comma is a decimal sign, it parts columns
        csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(cells)
    else:
        table.writerow(cells)
    columns = [_column(archive, key, place, name) for place, name in enumerate(names)]
    for step, points in itertools.groupby(heapq.merge(*columns), key=lambda point: point[0]):
        row = [""] * len(names)
        for _, place, value in points:
            row[place] = repr(value)
        table.writerow([f"{step:.0f}", *row])


def _column(
    archive: Archive, key: int, place: int, name: str
) -> Iterator[tuple[float, int, float]]:
    return ((step, place, value) for step, value in iterate(archive.db, key, name))


def _cell(text: str) -> str:
    """A foreign text for a spreadsheet, which would take some of them for formulas."""
    shown = plain(text, newlines=False)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _write_markdown(archive: Archive, run: RunRecord, out: TextIO) -> None:
    identity = run.identity
    out.write(f"# {markdown_line(run.name)}\n\n")
    duration = run.duration
    _write_table(
        out,
        ("", ""),
        [
            ("Status", run.status + (f": {run.error}" if run.error else "")),
            *([("Why it ended", run.why_stopped)] if run.why_stopped else []),
            ("Model", run.model),
            ("Dataset", run.dataset),
            ("Job", identity.job_id),
            ("Where", f"{identity.backend}, {identity.org}/{identity.project}"),
            ("Created", run.created_at),
            ("Started", run.started_at or "-"),
            ("Ended", run.completed_at or "-"),
            ("Duration", f"{duration:,.0f} s" if duration is not None else "-"),
            ("Steps", f"{_number(run.last_step)} of {_number(run.max_steps)}"),
            *([("Tags", ", ".join(run.tags))] if run.tags else []),
        ],
    )
    if run.note:
        out.write("\n## Note\n\n")
        out.writelines(f"> {markdown_paragraph(line)}\n" for line in plain(run.note).splitlines())
    _write_metrics(archive, run, out)
    _write_checkpoints(archive, run, out)
    out.write("\n## Settings\n\n")
    _write_table(
        out,
        ("setting", "value"),
        [(name, json.dumps(value)) for name, value in run.config.items() if value is not None],
    )


def _write_metrics(archive: Archive, run: RunRecord, out: TextIO) -> None:
    rows = []
    for name, title in (("loss", "Training loss"), ("evalLoss", "Eval loss")):
        values = archive.load_series(run.key, [name])[name].values
        if not values:
            continue
        found = summary(values)
        odd = run.odd_loss if name == "loss" else run.odd_eval_loss
        final = str(odd) if odd is not None else f"{values[-1]:.4f}"
        numbers = [final, *(f"{number:.4f}" for number in (min(values), found.mean))]
        spreads = [found.spread(number) for number in (found.half_width_95, found.deviation)]
        rows.append((title, str(found.n), *numbers, *spreads))
    if rows:
        out.write("\n## Losses\n\n")
        header = ("", "points", "final", "best", "mean", "± 95 %", "standard deviation")
        _write_table(out, header, rows)


def _write_checkpoints(archive: Archive, run: RunRecord, out: TextIO) -> None:
    checkpoints = archive.checkpoints(run.key)
    if checkpoints:
        out.write("\n## Checkpoints\n\n")
        _write_table(
            out,
            ("step", "saved", "loss", "eval loss"),
            [
                (str(row.step), row.at or "-", _number(row.loss), _number(row.eval_loss))
                for row in checkpoints
            ],
        )
    samples = archive.samples(run.key)
    if samples:
        out.write("\n## Samples\n\n")
        verdicts = {True: "passed", False: "failed", None: "-"}
        _write_table(
            out,
            ("probe", "prompt", "step", "verdict", "reply"),
            [
                (
                    sample.probe,
                    str(sample.prompt + 1),
                    "base" if sample.step is None else str(sample.step),
                    sample.verdict or verdicts[sample.passed],
                    plain(sample.reply, limit=_LONGEST_REPLY),
                )
                for sample in samples
            ],
        )


def _write_table(out: TextIO, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    out.write(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}\n")
    for row in rows:
        out.write(f"| {' | '.join(map(markdown_line, row))} |\n")


def markdown_line(text: str) -> str:
    """A foreign text as one line that no reader of Markdown takes for markup."""
    return _MARKDOWN.sub(r"\\\1", plain(text, newlines=False))


def markdown_paragraph(text: str) -> str:
    """As :func:`markdown_line`, for a line that begins with it."""
    return _LINE_MARKUP.sub(_escaped_start, markdown_line(text).lstrip())


def _escaped_start(found: re.Match[str]) -> str:
    mark = found[0]
    return f"{mark[:-1]}\\{mark[-1]}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
