"""The log of an archived run, as guards see it."""

from __future__ import annotations

from collections.abc import Iterator

from arkor_tui.api.events import MalformedEventError, TrainingLog, parse_event
from arkor_tui.archive.series import Series
from arkor_tui.archive.store import Archive
from arkor_tui.recipes.guards import Observation

MOST_GAPS = 10_000
"""Events without a finite loss that are read again to see what they say; more fire any guard."""


def observations(archive: Archive, key: int) -> Iterator[Observation]:
    """What was logged at each step, in order; events of the same step count as one."""
    series = archive.load_series(key, ["loss", "evalLoss", "time"])
    loss, evaluated = series["loss"], series["evalLoss"]
    odd = _odd_steps(archive, key, loss, evaluated)
    evals = dict(zip(evaluated.steps, evaluated.values, strict=True))
    if len(loss.steps) == len(series["time"].steps) and not loss.gaps and not odd:
        # nearly every run: a loss with each event, so that no step has to be looked up
        get = evals.get
        for step, value in zip(loss.steps, loss.values, strict=True):
            yield Observation(int(step), value, get(step))
        return
    losses = dict(zip(loss.steps, loss.values, strict=True))
    steps = set(losses).union(
        evals, loss.gaps, evaluated.gaps, series["time"].steps, series["time"].gaps
    )
    for step in sorted(steps):
        known = odd.get(step)
        yield known or Observation(int(step), losses.get(step), evals.get(step))


def _odd_steps(archive: Archive, key: int, *series: Series) -> dict[float, Observation]:
    """What events say whose loss is no finite number; a series only knows that there is a gap."""
    steps = sorted({step for one in series for step in one.gaps})[:MOST_GAPS]
    found: dict[float, Observation] = {}
    for step in steps:
        for data in archive.log_data_at(key, int(step)):
            try:
                event = parse_event(data)
            except MalformedEventError:
                continue
            if isinstance(event, TrainingLog):
                names = event.non_finite or {}
                named = "loss" in names or "evalLoss" in names
                before = found.get(step)
                if before is None or named or event.loss is not None:
                    found[step] = Observation(event.step, event.loss, event.eval_loss, named)
    return found
