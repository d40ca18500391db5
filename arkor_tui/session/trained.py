"""The system prompt that a run's model is asked with, as far as archive and rows tell it."""

from __future__ import annotations

import asyncio

from arkor_tui.archive.async_archive import AsyncArchive
from arkor_tui.archive.records import RunRecord
from arkor_tui.chat.trained import system_prompt_of_rows, system_prompt_of_starter


async def system_prompt(archive: AsyncArchive, run: RunRecord) -> str:
    """Find the system prompt of the run's rows; empty where they have none, or several.

    Where the rows are not here to be read: what this run was told last, else the prompt of the
    starter whose name it has.
    """
    # another backend's files are not those of this machine, whatever it says where they are
    is_here = run.identity.backend == "local"
    found = await asyncio.to_thread(system_prompt_of_rows, run.config) if is_here else None
    if found is not None:
        return found
    told = await archive.read(lambda a: a.exchanges(run.key, limit=1))
    first = told[0].messages[0] if told and told[0].messages else {}
    if first.get("role") == "system" and isinstance(first.get("content"), str):
        return str(first["content"])
    return system_prompt_of_starter(run.name)
