"""Golden prompts after the fact: any of them to any checkpoint of an archived run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, count

from arkor_tui.archive.foreign import clean
from arkor_tui.archive.records import RunRecord, Sample
from arkor_tui.archive.sink import sample_of
from arkor_tui.archive.store import Archive
from arkor_tui.chat.golden import Golden, GoldenAnswer, ask_golden
from arkor_tui.chat.target import Target
from arkor_tui.recipes.probe import finding_of

from .session import Session


@dataclass(frozen=True, slots=True)
class Probed:
    """One prompt's answer from one target."""

    target: Target
    number: int
    prompt: Golden
    answer: GoldenAnswer


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
        infer = session.infer(run, target)
        for number, prompt in enumerate(prompts):
            answer = await ask_golden(infer, prompt)
            found = finding_of(name, number, prompt, target, answer)
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
