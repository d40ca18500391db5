"""Checks where a job's rows come from: ``datasetSource`` of its request."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arkor_tui.config.loopback import is_loopback_url
from arkor_tui.text.sanitize import plain

from .spec import DatasetSpec, sendable_token

_PARTS = {
    "huggingface": {"type", "name", "split", "subset"},
    "blob": {"type", "url", "token"},
    "file": {"type", "path"},
}


def check_source(value: Any, datasets: Mapping[str, Path]) -> DatasetSpec:
    """Read a ``datasetSource``; ``datasets`` maps hub names to files. Blocking: looks at files.

    Raises:
        ValueError: what is wrong with it, as the end of a sentence that begins with its name.
    """
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 a client's mistake, not ours
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise ValueError(f"type must be one of {', '.join(_PARTS)}")
    parts = {name: part for name, part in value.items() if part is not None}
    if unknown := set(parts) - _PARTS[kind]:
        named = plain(", ".join(sorted(map(str, unknown))), limit=200, newlines=False)
        raise ValueError(f"of type {kind} has unknown parts: {named}")
    for name, part in parts.items():
        if not isinstance(part, str):
            raise ValueError(f"{name} must be a text")  # noqa: TRY004 as above
    needed = {"huggingface": "name", "blob": "url", "file": "path"}[kind]
    if not parts.get(needed, "").strip():
        raise ValueError(f"of type {kind} needs {needed}")
    if kind == "file":
        return DatasetSpec("file", str(_readable_file(parts["path"])))
    if kind == "blob":
        return _blob(parts["url"], parts.get("token"))
    name = parts["name"]
    if name in datasets:
        return DatasetSpec("file", str(_readable_file(str(datasets[name]))))
    return DatasetSpec("huggingface", name, split=parts.get("split"), subset=parts.get("subset"))


def _readable_file(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise ValueError(f"path must be absolute, not {plain(text, limit=200, newlines=False)}")
    shown = plain(str(path), limit=300, newlines=False)
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise ValueError(f"names a file that does not exist: {shown}") from None
    except (OSError, ValueError) as error:  # too long, no permission, a NUL
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ValueError(f"names a file that cannot be read ({reason}): {shown}") from None
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError(f"names something that is not a regular file: {shown}")
    if not os.access(path, os.R_OK):
        raise ValueError(f"names a file that cannot be read: {shown}")
    return path


def _blob(url: str, token: str | None) -> DatasetSpec:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, None
    if parts is None or not host or parts.scheme not in ("http", "https"):
        raise ValueError("url must be an https address")
    if parts.scheme == "http" and not is_loopback_url(url):
        what = "a token is never sent" if token else "data is never fetched"
        raise ValueError(f"url must be https: {what} over plain http")
    if token and not sendable_token(token):
        raise ValueError("token must be printable ASCII without blanks")
    return DatasetSpec("blob", url, token=token)
