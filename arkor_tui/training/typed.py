"""Keep ``arkor_tui.training.typed``, which the docs of version 0.1 name."""

from __future__ import annotations

from arkor_tui.chat.typed import ReplyError as ReplyError
from arkor_tui.chat.typed import TypedReply as TypedReply
