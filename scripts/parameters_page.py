"""Writes docs/parameters.md from the table of run parameters."""

from __future__ import annotations

from pathlib import Path

from arkor_tui.params import PARAMETERS, Parameter

PAGE = Path(__file__).parents[1] / "docs" / "parameters.md"
_HEAD = """# Parameters of a run

Made from the table in [`arkor_tui/params.py`](../arkor_tui/params.py) by
`python -m scripts.parameters_page`; change it there. Every parameter may be left out, and `None` is
as if left out: the backend decides then. `name`, `model` and `dataset` are needed by every run and
are not listed.

A number that the embedded backend does not take is refused by its name, all wrong ones at once.
Arkor's cloud has limits of its own. A parameter that only one of the two has is refused by name on
the other: by the embedded backend when the job is sent, for the cloud before anything is sent.
"""
_WHO = {"both": "both", "cloud": "the cloud", "embedded": "embedded"}


def page() -> str:
    """The page's text."""
    lines = [_HEAD]
    groups = dict.fromkeys(parameter.group for parameter in PARAMETERS.values())
    for group in groups:
        lines += [f"## {group}", ""]
        lines += ["| argument | in the request | must be | default | served by | what it does |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_row(found) for found in PARAMETERS.values() if found.group == group]
        lines += [""]
    return "\n".join(lines)


def _row(parameter: Parameter) -> str:
    about = parameter.about
    if parameter.refusal and parameter.served == "both":
        about += " The embedded backend refuses `true`."
    cells = (
        f"`{_argument(parameter)}`", f"`{parameter.wire}`", _code(parameter.kind.words),
        _default(parameter), _WHO[parameter.served], about,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _argument(parameter: Parameter) -> str:
    first, *inner = parameter.path
    if not inner:
        return first
    return f"LoraConfig.{inner[0]}" if first == "lora" else f'{first}["{inner[0]}"]'


def _code(words: str) -> str:
    """JSON in words, marked as such."""
    return words.replace('{"', '`{"').replace("}", "}`")


def _default(parameter: Parameter) -> str:
    if parameter.otherwise or parameter.default is None:
        return parameter.otherwise or "–"
    value = parameter.default
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{value:g}`" if isinstance(value, int | float) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
