"""Keep the name under which trainer files of version 0.1 import ``plain``."""

from __future__ import annotations

from arkor_tui.text.sanitize import plain as plain
