"""What a run can be asked, and asking it: answers go into the archive as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkor_tui.archive.errors import ArchiveError
from arkor_tui.archive.records import Exchange, FindingRow, RunRecord, now
from arkor_tui.chat import asking
from arkor_tui.chat.asking import Answer, AskSettings, OnChange
from arkor_tui.chat.blind import Tally, Vote, tally
from arkor_tui.chat.target import RunTargets, Target
from arkor_tui.chat.tools import Tool

from .session import Session

VOTE = "vote"
"""The kind of finding that a blind comparison leaves with a run."""


async def targets_of(session: Session, run: RunRecord, *, ask_backend: bool = False) -> RunTargets:
    """List what can be asked of a run, with ``ask_backend`` also what only its backend knows yet.

    Raises:
        ArkorTuiError: the backend was to be asked, and cannot.
    """
    rows = await session.archive.read(lambda a: a.checkpoints(run.key))
    steps = [row.step for row in rows]
    if ask_backend:
        connection = await session.connection_for(run)
        detail = await connection.client.get_job(connection.scope, run.identity.job_id)
        return RunTargets.of(detail, steps)
    model = str(run.config.get("model") or run.model)
    return RunTargets(run.name, run.identity.job_id, model, run.status, tuple(steps))


async def ask(
    session: Session,
    run: RunRecord | None,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    *,
    on_change: OnChange = lambda _: None,
    group: str | None = None,
) -> Answer:
    """Fill ``answer`` from its target; it and the prompt are archived however it ends.

    Being cancelled stops the generation and keeps what has come. A failure is told in the answer.
    """

    async def keep(answer: Answer) -> None:
        exchange = _exchange(run, answer, messages, settings, group)
        try:
            await session.archive.write(lambda a: a.save_exchange(exchange))
        except ArchiveError as error:
            # an answer that cannot be archived is an answer all the same
            session.on_report(f"This answer is not archived. {error.message} {error.hint or ''}")

    infer = session.infer(run, answer.target)
    return await asking.ask(
        infer, answer, messages, settings, on_change=on_change, keep=keep, tools_of=_tools_of
    )


def _tools_of(file: str) -> list[Tool]:
    from arkor_tui.run.loading import load_tools

    return load_tools(file)


def _exchange(
    run: RunRecord | None,
    answer: Answer,
    messages: Sequence[Mapping[str, Any]],
    settings: AskSettings,
    group: str | None,
) -> Exchange:
    target = answer.target
    return Exchange(
        run_key=run.key if run is not None else None,
        target=target.kind,
        step=target.step,
        model=target.model,
        messages=tuple(dict(message) for message in messages),
        reply=answer.text,
        settings=dict(settings.options()),
        finish_reason=answer.finish_reason,
        first_token_s=answer.first_token_s,
        total_s=answer.total_s,
        tokens=answer.tokens,
        verdict=answer.verdict,
        error=answer.error,
        group=group,
        created_at=now(),
    )


async def save_vote(
    session: Session, run_key: int, prompt: str, first: Target, second: Target, vote: Vote
) -> None:
    """Keep a vote of a blind comparison with the run."""
    data = {
        "prompt": prompt,
        "first": first.label,
        "second": second.label,
        "preferred": {"first": first.label, "second": second.label, "tie": None}[vote],
    }
    await session.archive.write(lambda a: a.save_finding(run_key, VOTE, "blind A/B", None, data))


async def tally_of(session: Session, run_key: int, a: Target, b: Target) -> Tally:
    """Count the votes between two targets of a run, of all sittings."""
    rows: list[FindingRow] = await session.archive.read(lambda x: x.findings(run_key, VOTE))
    return tally((row.data for row in rows), a.label, b.label)
