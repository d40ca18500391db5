"""Fine-tune language models with LoRA from a terminal, or from your own Python.

The names below are the public SDK. They load on first use, so that importing the package costs
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy
from ._version import __version__

if TYPE_CHECKING:
    from .api.errors import ApiError as ApiError
    from .api.reconnect import ReconnectPolicy as ReconnectPolicy
    from .errors import ArkorTuiError as ArkorTuiError
    from .training.abort import AbortController as AbortController
    from .training.abort import AbortError as AbortError
    from .training.abort import AbortSignal as AbortSignal
    from .training.callbacks import Callback as Callback
    from .training.callbacks import CallbackError as CallbackError
    from .training.callbacks import CheckpointContext as CheckpointContext
    from .training.callbacks import CompletedContext as CompletedContext
    from .training.callbacks import FailedContext as FailedContext
    from .training.callbacks import LogContext as LogContext
    from .training.callbacks import StartedContext as StartedContext
    from .training.config import LoraConfig as LoraConfig
    from .training.create import create_trainer as create_trainer
    from .training.datasets import BlobDataset as BlobDataset
    from .training.datasets import FileDataset as FileDataset
    from .training.datasets import HuggingFaceDataset as HuggingFaceDataset
    from .training.datasets import LocalModel as LocalModel
    from .training.loading import load_trainer as load_trainer
    from .training.manifest import Arkor as Arkor
    from .training.manifest import create_arkor as create_arkor
    from .training.manifest import is_arkor as is_arkor
    from .training.runner import RunFailedError as RunFailedError
    from .training.runner import run_trainer as run_trainer
    from .training.runner import run_trainer_async as run_trainer_async
    from .training.tools import tool as tool
    from .training.trainer import Trainer as Trainer
    from .training.trainer import TrainingResult as TrainingResult
    from .training.typed import ReplyError as ReplyError
    from .training.typed import TypedReply as TypedReply

_HOMES = {
    "ApiError": "api.errors",
    "ReconnectPolicy": "api.reconnect",
    "ArkorTuiError": "errors",
    "AbortController": "training.abort",
    "AbortError": "training.abort",
    "AbortSignal": "training.abort",
    "Callback": "training.callbacks",
    "CallbackError": "training.callbacks",
    "CheckpointContext": "training.callbacks",
    "CompletedContext": "training.callbacks",
    "FailedContext": "training.callbacks",
    "LogContext": "training.callbacks",
    "StartedContext": "training.callbacks",
    "LoraConfig": "training.config",
    "create_trainer": "training.create",
    "BlobDataset": "training.datasets",
    "FileDataset": "training.datasets",
    "HuggingFaceDataset": "training.datasets",
    "LocalModel": "training.datasets",
    "load_trainer": "training.loading",
    "Arkor": "training.manifest",
    "create_arkor": "training.manifest",
    "is_arkor": "training.manifest",
    "RunFailedError": "training.runner",
    "run_trainer": "training.runner",
    "run_trainer_async": "training.runner",
    "tool": "training.tools",
    "Trainer": "training.trainer",
    "TrainingResult": "training.trainer",
    "ReplyError": "training.typed",
    "TypedReply": "training.typed",
}

__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES, globals())
