"""The HTTP client: one method for each route of docs/protocol.md, section 3."""

from __future__ import annotations

from .accounts import AccountCalls
from .caller import CLIENT_HEADER as CLIENT_HEADER
from .caller import CLIENT_VERSION as CLIENT_VERSION
from .chat import ChatCalls
from .endpoints import EndpointCalls
from .jobs import JobCalls


class CloudApiClient(AccountCalls, JobCalls, ChatCalls, EndpointCalls):
    """Talks to one backend as one identity. Close it, or use it as ``async with``.

    ``base_url`` loses its trailing slashes. ``bearer`` is the token. ``on_notice`` hears of
    deprecations in any answer, errors included; :attr:`notice` holds the latest in any case. With
    ``proof`` the server is asked on each new connection to prove that it has the token, as only the
    embedded backend can; whoever cannot is not reached.

    Every method raises :class:`ApiError` for a non-2xx answer, :class:`ConnectionFailedError` where
    the server cannot be reached or does not end its answer, :class:`NotArkorError` where what it
    says is not the protocol, and :class:`NetworkSettingsError` where the environment names a proxy
    or certificates that cannot be used.
    """
