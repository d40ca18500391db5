"""What a run's model was told first in training: it is to be told the same when it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_tui.api.jobs import Job
from arkor_tui.datasets.formats import Row, RowError, to_example
from arkor_tui.errors import UsageError
from arkor_tui.starters import starter_of

if TYPE_CHECKING:
    from arkor_tui.datasets.layout import Layout

_ROWS = 20
"""Rows that must begin with the same system prompt, for it to be the run's."""


async def system_prompt_of_job(job: Job, *, is_here: bool) -> str:
    """Find the system prompt of a job's rows, else that of the starter whose name it has.

    ``is_here`` says whether its backend reads the files of this machine: another one's are not
    those of this machine, whatever it says where they are.
    """
    config = job.config.model_dump(by_alias=True)
    found = await asyncio.to_thread(system_prompt_of_rows, config) if is_here else None
    return found if found is not None else system_prompt_of_starter(job.name)


def system_prompt_of_starter(run_name: str) -> str:
    """The system prompt of the starter that a run is from; empty where it is from none."""
    starter = starter_of(run_name)
    return starter.system_prompt if starter is not None else ""


def system_prompt_of_rows(config: Mapping[str, Any]) -> str | None:
    """Read the system prompt that a run's rows begin with; empty where they have none, or several.

    None where no row can be read here. Blocks: call it in a thread.
    """
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
