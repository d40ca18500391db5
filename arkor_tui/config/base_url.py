"""Which cloud is meant (docs/protocol.md, section 2, "Base URL, in order")."""

from __future__ import annotations

import os
from typing import Protocol

PRODUCTION_URL = "https://api.arkor.ai"
URL_VARIABLE = "ARKOR_CLOUD_API_URL"


class KnowsItsCloud(Protocol):
    """Credentials, as far as this module is concerned."""

    @property
    def cloud_api_url(self) -> str | None: ...


def cloud_base_url(credentials: KnowsItsCloud | None = None) -> str:
    """The variable, else the credentials' own URL, else production; no trailing slash.

    An empty variable, or an empty URL in the credentials, is kept: it is there to fail loudly
    rather than to reach production.
    """
    given = os.environ.get(URL_VARIABLE)
    if given is None and credentials is not None:
        given = credentials.cloud_api_url
    return cut_slashes(PRODUCTION_URL if given is None else given)


def login_base_url() -> str:
    """Where to sign in: the variable, else production. Stored credentials do not count."""
    return cloud_base_url(None)


def cut_slashes(url: str) -> str:
    """``url`` without trailing slashes."""
    return url.rstrip("/")
