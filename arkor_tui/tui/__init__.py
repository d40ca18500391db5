"""The terminal app: Textual only, no I/O of its own."""
