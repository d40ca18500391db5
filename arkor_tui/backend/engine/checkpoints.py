"""Adapters on disk: whole or not at all, loadable by PEFT, and enough to go on from.

A checkpoint is a standard PEFT folder. What only this engine needs to resume lies in its subfolder
``training_state``: tensors as safetensors, everything else as JSON, no pickle.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from .errors import ModelError
from .optim import restore_state, state_of

TEMPORARY = ".tmp-"
STATE_FOLDER = "training_state"
_WEIGHTS = "adapter_model.safetensors"

saving = threading.Lock()
"""Held while a folder is being written, so that nobody ends the process in the middle."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after ``step``. Learning rate, order of rows and random numbers are
    functions of the step, so they need no state of their own.

    ``loss_sum`` and ``loss_count`` are the losses since the last log; ``rows`` and ``total_steps``
    tell whether the run that resumes is the same.
    """

    step: int
    total_steps: int
    rows: int
    loss_sum: float
    loss_count: int


def save_adapter(
    model: Any, target: Path, *, state: tuple[torch.optim.Optimizer, Progress] | None = None
) -> list[dict[str, Any]]:
    """Write the adapter of ``model`` to the folder ``target``; returns its artifacts.

    The folder gets its name only when all of it is on the disk. With ``state`` a run can be
    resumed from it.

    Raises:
        OSError: the disk is full, for one; nothing is left of the attempt.
    """
    with saving:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{TEMPORARY}{target.name}-{secrets.token_hex(4)}"
        try:
            _write(_save_peft, model, temporary)
            if state is not None:
                _write(_save_state, *state, temporary / STATE_FOLDER)
            _sync_tree(temporary)
            if target.exists():  # left by a run that was killed before it could say so
                shutil.rmtree(target)
            temporary.rename(target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync(target.parent)
    return [
        {"name": path.name, "size": path.stat().st_size}
        for path in sorted(target.iterdir())
        if path.is_file()
    ]


def load_checkpoint(model: Any, optimizer: torch.optim.Optimizer, folder: Path) -> Progress:
    """Put the checkpoint in ``folder`` into ``model`` and ``optimizer``.

    Raises:
        ModelError: it is not a checkpoint of this run.
    """
    from peft import set_peft_model_state_dict

    state = folder / STATE_FOLDER
    try:
        raw = json.loads((state / "state.json").read_text("utf-8"))
        progress = Progress(**raw["progress"])
        weights = load_file(folder / _WEIGHTS)
        tensors = load_file(state / "optimizer.safetensors")
        unexpected = set_peft_model_state_dict(model, weights).unexpected_keys
        restore_state(optimizer, tensors, raw["optimizer"])
    except Exception as error:
        raise ModelError(
            f"The run cannot go on from its checkpoint {folder.name}: {error}",
            hint="Start the run again.",
        ) from error
    if unexpected:
        raise ModelError(
            f"The run cannot go on from its checkpoint {folder.name}: the model has other layers.",
            hint="Start the run again.",
        )
    return progress


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left half-written in ``folder``."""
    for path in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write(function: Callable[..., None], *arguments: Any) -> None:
    """Call ``function``; a full disk is an OSError with its number, whatever the library says."""
    try:
        function(*arguments)
    except OSError:
        raise
    except Exception as error:
        if "No space left" in str(error) or "os error 28" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _save_peft(model: Any, folder: Path) -> None:
    model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)


def _save_state(optimizer: torch.optim.Optimizer, progress: Progress, folder: Path) -> None:
    folder.mkdir()
    tensors, values = state_of(optimizer)
    save_file(tensors, folder / "optimizer.safetensors")
    state = {"progress": asdict(progress), "optimizer": values}
    # NaN and Infinity, which a diverged run has here, are Python's own extension: read back by us
    (folder / "state.json").write_text(json.dumps(state), "utf-8")


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
