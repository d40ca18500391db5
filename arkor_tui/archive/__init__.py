"""The archive: every run that was seen, on disk before it is on screen."""
