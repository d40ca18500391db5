"""What a run's model was told first in training: it is to be told the same when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunRecord
from arkor_tui.datasets.formats import Row, RowError, to_example
from arkor_tui.errors import UsageError
from arkor_tui.starters import starter_of

if TYPE_CHECKING:
    from arkor_tui.datasets.layout import Layout

_ROWS = 20
"""Rows that must begin with the same system prompt, for it to be the run's."""


async def system_prompt(archive: AsyncArchive, run: RunRecord) -> str:
    """The system prompt of the run's rows; empty where they have none, or several.

    Where the rows are not here to be read: what this run was told last, else the prompt of the
    starter whose name it has.
    """
    # another backend's files are not those of this machine, whatever it says where they are
    is_here = run.identity.backend == "local"
    found = await asyncio.to_thread(_of_rows, run.config) if is_here else None
    if found is not None:
        return found
    told = await archive.read(lambda a: a.exchanges(run.key, limit=1))
    first = told[0].messages[0] if told and told[0].messages else {}
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        return str(first["content"])
    starter = starter_of(run.name)
    return starter.system_prompt if starter is not None else ""


def _of_rows(config: Mapping[str, Any]) -> str | None:
    """None where no row can be read; blocks."""
    from arkor_tui.datasets.layout import Layout
    from arkor_tui.datasets.preview import preview
    from arkor_tui.datasets.sources import FileDataset

    source, layout = config.get("datasetSource"), Layout.of(config.get("datasetFormat"))
    if layout is None or not isinstance(source, Mapping) or source.get("type") != "file":
        return None
    try:
        rows = preview(FileDataset(str(source.get("path"))), Path("/"), limit=_ROWS).rows
    except UsageError:
        return None
    found = set()
    for row in rows:
        layout = layout.told_by(row)
        with suppress(RowError):
            found.add(_system_of(row, layout))
    if not found:
        return None
    return found.pop() if len(found) == 1 else ""


def _system_of(row: Row, layout: Layout) -> str:
    if layout.kind is None:
        raise RowError("no format fits")
    messages = to_example(row, 1, layout.kind, layout.columns).messages
    first = messages[0] if messages else {}
    return str(first["content"]) if first.get("role") == "system" else ""
