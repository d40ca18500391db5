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
    from .chat.tools import tool as tool
    from .chat.typed import ReplyError as ReplyError
    from .chat.typed import TypedReply as TypedReply
    from .datasets.sources import BlobDataset as BlobDataset
    from .datasets.sources import FileDataset as FileDataset
    from .datasets.sources import HuggingFaceDataset as HuggingFaceDataset
    from .datasets.sources import LocalModel as LocalModel
    from .errors import ArkorTuiError as ArkorTuiError
    from .run.abort import AbortController as AbortController
    from .run.abort import AbortError as AbortError
    from .run.abort import AbortSignal as AbortSignal
    from .run.callbacks import Callback as Callback
    from .run.callbacks import CheckpointContext as CheckpointContext
    from .run.callbacks import CompletedContext as CompletedContext
    from .run.callbacks import FailedContext as FailedContext
    from .run.callbacks import LogContext as LogContext
    from .run.callbacks import StartedContext as StartedContext
    from .run.config import LoraConfig as LoraConfig
    from .run.errors import CallbackError as CallbackError
    from .run.manifest import Arkor as Arkor
    from .run.manifest import create_arkor as create_arkor
    from .run.manifest import is_arkor as is_arkor
    from .sdk import RunFailedError as RunFailedError
    from .sdk import Trainer as Trainer
    from .sdk import TrainingResult as TrainingResult
    from .sdk import create_trainer as create_trainer
    from .sdk import load_trainer as load_trainer
    from .sdk import run_trainer as run_trainer
    from .sdk import run_trainer_async as run_trainer_async

_HOMES = {
    "ApiError": "api.errors",
    "ReconnectPolicy": "api.reconnect",
    "ArkorTuiError": "errors",
    "AbortController": "run.abort",
    "AbortError": "run.abort",
    "AbortSignal": "run.abort",
    "Callback": "run.callbacks",
    "CallbackError": "run.errors",
    "CheckpointContext": "run.callbacks",
    "CompletedContext": "run.callbacks",
    "FailedContext": "run.callbacks",
    "LogContext": "run.callbacks",
    "StartedContext": "run.callbacks",
    "LoraConfig": "run.config",
    "create_trainer": "sdk",
    "BlobDataset": "datasets.sources",
    "FileDataset": "datasets.sources",
    "HuggingFaceDataset": "datasets.sources",
    "LocalModel": "datasets.sources",
    "load_trainer": "sdk",
    "Arkor": "run.manifest",
    "create_arkor": "run.manifest",
    "is_arkor": "run.manifest",
    "RunFailedError": "sdk",
    "run_trainer": "sdk",
    "run_trainer_async": "sdk",
    "tool": "chat.tools",
    "Trainer": "sdk",
    "TrainingResult": "sdk",
    "ReplyError": "chat.typed",
    "TypedReply": "chat.typed",
}

__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = lazy(__name__, _HOMES, globals())
