"""A dataset's address and a job's configuration, bare of what is secret: to be shown and kept."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit


def bare_url(url: str) -> str:
    """``url`` without user name, password, query and fragment: signed addresses are secrets.

    Nothing is left of one that cannot be read.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def bare_config(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``config`` whose dataset has no token and a bare address."""
    source = config.get("datasetSource")
    if not isinstance(source, dict):
        return config
    bare = {name: value for name, value in source.items() if name != "token"}
    if isinstance(bare.get("url"), str):
        bare["url"] = bare_url(bare["url"])
    return {**config, "datasetSource": bare}
