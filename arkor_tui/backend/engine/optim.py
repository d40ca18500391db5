"""Learning rates and optimizers, and an optimizer's state as plain tensors and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from arkor_tui.backend.spec import Optimizer, Scheduler


def learning_rate(
    scheduler: Scheduler, step: int, *, peak: float, warmup: int, total: int
) -> float:
    """The learning rate of ``step`` (from 1) of ``total``; a pure function, so nothing is saved.

    Warm-up rises in equal parts and reaches ``peak`` at step ``warmup``; it is obeyed by every
    scheduler. Afterwards ``linear`` and ``cosine`` fall towards 0, which they would reach one step
    after the last, so that no step is wasted; the constant ones stay.
    """
    if step <= warmup:
        return peak * step / warmup
    if scheduler in ("constant", "constant_with_warmup"):
        return peak
    progress = (step - 1 - warmup) / max(1, total - warmup)
    if scheduler == "linear":
        return peak * (1 - progress)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(
    name: Optimizer, parameters: Iterable[torch.nn.Parameter], *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimizer ``name``; ``lr`` is a first value, the loop sets it at every step."""
    parameters = list(parameters)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay)
    if name == "adafactor":
        # torch's own scales the rate by a parameter's size, which leaves LoRA's zero matrices
        # where they are; this one takes the rate as it is given
        from transformers.optimization import Adafactor

        return Adafactor(
            parameters,
            lr=lr,
            weight_decay=weight_decay,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)


def state_of(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The state as tensors and as JSON values, both under ``<parameter index>.<name>``."""
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"{index}.{name}"
            if isinstance(value, torch.Tensor):
                tensors[key] = value.detach().cpu().contiguous()
            else:
                values[key] = value
    return tensors, values


def restore_state(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], values: dict[str, Any]
) -> None:
    """Put back what :func:`state_of` gave."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *values.items()]:
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
