"""Keep ``arkor_tui.training.tools``, which the docs of version 0.1 name."""

from __future__ import annotations

from arkor_tui.chat.tools import Tool as Tool
from arkor_tui.chat.tools import tool as tool
