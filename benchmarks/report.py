"""What a benchmark measured, how that is shown, and whether it was what it should be."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value. ``at most`` and ``at least`` have a target, ``for the record`` none."""

    name: str
    value: float
    unit: str
    rule: Literal["at most", "at least", "for the record"] = "for the record"
    target: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target, if any, was met."""
        if self.target is None:
            return True
        return self.value <= self.target if self.rule == "at most" else self.value >= self.target

    @property
    def cells(self) -> tuple[str, str, str]:
        """Measured, target and verdict, as a table shows them."""
        measured = f"{_number(self.value)} {self.unit}".rstrip()
        if self.target is None:
            return measured, "", ""
        return measured, f"{self.rule} {_number(self.target)}", "yes" if self.met else "NO"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def at_most(target: float, name: str, value: float, unit: str = "times") -> Figure:
    """A figure that is good when small."""
    return Figure(name, value, unit, "at most", target)


def at_least(target: float, name: str, value: float, unit: str = "times") -> Figure:
    """A figure that is good when large."""
    return Figure(name, value, unit, "at least", target)


def machine() -> str:
    """What the figures were measured on."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next((x.partition(":")[2].strip() for x in lines if "model name" in x), "")
    except OSError:  # another system than Linux
        model = platform.processor()
    return (
        f"{os.cpu_count()} cores, {model or platform.machine()}, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def show(figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print the figures; 1 where a target was missed."""
    if as_json:
        print(json.dumps([{**asdict(figure), "met": figure.met} for figure in figures]))
    else:
        width = max(len(figure.name) for figure in figures)
        for figure in figures:
            measured, target, met = figure.cells
            print(f"  {figure.name:{width}}  {measured:>16}  {target:18}  {met}".rstrip())
    return 0 if all(figure.met for figure in figures) else 1


def run(parser: argparse.ArgumentParser, measure: Callable[[], list[Figure]]) -> int:
    """Parse what is left of a command line, measure, print.

    ``--json`` prints a list of objects with the fields of :class:`Figure` and ``met``.
    """
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    return show(measure(), as_json=options.json)


def command_line(doc: str | None) -> argparse.ArgumentParser:
    """A parser that explains itself with a module's docstring."""
    return argparse.ArgumentParser(description=(doc or "").splitlines()[0])
