"""The reader of pages: a block that it missed would be a block that nobody tests."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.doc_pages import blocks, commands

from .test_snippets import parse, run_python


def test_blocks_have_language_text_and_line() -> None:
    page = "a\n```python\nx = 1\n```\n\n1. b\n\n   ```sh\n   ls\n     -l\n   ```\n```\nbare\n```\n"
    assert [(b.language, b.text, b.line, b.is_run) for b in blocks(page)] == [
        ("python", "x = 1\n", 3, True),
        ("sh", "ls\n  -l\n", 9, True),
        ("", "bare\n", 13, True),
    ]


def test_info_after_the_language_and_other_fences_hide_nothing() -> None:
    page = "```python title='a'\nx\n```\n~~~toml\na = 1\n~~~\n````python\n```\n````\n"
    assert [(b.language, b.text) for b in blocks(page)] == [
        ("python", "x\n"), ("toml", "a = 1\n"), ("python", "```\n")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "is_run"),
    [
        ("<!-- not run: it trains -->", False),
        ("<!-- not run: it trains -->\n", False),
        ("<!-- not run: it trains -->\nwords between", True),
        ("<!-- not run: -->", True),
        ("<!-- not run -->", True),
        ("<!-- something else -->", True),
    ],
)
def test_only_a_reason_right_before_it_keeps_a_block_from_running(
    before: str, is_run: bool
) -> None:
    assert [b.is_run for b in blocks(f"{before}\n```python\nx\n```\n")] == [is_run]


def test_one_reason_is_for_one_block() -> None:
    page = "<!-- not run: a -->\n```python\nx\n```\n```python\ny\n```\n"
    assert [b.is_run for b in blocks(page)] == [False, True]


def test_a_block_that_never_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 2 is never closed"):
        blocks("a\n```python\nx\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("arkor-tui start --json # as JSON", [["start", "--json"]]),
        ("$ arkor-tui runs", [["runs"]]),
        ("A=1 B='c d' .venv/bin/arkor-tui init x", [["init", "x"]]),
        (
            "arkor-tui init d && cd d && arkor-tui start --json",
            [["init", "d"], ["start", "--json"]],
        ),
        ("arkor-tui chat L 'a && b' \\\n  --step 5", [["chat", "L", "a && b", "--step", "5"]]),
        ("arkor-tui runs --json | jq .name > names", [["runs", "--json"]]),
        ("pip install arkor-tui", []),
    ],
)  # fmt: skip
def test_commands_of_a_shell_block(text: str, found: list[list[str]]) -> None:
    assert list(commands(text)) == found


@pytest.mark.parametrize(
    "words", [["start", "--nonsense"], ["statr"], ["cancel"], ["init", "--template", "x"]]
)
def test_a_command_that_does_not_exist_is_told(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        parse(words, monkeypatch)


def test_a_command_is_read_and_not_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse(["init", "demo"], monkeypatch)
    assert list(project.iterdir()) == []


def test_a_snippet_that_raises_fails_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "words\n\n```python\nx = 1\n```\n\n```python\nassert x == 1\nassert x == 2\n```\n"
    )
    with pytest.raises(AssertionError) as failed:
        run_python(page)
    assert failed.traceback[-1].lineno == 8  # counted from 0


def test_there_is_no_way_out(request: pytest.FixtureRequest) -> None:
    closing = request.getfixturevalue("monkeypatch")
    from .conftest import no_way_out

    guard = no_way_out.__wrapped__(closing)  # type: ignore[attr-defined] # pytest keeps it there
    next(guard)
    with pytest.raises(OSError, match="no way out"):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(OSError, match="no way out"), socket.socket() as one:
        one.connect(("127.0.0.1", 9))
    with pytest.raises(OSError, match="no way out"):
        subprocess.run([sys.executable, "-c", ""], check=False)
    with pytest.raises(AssertionError):
        next(guard)
