"""The figures of benchmarks: what counts as met, and the page that they are kept on."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import table
from benchmarks.report import Figure, at_least, at_most, show


def test_a_target_is_met_from_its_side() -> None:
    assert at_most(1.5, "paint", 1.5).met
    assert not at_most(1.5, "paint", 1.51).met
    assert at_least(0.9, "steps", 0.9).met
    assert not at_least(0.9, "steps", 0.89).met
    assert Figure("memory", 1e9, "MiB").met


def test_a_missed_target_is_seen_and_told_by_the_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    good, bad = at_most(1.5, "paint", 1.2), at_least(20_000, "archived", 12_345.6, "/s")
    assert show([good], as_json=False) == 0
    assert show([good, bad], as_json=False) == 1
    assert "NO" in capsys.readouterr().out.splitlines()[-1]
    assert show([bad], as_json=True) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["value"], told["target"], told["met"]) == (12_345.6, 20_000, False)


def test_the_page_has_a_row_for_each_figure() -> None:
    page = table({"live": [at_most(0, "bytes", 0, ""), Figure("memory", 128, "MB")]}, "2026-01-02")
    assert "| live | bytes | 0 | at most 0 | yes |" in page
    assert "| live | memory | 128 MB |  |  |" in page
    assert "2026-01-02 UTC" in page
