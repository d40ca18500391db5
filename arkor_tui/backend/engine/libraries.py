"""Imports the machine-learning libraries, which is most of what a child does before its work."""

from __future__ import annotations

import gc
from importlib import import_module

NEEDED = (
    "torch",
    "transformers.modeling_utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "peft",
)
"""Modules, with all that they import themselves."""


def import_libraries() -> None:
    """Import what both children need of torch, transformers and peft.

    No garbage is collected meanwhile: the thousands of modules live as long as the process, and
    looking through them again and again while more come takes a quarter of the time. Later
    collections leave them out too.

    Raises:
        ImportError: one of them is missing or broken.
    """
    gc.disable()
    try:
        for name in NEEDED:
            import_module(name)
    finally:
        gc.freeze()
        gc.enable()
