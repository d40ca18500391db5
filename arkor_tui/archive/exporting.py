"""Writing a run, or what was said to it, into a file that did not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from arkor_tui.chat.target import label_of
from arkor_tui.errors import ArkorTuiError
from arkor_tui.text.sanitize import plain

from .export import export_run, markdown_line, markdown_paragraph
from .foreign import to_json
from .records import Exchange, RunRecord
from .store import Archive

_REPLY = "reply"
_ENDINGS = {
    "jsonl": "jsonl",
    "csv": "csv",
    "markdown": "md",
    "transcripts.md": "talk.md",
    "transcripts.jsonl": "talk.jsonl",
}


def export_to_file(archive: Archive, run: RunRecord, kind: str, folder: Path) -> Path:
    """Write the file and return its path; blocks. Nothing half-written stays.

    Raises:
        ArkorTuiError: it could not be written.
    """
    stem = f"{_part(run.name, 60) or 'run'}-{_part(run.identity.job_id[-8:], 8) or 'job'}"
    path = _free(folder, stem, _ENDINGS[kind])

    def write(out: TextIO) -> None:
        if kind.startswith("transcripts"):
            _write_transcripts(archive.exchanges(run.key, limit=100_000)[::-1], kind, out)
        else:
            export_run(archive, run.key, kind, out)  # type: ignore[arg-type] # one of its formats

    _write_file(path, write)
    return path


def _part(text: str, most: int) -> str:
    """What may stand in a file's name everywhere: letters, digits, dots and dashes."""
    name = re.sub(r"[^\w.-]+", "-", plain(text[:most], newlines=False)).strip("-.")
    # file systems count bytes
    return name.encode("utf-8")[: 2 * most].decode("utf-8", "ignore")


def _free(folder: Path, stem: str, ending: str) -> Path:
    number = 1
    path = folder / f"{stem}.{ending}"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{ending}"
    return path


def _write_file(path: Path, write: Callable[[TextIO], None]) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="") as out:
            try:
                write(out)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ArkorTuiError(
            f"Cannot write {path}: {error.strerror or error}.",
            hint="Choose a folder that can be written to, or make room on the disk.",
        ) from error


def _write_transcripts(exchanges: list[Exchange], kind: str, out: TextIO) -> None:
    for exchange in exchanges:
        if kind.endswith("jsonl"):
            # ASCII only: no control character of a foreign text reaches a terminal that shows it
            out.write(to_json(_as_json(exchange), ascii_only=True) + "\n")
            continue
        who = label_of(exchange.target, exchange.step)
        out.write(f"## {who} · {markdown_line(exchange.created_at)}\n\n")
        for message in exchange.messages:
            out.write(f"**{markdown_line(plain(message.get('role', ''), limit=40))}**\n\n")
            out.write(_fenced(plain(message.get("content", ""))) + "\n\n")
        out.write(f"**{_REPLY}**\n\n{_fenced(plain(exchange.reply))}\n\n")
        if exchange.error or exchange.verdict:
            out.write(markdown_paragraph(exchange.error or exchange.verdict or "") + "\n\n")


def _as_json(exchange: Exchange) -> dict[str, Any]:
    return {
        "target": exchange.target,
        "step": exchange.step,
        "model": exchange.model,
        "messages": exchange.messages,
        "settings": exchange.settings,
        "reply": exchange.reply,
        "finishReason": exchange.finish_reason,
        "firstTokenSeconds": exchange.first_token_s,
        "totalSeconds": exchange.total_s,
        "tokens": exchange.tokens,
        "verdict": exchange.verdict,
        "error": exchange.error,
        "group": exchange.group,
        "createdAt": exchange.created_at,
    }


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
