"""A thousand hostile strings on screens of the real app, in a pty: its bytes are judged.

At night there are ten thousand. The screens are Runs, Compare, Live with its log, event, output
and samples, Console with transcripts and library, Setup, and the help and the palette over them.
What shows the answers of a model (time machine, blind A/B, bisect) and What if are in
``tests/tui/test_hostile.py``, without a terminal.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from arkor_tui.archive.recording import import_run
from arkor_tui.archive.records import Exchange, Prompt, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.session.recipe_host import lock_path_of
from tests.support.amounts import amount
from tests.support.hostile_payloads import hostile_strings
from tests.support.raw_terminal import RawTerminal, shapes

STRINGS = amount("STRINGS", 1_000, 10_000)
COLUMNS, ROWS = 120, 50
PAGE_DOWN = "\x1b[6~"


def harmless_strings(count: int) -> list[str]:
    return [f"fine {number}" for number in range(count)]


def event_line(number: int, text: str) -> dict[str, object]:
    """An archived event that shows a text in one of the ways that the log knows."""
    token, step = f"k{number}.", number
    body: dict[str, object] = {"type": "training.log", "step": step}
    kind = "training.log"
    if number % 4 == 0:
        kind, body = "training.failed", {"type": "training.failed", "error": f"{token} {text}"}
    elif number % 4 == 1:
        body |= {token: text, "nonFinite": {"loss": text}}
    elif number % 4 == 2:
        body |= {f"{token} {text}": 1.5, "loss": 2.0 + number % 7}
    else:  # of a later protocol, and not even JSON
        kind = f"{token}{text}"
    data = text if number % 8 == 7 else json.dumps(body, ensure_ascii=False)
    return {
        "type": "event",
        "id": str(number),
        "kind": kind,
        "step": step,
        "at": text,
        "data": data,
    }


def recording(strings: list[str], name: str) -> str:
    text = strings[len(strings) // 2]
    identity = {"backend": text, "org": "o", "project": "p", "job_id": f"job {name}"}
    source = {"type": "huggingface", "name": text, "split": text}
    config: dict[str, object] = {"datasetSource": source, "datasetFormat": {"type": text}}
    if name == "the log":
        source = {"type": "file", "path": str(Path("rows.jsonl").resolve())}
        config = {"datasetSource": source, "maxSteps": 5}
    run = {
        "identity": identity, "name": name, "model": text, "dataset": text, "status": "failed",
        "error": text, "reason": text, "created_at": "2026-03-01T10:00:00Z", "note": text,
        "config": {**config, text or "x": text},
    }  # fmt: skip
    lines: list[dict[str, object]] = [{"type": "arkor-tui.run", "version": 1, "run": run}]
    lines += [event_line(number, text) for number, text in enumerate(strings)]
    return "\n".join(json.dumps(line) for line in lines)


def fill(folder: Path, strings: list[str]) -> None:
    """One run whose log holds every string, and forty with names, transcripts, samples and all."""
    file = folder / "run.jsonl"
    file.write_text(recording(strings, "the log"))
    with Archive.open() as archive:
        key = import_run(archive, file)
        archive.set_tags(key, strings[:20])
        for number, text in enumerate(strings[:400]):
            archive.save_exchange(
                Exchange(
                    key, "checkpoint", 5, text, ({"role": text, "content": f"e{number}. {text}"},),
                    text, verdict=text, error=text if number % 2 else None,
                )
            )  # fmt: skip
            archive.save_prompt(Prompt(f"p{number}. {text}", text, text))
        for number, text in enumerate(strings[400:440]):
            for step in (None, 5, 10):
                archive.save_sample(
                    Sample(key, text, number, step, text, False, text, text=f"s{number}. {text}")
                )
            archive.save_finding(key, "guard", text, 5, {"phase": text, "reason": text})
            archive.save_finding(key, "notification", text, 5, {"error": text, "service": text})
        record = archive.run(key)
        assert record is not None
        lock_path_of(record).with_suffix(".log").write_text(
            "\n".join([*strings[:400], "that was all"]), encoding="utf-8", errors="replace"
        )
        small = folder / "small.jsonl"
        for number in range(0, 400, 10):
            name = f"r{number}. {strings[number]}"
            small.write_text(recording(strings[number : number + 10], name))
            import_run(archive, small)


def glance(folder: Path, strings: list[str]) -> RawTerminal:
    """The app over these strings, into each view and out again: what it writes by itself."""
    fill(folder, strings)
    terminal = RawTerminal(COLUMNS, ROWS, "--backend", "http://127.0.0.1:9")
    try:
        terminal.show("", r"r390\.")
        terminal.show("\r", "Log")
        terminal.show("i", "chooses whom to talk to")
        terminal.show("\x1b", "write")
        terminal.show("1", "Runs ·")
        terminal.show("2", "Setup ·")
        terminal.show("\x1b", "Runs ·")
        terminal.press("q")
        assert terminal.end() == 0
    except BaseException:
        terminal.close()
        raise
    return terminal


def drive(folder: Path, strings: list[str]) -> RawTerminal:
    """The app over these strings, by keys through its screens; the terminal when it has ended."""
    fill(folder, strings)
    write_rows(Path("rows.jsonl"), strings)
    terminal = RawTerminal(COLUMNS, ROWS, "--backend", "http://127.0.0.1:9")
    try:
        terminal.show("", r"r390\.")
        terminal.show("?", "This screen")
        terminal.leave("This screen")
        terminal.show("\x10", "Search for commands")
        terminal.leave("Search for commands")
        terminal.show("  c", "final loss")
        terminal.leave("final loss")
        terminal.show("/", "words in name")
        terminal.show("the log", "Runs · 1 run")
        terminal.leave(r"(?m)^\W*the log\W*$", "\r")
        log_screen(terminal, strings)
        console(terminal)
        setup(terminal)
        terminal.press("q")
        assert terminal.end() == 0
    except BaseException:
        terminal.close()
        raise
    return terminal


def write_rows(file: Path, strings: list[str]) -> None:
    rows: list[object] = [{"messages": [{"role": s, "content": s}]} for s in strings[:3]]
    rows += [{f"c{number} {text}": text} for number, text in enumerate(strings[3:5])]
    wrong = (text.replace("\n", " ") for text in strings[6:30])
    lines = [*(json.dumps(row, ensure_ascii=False) for row in rows), *wrong]
    file.write_text("\n".join(lines), encoding="utf-8", errors="replace")


def log_screen(terminal: RawTerminal, strings: list[str]) -> None:
    """Live: the whole log by pages, one event in detail, what was printed, samples."""
    terminal.show("\r", rf"k{len(strings) - 2}\.")
    terminal.leave("└[×─]", "z")
    # down to the last line above the status, which is painted last
    terminal.show("\x1b[H", r"(?s)k1\..*k\d\d?\.[^\n]*\n[^\n]*1 Runs")
    page = bottom = max(map(int, re.findall(r"k(\d+)\.", terminal.text)))
    terminal.press(PAGE_DOWN)  # only moves the cursor to the last line in view
    terminal.emulated, start = False, len(terminal.raw)
    while bottom < len(strings) - 1:
        bottom = min(bottom + page, len(strings) - 1)
        terminal.page(PAGE_DOWN, rf"k{bottom}\.")
    written = set(re.findall(r"k\d+\.", terminal.since(start)))
    assert len(written) > len(strings) - 2 * page, "the whole log was shown"
    terminal.emulated = True
    terminal.show("\r", "event .* id ")
    terminal.leave("event .* id ")
    terminal.show("p", "that was all")
    terminal.leave("that was all")
    terminal.show("e", r"s0\.")
    terminal.leave(r"s0\.")


def console(terminal: RawTerminal) -> None:
    """Console: transcripts and the library, and pasted text."""
    terminal.show("i", "chooses whom to talk to")
    terminal.show("\x06", r"e399\.")
    terminal.leave(r"e399\.")
    terminal.show("\x0c", r"p0\.")
    terminal.leave(r"p0\.")
    terminal.show("\x1b[200~pasted \u202e\u009b31m\u009d0;owned\u200b text\x1b[201~", "pasted")


def setup(terminal: RawTerminal) -> None:
    """Setup filled in from a run, and a look at its dataset, most of which is none."""
    terminal.show("\x1b", "write")
    terminal.show("1", "Runs ·")
    terminal.show("e", r"line \d+: not")
    terminal.show("\x0f", "Fill in from")
    terminal.leave("Fill in from")
    terminal.show("\x1b", "Runs ·")


def judged(terminal: RawTerminal) -> tuple[set[str], list[str]]:
    found, said, raw = shapes(terminal.raw)
    assert raw == set()
    return set(found), said


def test_no_string_reaches_the_terminal_or_becomes_an_action(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, usual = judged(glance(home, harmless_strings(600)))
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("ARKOR_TUI_DATA_DIR", str(other / "data"))
    found, said = judged(drive(other, hostile_strings(STRINGS)))
    assert found <= ours, "sequences that the app writes for no harmless text"
    titles = {text for text in said if text.startswith("2;")}
    assert set(said) - titles <= set(usual)
    assert all("owned" not in text and text.isprintable() for text in titles)
