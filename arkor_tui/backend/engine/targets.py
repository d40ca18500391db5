"""What can be talked to: base models and merged adapters, kept in memory within a budget."""

from __future__ import annotations

import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from .constrain import Vocabulary
from .errors import RequestError
from .merge import merged
from .modeling import device_and_dtype, end_tokens_of, load_model, load_tokenizer, positions_of

_MIB = 1024 * 1024
_LEAST_BUDGET = 512 * _MIB


class Target:
    """A model to generate with. Many requests may use one at a time: nothing in it changes."""

    def __init__(
        self, model: Any, tokenizer: Any, size: int, *, base: Target | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.size = size
        """Bytes that only this target holds."""
        self.positions = positions_of(model)
        self.ends = end_tokens_of(model, tokenizer)
        self.keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._base = base
        self._lock = threading.Lock()

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer for constraints; the base model's own, if this is an adapter."""
        if self._base is not None:
            return self._base.vocabulary
        with self._lock:
            return self._vocabulary

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer, size=self.known_tokens, ends=self.ends)

    @cached_property
    def known_tokens(self) -> int:
        """Tokens that mean something: outputs beyond are padding of the matrix."""
        highest = max(self.tokenizer.get_vocab().values(), default=0) + 1
        return min(int(self.model.config.get_text_config().vocab_size), highest)


@dataclass(frozen=True, slots=True)
class _Key:
    source: str
    adapter: str | None = None
    changed: int = 0


class Targets:
    """Loads targets once, also when several ask at the same time, and forgets the oldest ones."""

    def __init__(self, budget: int | None = None) -> None:
        self._budget = _default_budget() if budget is None else budget
        self._kept: OrderedDict[_Key, Future[Target]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: str, adapter: str | None) -> Target:
        """The model at ``source``, with the adapter in the folder ``adapter`` merged in.

        Raises:
            RequestError: the adapter is not there (404).
            ModelError: something cannot be loaded.
        """
        if adapter is None:
            return self._once(_Key(source), lambda: _load_base(source))
        folder = Path(adapter)
        try:
            changed = (folder / "adapter_model.safetensors").stat().st_mtime_ns
        except OSError as error:
            raise RequestError(
                "This adapter does not exist, or not any more.",
                status=404,
                hint="Choose another checkpoint of the run.",
            ) from error
        base = self._once(_Key(source), lambda: _load_base(source))
        return self._once(_Key(source, adapter, changed), lambda: _load_adapter(base, folder))

    def _once(self, key: _Key, load: Callable[[], Target]) -> Target:
        with self._lock:
            future = self._kept.get(key)
            mine = future is None
            if future is None:
                future = self._kept[key] = Future()
            self._kept.move_to_end(key)
        if mine:
            try:
                future.set_result(load())
            except BaseException as error:
                with self._lock:
                    del self._kept[key]
                future.set_exception(error)
            self._forget_oldest()
        return future.result()

    def _forget_oldest(self) -> None:
        """Keep within the budget; requests in progress hold on to what they use."""
        with self._lock:
            ready = [(k, f.result().size) for k, f in self._kept.items() if _loaded(f)]
            total = sum(size for _, size in ready)
            for key, size in ready[:-1]:
                if total <= self._budget:
                    break
                # a base without its adapters is needed again first, so adapters go first
                if key.adapter is None and any(
                    k.source == key.source and k.adapter for k in self._kept
                ):
                    continue
                del self._kept[key]
                total -= size


def _loaded(future: Future[Target]) -> bool:
    return future.done() and future.exception() is None


def _load_base(source: str) -> Target:
    device, dtype = device_and_dtype()
    tokenizer = load_tokenizer(source)
    model = load_model(source, device=device, dtype=dtype)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    return Target(model, tokenizer, size)


def _load_adapter(base: Target, folder: Path) -> Target:
    with torch.inference_mode(False):
        model, size = merged(base.model, folder)
    return Target(model, base.tokenizer, size, base=base)


def _default_budget() -> int:
    """A quarter of the machine's memory, 512 MiB at least."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 4 * _LEAST_BUDGET
    return max(_LEAST_BUDGET, memory // 4)
