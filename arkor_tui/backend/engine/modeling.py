"""Base models, tokenizers and the LoRA adapter around a base model."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch

from arkor_tui.config.folders import local_backend_dir
from arkor_tui.text.sanitize import plain

from .errors import EngineError, ModelError

building = threading.RLock()
"""Held while a model is built. transformers and torch switch weight initialisation and the default
dtype for the whole process meanwhile, so two threads that build at a time spoil both models."""


def device_and_dtype() -> tuple[torch.device, torch.dtype]:
    """Where models live: CUDA in bfloat16 (float32 if the card lacks it), else CPU in float32."""
    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.device("cuda"), torch.bfloat16 if bf16 else torch.float32
    return torch.device("cpu"), torch.float32


def load_tokenizer(source: str) -> Any:
    """The tokenizer of the model at ``source`` (a folder, a ``.gguf`` file or a hub id).

    Raises:
        ModelError: there is none that can be loaded.
    """
    from transformers import AutoTokenizer

    folder = _folder_of(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=_is_local(folder)
        )
    except Exception as error:
        raise _cannot_load(source, error, what="tokenizer of the model") from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"The model {source} has a tokenizer without a tokenizer.json, which is needed here.",
            hint="Use a model with a fast tokenizer.",
        )
    return tokenizer


def load_model(source: str, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The causal language model at ``source``, in evaluation mode, with frozen weights.

    Weights are read from safetensors alone, and no code that comes with a model is run. A
    ``.gguf`` file is converted once and the result is kept.

    Raises:
        ModelError: it cannot be loaded; the text says why.
    """
    from transformers import AutoModelForCausalLM

    folder = _folder_of(source)
    try:
        with building:
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=_is_local(folder),
            )
    except Exception as error:
        raise _cannot_load(source, error, what="model") from error
    model.requires_grad_(False)
    return model.to(device).eval()


def add_lora(model: Any, *, r: int, alpha: float, seed: int) -> Any:
    """``model`` with a fresh LoRA adapter on all linear layers but the output, without dropout.

    The adapter changes nothing until it is trained. Its start is drawn from ``seed``.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)
    config = LoraConfig(
        r=r,
        lora_alpha=int(alpha) if float(alpha).is_integer() else alpha,
        lora_dropout=0.0,
        bias="none",
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"LoRA does not fit this model: {plain(str(error), limit=300, newlines=False)}",
            hint="Use another base model.",
        ) from error


def positions_of(model: Any) -> int | None:
    """The longest sequence in tokens that ``model`` can take; None if it sets no limit."""
    config = model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(limit) if limit else None


def end_tokens_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends an answer, as the model and its tokenizer tell."""
    found: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for value in (
        getattr(generation, "eos_token_id", None),
        getattr(model.config.get_text_config(), "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        if value is not None:
            found.update(value if isinstance(value, list | tuple) else [value])
    return frozenset(int(token) for token in found)


def _is_local(source: str) -> bool:
    return Path(source).exists()


def _folder_of(source: str) -> str:
    """What transformers loads for ``source``: itself, or the converted folder of a GGUF file."""
    if not source.lower().endswith(".gguf"):
        return source
    path = Path(source)
    if not path.is_file():
        raise ModelError(f"The model file {source} does not exist.", hint="Check its path.")
    with building:
        return str(converted_gguf(path))


def converted_gguf(path: Path) -> Path:
    """The folder that holds the GGUF file at ``path`` as safetensors; made if it is not there.

    Its key is path, size and time of change, so a file that was replaced is converted again.

    Raises:
        ModelError: the file cannot be converted.
    """
    facts = path.stat()
    key = json.dumps([str(path.resolve()), facts.st_size, facts.st_mtime_ns])
    name = f"{path.stem[:60]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    cache = local_backend_dir() / "gguf"
    target = cache / name
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, file = str(path.parent), path.name
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=cache) as temporary:
        made = Path(temporary) / "model"
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                gguf_file=file,
                dtype=torch.float32,
                local_files_only=True,
                **_unpacked(),
            )
            _forget_packing(model)
            # half the size on disk of float32; the quantised originals are far coarser
            model.to(torch.bfloat16).save_pretrained(made)
            tokenizer.save_pretrained(made)
        except Exception as error:
            raise _cannot_load(str(path), error, what="GGUF file") from error
        try:
            os.replace(made, target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
            shutil.rmtree(made, ignore_errors=True)
    return target


def _unpacked() -> dict[str, Any]:
    """The option that makes dense weights of a GGUF file, where transformers has one."""
    try:
        from transformers import GgufConfig
    except ImportError:  # older versions always make dense weights
        return {}
    return {"quantization_config": GgufConfig(dequantize=True)}


def _forget_packing(model: Any) -> None:
    """Make ``model``, whose weights are dense, one that transformers agrees to save."""
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _cannot_load(source: str, error: Exception, *, what: str) -> Exception:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full or isinstance(error, EngineError | MemoryError):
        return error  # it says more than this place could
    text = str(error).strip()
    reason = plain(text.splitlines()[0] if text else type(error).__name__, limit=400)
    if _is_local(source):
        hint = "Check that it is a model in safetensors form with its tokenizer.json."
    else:
        hint = "Check the name; if it is on the Hugging Face hub, check the network too."
    return ModelError(f"The {what} {source} cannot be loaded: {reason}", hint=hint)
