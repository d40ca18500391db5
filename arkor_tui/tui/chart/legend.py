"""The line of text that belongs to a chart: what is drawn how, and what the cursor reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arkor_tui.archive.series import Series
from arkor_tui.text.sanitize import plain
from arkor_tui.tui.text import duration, fit, number

from .frame import ChartFrame, ChartSpec, LineSpec, LineStyle, Reading, Run, Symbols

_STROKES: Mapping[Symbols, Mapping[LineStyle, str]] = {
    "braille": {"solid": "━━", "dashed": "╺╸", "dots": "● "},
    "block": {"solid": "━━", "dashed": "╺╸", "dots": "● "},
    "ascii": {"solid": "--", "dashed": "- ", "dots": "o "},
}


def legend(
    spec: ChartSpec, frame: ChartFrame, extras: Mapping[str, Series], *, following: bool
) -> list[Run]:
    """One row: the cursor's position, each line with its sign and value, further values at the
    cursor, and whatever is not as usual about the picture.

    Where it is narrow, names are shortened and further values left out: half a number would be
    a wrong one.
    """
    dot = " | " if spec.symbols == "ascii" else " · "
    found = _facts(spec, frame, following)
    facts: list[Run] = [(dot + dot.join(found), "axis")] if found else []
    values = [_value(line, spec, frame.readout) for line in spec.lines]
    room = spec.width - _length(facts) - sum(len(value) + 6 for value in values)
    runs: list[Run] = []
    if spec.cursor is not None:
        where, shortest = _position(spec, spec.cursor, dot), 4 * len(spec.lines)
        while dot in where and len(where) + 1 + shortest > room:
            where = where.rpartition(dot)[0]
        runs.append((f"{where} ", "cursor"))
    taken = spec.width - room + _length(runs)
    names = _shortened([line.name for line in spec.lines], spec.width - taken)
    for line, name, value in zip(spec.lines, names, values, strict=True):
        space = "  " if runs else ""
        runs.append((f"{space}{_STROKES[spec.symbols][line.style]} ", line.role))
        runs.append((f"{name} ", "legend"))
        runs.append((value, "value"))
    if spec.cursor is not None:
        for name, series in extras.items():
            point = series.nearest(spec.cursor)
            if point is None:
                continue
            label = f"{dot}{plain(name, limit=40, newlines=False)} "
            extra = [(label, "axis"), (number(point[1]), "value")]
            if _length([*runs, *extra, *facts]) <= spec.width:
                runs += extra
    return runs + facts


def _length(runs: Sequence[Run]) -> int:
    return sum(len(text) for text, _ in runs)


def _shortened(names: Sequence[str], room: int) -> list[str]:
    """Names that take ``room`` cells together, the longest ones cut first; none below 4."""
    shown = [plain(name, limit=40, newlines=False) for name in names]
    longest = max(map(len, shown), default=0)
    while longest > 4 and sum(min(len(name), longest) for name in shown) > room:
        longest -= 1
    return [fit(name, longest) if len(name) > longest else name for name in shown]


def _facts(spec: ChartSpec, frame: ChartFrame, following: bool) -> list[str]:
    weights = {line.smoothing for line in spec.lines if line.smoothing}
    facts = [f"EMA {weight:g}".replace("0.", ".") for weight in sorted(weights)]
    if spec.log_y:
        facts.append("log")
    if spec.x_axis != "step":
        facts.append(f"x: {spec.x_axis}")
    if spec.x_range is not None:
        facts.append("zoomed, following" if following else "zoomed")
    if frame.note:
        facts.append(frame.note)
    return facts


def _value(line: LineSpec, spec: ChartSpec, readout: Sequence[Reading]) -> str:
    if spec.cursor is None:
        return number(line.series.last)
    reading = next((r for r in readout if r.name == line.name and r.role == line.role), None)
    if reading is None:
        return number(None)
    if reading.value is None:
        return "gap"
    text = number(reading.value)
    if reading.smooth is not None:
        text += f" ({number(reading.smooth)})"
    return text if reading.step == spec.cursor else f"{text} @{reading.step:g}"


def _position(spec: ChartSpec, step: float, dot: str) -> str:
    text = f"step {step:g}" if abs(step) >= 1e15 or step % 1 else f"step {step:.0f}"
    epoch, time = spec.x_maps.get("epoch"), spec.x_maps.get("time")
    if epoch is not None and (value := epoch.value_at(step)) is not None:
        text += f"{dot}epoch {value:.2f}"
    if time is not None and (value := time.value_at(step)) is not None and value > time.values[0]:
        text += f"{dot}{duration(value - time.values[0])}"  # else the clock was set back
    return text
