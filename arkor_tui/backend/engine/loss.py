"""The training loss, computed where it is needed only."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from .encode import IGNORED


class Loss:
    """Mean cross-entropy over the target tokens of a batch, as transformers defines it.

    The output layer is the widest of all, and with ``responses_only`` most of its rows would be
    thrown away; models that can are asked for those columns alone in which a row has a target.
    """

    def __init__(self, model: Any) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._model = model
        self._keeps = "logits_to_keep" in inspect.signature(base.forward).parameters

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of ``ids`` (batch × length) with ``mask`` and ``labels`` of the same shape."""
        if not self._keeps:
            output = self._model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False)
            loss: torch.Tensor = output.loss
            return loss
        targets = labels[:, 1:]
        columns = (targets != IGNORED).any(dim=0).nonzero().flatten()
        logits = self._model(
            input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=columns
        ).logits
        return torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), targets[:, columns].flatten(), ignore_index=IGNORED
        )
