"""Encoded rows to padded batches, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

import torch

from .encode import IGNORED, Encoded


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches in one pass over ``rows``; the last one may be smaller."""
    return math.ceil(rows / batch_size)


def batch_of_step(
    rows: Sequence[Encoded], step: int, *, batch_size: int, seed: int
) -> list[Encoded]:
    """The rows of ``step`` (from 1). Each epoch visits every row once, in an order of its own."""
    per_epoch = steps_per_epoch(len(rows), batch_size)
    epoch, index = divmod(step - 1, per_epoch)
    order = list(range(len(rows)))
    random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - not a secret
    return [rows[i] for i in order[index * batch_size : (index + 1) * batch_size]]


def chunks(rows: Sequence[Encoded], size: int) -> Iterator[Sequence[Encoded]]:
    """``rows`` in order, ``size`` at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def collate(
    rows: Sequence[Encoded], *, pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``ids``, ``mask`` and ``labels``: int64, batch × longest row, padded on the right."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    labels = torch.full((len(rows), longest), IGNORED, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row.ids)
        ids[index, :length] = torch.tensor(row.ids)
        labels[index, :length] = torch.tensor(row.labels)
        mask[index, :length] = 1
    return ids.to(device), mask.to(device), labels.to(device)
