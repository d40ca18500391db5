"""The choice of the next token."""

from __future__ import annotations

import torch

from .errors import RequestError

_GREEDY_BELOW = 1e-5


class Sampler:
    """Draws tokens for one request, from a random generator of its own.

    The same ``seed`` gives the same tokens, whatever else runs; without one the start is random.
    """

    def __init__(self, *, temperature: float, top_p: float, seed: int | None) -> None:
        self._temperature = temperature
        self._top_p = top_p
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)

    def choose(self, logits: torch.Tensor, allowed: torch.Tensor | None = None) -> int:
        """A token for ``logits`` (float32, vocabulary, on the CPU; changed in place).

        ``allowed`` (bool, vocabulary) restricts the choice.

        Raises:
            RequestError: the model's numbers are not finite: its training has diverged.
        """
        if torch.isnan(logits).any() or torch.isposinf(logits).any():
            raise RequestError(
                "The model answers with numbers that are not finite: its training has diverged.",
                status=422,
                code="diverged",
                hint="Talk to an earlier checkpoint, or train again with a lower learning rate.",
            )
        if allowed is not None:
            logits.masked_fill_(~allowed, -torch.inf)
        if self._temperature < _GREEDY_BELOW:
            return int(logits.argmax())
        probabilities = torch.softmax(logits / self._temperature, dim=-1)
        if self._top_p < 1:
            probabilities = self._nucleus(probabilities)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))

    def _nucleus(self, probabilities: torch.Tensor) -> torch.Tensor:
        """The smallest set of likeliest tokens whose sum reaches ``top_p``; at least one."""
        ordered, indices = probabilities.sort(descending=True, stable=True)
        outside = ordered.cumsum(-1) - ordered >= self._top_p
        outside[0] = False
        ordered[outside] = 0
        return torch.zeros_like(probabilities).scatter_(0, indices, ordered)
