"""Which statuses of a job are its end."""

from __future__ import annotations

TERMINAL_STATUSES: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
