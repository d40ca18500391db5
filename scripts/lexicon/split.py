"""Which sentences are held out, decided by the sentence itself.

The decision is a pure function, so the pretraining text, the training rows and the held-out
rows agree on it without sharing any state.
"""

from __future__ import annotations

import zlib

HELDOUT_SHARE = 12  # one sentence in so many


def is_heldout(sentence: str) -> bool:
    """True for a sentence that may only appear in a held-out part."""
    return zlib.crc32(sentence.strip().lower().encode()) % HELDOUT_SHARE == 0
