"""What goes wrong with the archive."""

from arkor_tui.errors import ArkorTuiError


class ArchiveError(ArkorTuiError):
    """The archive cannot be used."""
