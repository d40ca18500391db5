"""Golden prompts after the fact: any of them to any checkpoint of an archived run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count

from arkor_tui.archive.foreign import clean
from arkor_tui.archive.records import RunRecord, Sample
from arkor_tui.archive.store import Archive
from arkor_tui.errors import ArkorTuiError
from arkor_tui.recipes.probe import GoldenAnswer, ask_golden, finding_of
from arkor_tui.recipes.prompts import Golden

from .bisect import BisectResult, bisect
from .keeping import sample_of
from .session import Session
from .updates import Target


@dataclass(frozen=True, slots=True)
class Probed:
    """One prompt's answer from one target."""

    target: Target
    number: int
    prompt: Golden
    answer: GoldenAnswer


async def targets_of(
    session: Session, run: RunRecord, *, base: bool = True, final: bool = True
) -> list[Target]:
    """What can be asked, in the order of training."""
    rows = await session.archive.read(lambda a: a.checkpoints(run.key))
    targets = [Target(run, "base")] if base else []
    targets += [Target(run, "checkpoint", row.step) for row in rows]
    if final and run.status == "completed":
        targets.append(Target(run, "final"))
    return targets


async def probe(
    session: Session,
    run: RunRecord,
    prompts: Sequence[Golden],
    targets: Sequence[Target],
    *,
    name: str = "probe",
) -> AsyncIterator[Probed]:
    """Ask every prompt of every target, one after the other, and archive each answer.

    An earlier answer of the same name, number and target is replaced: see :func:`free_name`.
    """
    for target in targets:
        infer = session.infer(target)
        for number, prompt in enumerate(prompts):
            answer = await ask_golden(infer, prompt)
            found = finding_of(name, number, prompt, target.kind, target.step, answer)
            sample = sample_of(run.key, found)
            await session.archive.write(partial(_save, sample))
            yield Probed(target, number, prompt, answer)


async def free_name(
    session: Session, run: RunRecord, prompts: Sequence[Golden], names: Sequence[str]
) -> str:
    """A name under which these prompts replace no answers to others: one of ``names``, else the
    last of them with a number."""
    samples = await session.archive.read(lambda a: a.samples(run.key))
    texts = {number: clean(prompt.text) for number, prompt in enumerate(prompts)}
    taken = {s.probe for s in samples if s.text != texts.get(s.prompt)}
    numbered = (f"{names[-1]} {number}" for number in count(2))
    return next(name for name in chain(names, numbered) if name not in taken)


def _save(sample: Sample, archive: Archive) -> None:
    archive.save_sample(sample)


class ProbeFailedError(ArkorTuiError):
    """A target could not be asked, or its answer not be judged; the text says why."""


async def bisect_run(
    session: Session,
    targets: Sequence[Target],
    prompt: Golden,
    on_answer: Callable[[Target, GoldenAnswer], None] = lambda _target, _answer: None,
    *,
    checks: int = 0,
) -> BisectResult[str]:
    """Find where the answer to a prompt changed, by the labels of targets.

    ``on_answer`` is called with each answer as it comes. ``checks`` further targets are asked
    whether there was one change only.

    Raises:
        ProbeFailedError: a target could not be asked, or nothing is expected of the answer.
    """
    by_label = {target.label: target for target in targets}

    async def passes(label: str) -> bool:
        target = by_label[label]
        answer = await ask_golden(session.infer(target), prompt)
        on_answer(target, answer)
        if answer.verdict.passed is None:
            why = answer.verdict.text or "nothing is expected of the answer"
            raise ProbeFailedError(f"{label}: {why}")
        return answer.verdict.passed

    return await bisect(list(by_label), passes, checks=checks)
