"""What Setup shows of a run before it starts: the dataset's first rows, the exact request."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from arkor_tui.datasets.layout import Layout
from arkor_tui.datasets.preview import DatasetPreview, UnreadableDatasetError, preview
from arkor_tui.datasets.sources import Dataset, FileDataset
from arkor_tui.text.sanitize import plain

_ROWS = 3


class DataPreview(Static):
    """The first rows of a dataset."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.rows = ""
        """How many rows were found; empty where they were not counted."""

    async def look(self, dataset: Dataset | None, folder: Path, layout: Layout | None) -> str:
        """Show it; returns why the embedded backend cannot train on it, empty where it may."""
        self.rows = ""
        if dataset is None:
            self.update("name a dataset")
            return ""
        read = partial(preview, dataset, folder, limit=_ROWS, layout=layout)
        try:
            found: DatasetPreview = await asyncio.to_thread(read)
        except UnreadableDatasetError as error:
            self.update(Content(plain(f"{error.message}\n{error.hint}", limit=400)))
            return error.short
        if isinstance(dataset, FileDataset):
            self.rows = found.note
        self.update(rows_text(found))
        return found.broken


def rows_text(found: DatasetPreview) -> Content:
    """Rows as conversations where they are some, else as JSON; problems before them."""
    lines = [Content.styled(found.note, "$muted")] if found.note else []
    lines += [Content.styled(plain(text, limit=200), "$error") for text in found.problems]
    for row in found.rows:
        messages = row.get("messages")
        if isinstance(messages, list):
            for message in messages:
                if isinstance(message, dict):
                    role = plain(message.get("role", "?"), limit=20, newlines=False)
                    text = plain(message.get("content", ""), limit=300, newlines=False)
                    lines.append(Content.assemble((f"{role:>9} ", "$muted"), text))
        else:
            lines.append(Content(plain(json.dumps(row, ensure_ascii=False), limit=400)))
        lines.append(Content(""))
    return Content("\n").join(lines) if lines else Content("empty")
