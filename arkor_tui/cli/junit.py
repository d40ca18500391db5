"""Probe results as JUnit XML, which CI systems show as tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arkor_tui.text.sanitize import plain

if TYPE_CHECKING:
    from arkor_tui.session.probing import Probed

_LONGEST = 2_000


def junit(run: str, results: Sequence[Probed]) -> str:
    """A test suite for each target, a test case for each prompt.

    An answer that could not be had or judged is an error, unless nothing was expected of it.
    """
    root = ET.Element("testsuites", name=_text(run))
    for label in dict.fromkeys(one.target.label for one in results):
        cases = [one for one in results if one.target.label == label]
        suite = ET.SubElement(root, "testsuite", name=_text(f"{run} {label}"))
        failures = errors = 0
        for one in cases:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=_text(f"{run}.{label}"),
                name=_text(one.prompt.name or one.prompt.text, limit=200),
                time=f"{one.answer.seconds:.3f}",
            )
            verdict = one.answer.verdict
            if verdict.passed is False:
                failures += 1
                ET.SubElement(case, "failure", message=_text(verdict.text))
            elif one.answer.error is not None or (verdict.passed is None and verdict.text):
                errors += 1
                ET.SubElement(case, "error", message=_text(verdict.text))
            ET.SubElement(case, "system-out").text = _text(one.answer.reply)
        counts = {"tests": len(cases), "failures": failures, "errors": errors}
        for name, count in counts.items():
            suite.set(name, str(count))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def write_junit(path: Path, run: str, results: Sequence[Probed]) -> None:
    """Write the report, in place of what is there.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(junit(run, results), encoding="utf-8")


def _text(text: str, limit: int = _LONGEST) -> str:
    # XML forbids most control characters and both halves of a surrogate pair
    clean = plain(text, limit=limit)
    return (
        "".join(c for c in clean if c in "\t\n" or (c >= " " and not "\ud800" <= c <= "\udfff"))
        .replace("\ufffe", "")
        .replace("\uffff", "")
    )
