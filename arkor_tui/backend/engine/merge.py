"""A base model with an adapter merged in, sharing all weights that the adapter leaves alone."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from .errors import ModelError
from .modeling import building

_PREFIX = "base_model.model."
_PLAIN = {
    "peft_type": "LORA",
    "bias": "none",
    "use_dora": False,
    "fan_in_fan_out": False,
    "lora_bias": False,
    "modules_to_save": None,
    "layer_replication": None,
    "alora_invocation_tokens": None,
    "trainable_token_indices": None,
    "target_parameters": None,
    "use_qalora": False,
    "use_bdlora": None,
}
"""What makes a LoRA adapter nothing but two matrices per layer, as ours are."""


def merged(base: Any, adapter: Path) -> tuple[Any, int]:
    """A model that answers as ``base`` with ``adapter``, and the bytes that it does not share.

    ``base`` stays as it is.

    Raises:
        ModelError: the adapter cannot be read or does not fit.
    """
    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        if _is_plain(config):
            weights = load_file(adapter / "adapter_model.safetensors")
            replaced = _merged_weights(base, config, weights)
            if replaced is not None:
                return _with_weights(base, replaced)
        return _merged_by_peft(base, adapter)
    except Exception as error:
        raise ModelError(
            f"The adapter {adapter.name} cannot be loaded onto this base model: {error}",
            hint="Check that it was trained on this model.",
        ) from error


def _is_plain(config: dict[str, Any]) -> bool:
    same = all(config.get(key, value) == value for key, value in _PLAIN.items())
    return same and not config.get("rank_pattern") and not config.get("alpha_pattern")


def _merged_weights(
    base: Any, config: dict[str, Any], weights: dict[str, torch.Tensor]
) -> dict[str, torch.nn.Parameter] | None:
    """New weights by module name; None if a layer is not of the simple kind."""
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank
    modules = dict(base.named_modules())
    result: dict[str, torch.nn.Parameter] = {}
    with torch.no_grad():
        for key, down in weights.items():
            name, is_down, _ = key.removeprefix(_PREFIX).partition(".lora_A.weight")
            if not is_down:
                if not key.endswith(".lora_B.weight"):
                    return None
                continue
            module = modules[name]
            up = weights[f"{_PREFIX}{name}.lora_B.weight"]
            if type(module) is not torch.nn.Linear:
                return None
            old = module.weight
            change = (up.to(old.device).float() @ down.to(old.device).float()) * scale
            new = (old.float() + change).to(old.dtype)
            result[name] = torch.nn.Parameter(new, requires_grad=False)
    return result


def _with_weights(base: Any, replaced: dict[str, torch.nn.Parameter]) -> tuple[Any, int]:
    modules = dict(base.named_modules())
    # what deepcopy finds in its memo it does not copy: the new weights go in place of the old
    memo: dict[int, Any] = {id(p): p for p in [*base.parameters(), *base.buffers()]}
    for name, weight in replaced.items():
        memo[id(modules[name].weight)] = weight
    model = copy.deepcopy(base, memo)
    return model, sum(w.numel() * w.element_size() for w in replaced.values())


def _merged_by_peft(base: Any, adapter: Path) -> tuple[Any, int]:
    from peft import PeftModel

    with building:
        model = PeftModel.from_pretrained(copy.deepcopy(base), str(adapter)).merge_and_unload()
    model.requires_grad_(False)
    return model.eval(), sum(p.numel() * p.element_size() for p in model.parameters())
