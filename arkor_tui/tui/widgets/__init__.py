"""Widgets of ours; none of them does I/O."""
