"""Whether somebody runs the recipes of a run, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from arkor_tui.text.sanitize import one_line

if TYPE_CHECKING:
    from arkor_tui.archive.records import RunRecord
    from arkor_tui.config.run_lock import HostState


def error_line(error: Mapping[str, Any]) -> str:
    """What a callback raised, as it is kept with the run, on one line."""
    message = one_line(error.get("message") or "it failed", limit=1_000)
    return message if error.get("step") is None else f"step {error['step']}: {message}"


def live_host(record: RunRecord) -> HostState | None:
    """Which process runs the recipes of a live run; None where none does."""
    from arkor_tui.session.supervision import host_of

    return None if record.is_terminal else host_of(record)


def has_lost_its_host(record: RunRecord, state: HostState | None) -> bool:
    """Whether a live run had recipes that no process runs any more, as after a reboot."""
    return state is None and bool(record.recipes) and not record.is_terminal


def describe_host(record: RunRecord) -> str:
    """One line for people; empty where there is nothing to say."""
    state = live_host(record)
    if has_lost_its_host(record, state):
        one = record.recipes == 1
        return (
            f"nobody runs its {record.recipes} callback{'' if one else 's'}, as their process is "
            f"gone: `arkor-tui attach {one_line(record.identity.job_id)} --take-over` runs "
            f"{'it' if one else 'them'} here, and the app takes {'it' if one else 'them'} up"
        )
    if state is None:
        return ""
    who = "a supervisor" if state.kind == "supervisor" else f"the {state.kind}"
    many = "" if state.callbacks == 1 else "s"
    problem = f"; {state.problem}" if state.problem else ""
    return f"{state.callbacks} callback{many} in process {state.pid} ({who}){problem}"
