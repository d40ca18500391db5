"""Exports for other programs: spreadsheets, readers of Markdown, and CI systems."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from arkor_tui.archive.export import export_run, markdown_line, markdown_paragraph
from arkor_tui.archive.exporting import _fenced
from arkor_tui.archive.records import NewEvent
from arkor_tui.archive.store import Archive
from arkor_tui.chat.golden import Golden, GoldenAnswer
from arkor_tui.chat.target import Target
from arkor_tui.chat.verdict import Verdict
from arkor_tui.cli.junit import junit
from arkor_tui.session.probing import Probed
from arkor_tui.text.sanitize import plain
from tests.support.archive_material import IDENTITY, job
from tests.support.hostile_payloads import EVERY, forbidden, hostile_text

MARKUP = ("![x](http://h/t.png)", "[x](javascript:1)", "<img src=x onerror=1>", "&#x202e;&lt;b&gt;",
          "# h", "- x", "+ x", "1. x", "1) x", "---", "===", "***", "    x", "> x", "~~~", "| a |",
          "<!-- x", "*x*", "__x__", "~~x~~", "[x]: http://h", "\\", "`", "<http://h>")  # fmt: skip
marked = st.lists(st.sampled_from(MARKUP) | hostile_text, max_size=3).map(" ".join)
reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXT = {"inline", "text", "paragraph_open", "paragraph_close", "text_special"}


def read(text: str) -> tuple[set[str], str]:
    """What a reader of Markdown takes a text for: the kinds of its parts, and its words."""
    tokens = [part for token in reader.parse(text) for part in (token, *(token.children or ()))]
    words = "".join(token.content for token in tokens if token.type.startswith("text"))
    return {token.type for token in tokens}, words


@given(marked)
def test_a_foreign_line_is_text_to_a_reader_of_markdown(text: str) -> None:
    kinds, words = read(markdown_paragraph(text))
    assert kinds <= TEXT
    assert "".join(words.split()) == "".join(plain(text, newlines=False).split())


@given(marked, marked)
def test_a_foreign_cell_stays_in_its_cell(one: str, other: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {markdown_line(one)} | {markdown_line(other)} |\n"
    tokens = reader.parse(table)
    assert sum(token.type == "td_open" for token in tokens) == 2
    inline = [part.type for token in tokens for part in token.children or ()]
    assert set(inline) <= {"text", "text_special"}


@given(marked)
def test_a_foreign_text_stays_in_its_fence(text: str) -> None:
    tokens = reader.parse(f"{_fenced(plain(text))}\n\nafter\n")
    assert [token.type for token in tokens][:2] == ["fence", "paragraph_open"]
    assert tokens[2].content == "after"


@given(
    st.lists(hostile_text | st.sampled_from(["a;=1", " =1", "＝1", "a\tb", '"', "x,y"]), max_size=5)
)
def test_no_name_of_a_metric_is_a_formula_whatever_parts_the_columns(names: list[str]) -> None:
    values = ", ".join(f"{_quoted(name)}: 1.5" for name in names)
    with Archive.open() as archive:
        key = archive.register(IDENTITY, job(f"job-{hash(values)}"))
        data = '{"type": "training.log", "step": 1' + (f", {values}" if values else "") + "}"
        archive.append(key, [NewEvent("1", "training.log", 1, None, data)])
        out = io.StringIO()
        export_run(archive, key, "csv", out)
    assert forbidden(out.getvalue()) == set()
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(out.getvalue()), delimiter=delimiter):
            assert not [c for c in row if c.lstrip().startswith(("=", "+", "@", "-", "＝"))]


def _quoted(name: str) -> str:
    return json.dumps(name.encode("utf-8", "replace").decode())


def _probed(text: str, passed: bool | None, error: str | None) -> Probed:
    answer = GoldenAnswer(text, Verdict(passed, text), 0.5, error)
    return Probed(Target("base"), 0, Golden(text or "x", name=text), answer)


@given(hostile_text, st.booleans() | st.none(), st.none() | hostile_text)
def test_a_report_for_ci_is_xml_whatever_a_model_says(
    text: str, passed: bool | None, error: str | None
) -> None:
    report = junit(text, [_probed(text, passed, error)])
    assert forbidden(report) == set()
    suites = ET.fromstring(report.encode())
    assert [case.tag for suite in suites for case in suite] == ["testcase"]


@pytest.mark.parametrize("text", EVERY)
def test_every_payload_in_a_report_for_ci(text: str) -> None:
    (case,) = ET.fromstring(junit("run", [_probed(text, False, None)]).encode()).iter("testcase")
    assert [part.tag for part in case] == ["failure", "system-out"]
