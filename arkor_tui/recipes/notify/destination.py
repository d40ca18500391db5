"""Where a message goes. The address is a secret: whoever knows it can post."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from arkor_tui.config.loopback import is_loopback_host
from arkor_tui.errors import UsageError
from arkor_tui.text.redact import MASK, SHORTEST_SECRET, mask_words


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that shows itself only masked.

    ``id`` names it in the archive and ``label`` before people; neither allows to post.
    """

    service: str
    label: str
    id: str
    _url: str = field(repr=False)

    @classmethod
    def web(cls, service: str, url: str, source: str) -> Destination:
        """A webhook: https, or http to this machine. ``source`` says where it was found.

        Raises:
            UsageError: it is something else; the message does not hold it.
        """
        parts = _split(url)
        if parts is None or not parts.hostname:
            raise _unusable(source, "is no web address")
        host = parts.hostname
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback_host(host)):
            raise _unusable(source, "must begin with https://, so that nobody reads it on its way")
        return cls(service, f"{service} {host}/{MASK}{_short(url, 4)}", _short(url, 8), url)

    @classmethod
    def apprise(cls, service: str, url: str, source: str) -> Destination:
        """An address as Apprise writes them; its host is often the secret itself.

        Raises:
            UsageError: it is none; the message does not hold it.
        """
        found = re.fullmatch(r"([A-Za-z][A-Za-z0-9]*)://\S+", url)
        if found is None:
            raise _unusable(source, "is no address as Apprise writes them (`service://…`)")
        label = f"{service} {found[1].lower()}://{MASK}{_short(url, 4)}"
        return cls(service, label, _short(url, 8), url)

    def reveal(self) -> str:
        """The address itself, for whoever sends to it."""
        return self._url

    def scrub(self, text: str) -> str:
        """``text`` without any part of the address but its host."""
        parts = _split(self._url)
        host = (parts.hostname or "") if parts else ""
        secrets = {self._url, *re.split(r"[/?&=#:@]+", self._url.split("://", 1)[-1])}
        hidden = (word for word in secrets if len(word) >= SHORTEST_SECRET and word.lower() != host)
        return mask_words(text, hidden)


def _unusable(source: str, why: str) -> UsageError:
    return UsageError(
        f"The address in {source} {why}.",
        hint="Copy it again from the service; `arkor-tui notify --test` tries it.",
    )


def _split(url: str) -> SplitResult | None:
    if any(not 33 <= ord(sign) <= 126 for sign in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _short(url: str, length: int) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:length]
