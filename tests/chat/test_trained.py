"""The system prompt that a run's rows begin with, found from its job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from arkor_tui.api.jobs import Job
from arkor_tui.chat.trained import system_prompt_of_job
from tests.support.scripted import JOB


def rows(path: Path, *systems: str) -> dict[str, Any]:
    lines = []
    for system in systems:
        messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        lines.append(json.dumps({"messages": messages}))
    path.write_text("\n".join(lines))
    return {"datasetSource": {"type": "file", "path": str(path)}, "datasetFormat": "chatml"}


def a_job(name: str, config: dict[str, Any]) -> Job:
    return Job.model_validate({**JOB, "name": name, "config": {"model": "m", **config}})


async def test_rows_tell_it_where_they_are_here(tmp_path: Path) -> None:
    """s2: what a callback of a run knows is its job."""
    bot = a_job("triage-run", rows(tmp_path / "bot.jsonl", "You are a bot.", "You are a bot."))
    assert await system_prompt_of_job(bot, is_here=True) == "You are a bot."
    # a file of that name on this machine says nothing of another machine's rows
    assert await system_prompt_of_job(bot, is_here=False) == "You triage support tickets."
    several = a_job("triage-run", rows(tmp_path / "two.jsonl", "You are a bot.", "You are a cat."))
    assert await system_prompt_of_job(several, is_here=True) == ""
    none = a_job("triage-run", rows(tmp_path / "none.jsonl", "", ""))
    assert await system_prompt_of_job(none, is_here=True) == ""
    gone = a_job("orders", {"datasetSource": {"type": "file", "path": str(tmp_path / "gone")}})
    assert await system_prompt_of_job(gone, is_here=True) == ""
    hub = a_job("orders", {"datasetSource": {"type": "huggingface", "name": "a/b"}})
    assert await system_prompt_of_job(hub, is_here=True) == ""
