"""``python -m arkor_tui``."""

from arkor_tui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
