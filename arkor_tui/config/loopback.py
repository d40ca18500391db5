"""Which addresses are this very machine: the one rule for tokens, plain HTTP and proxies."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback_host(host: str) -> bool:
    """Tell whether a host, without brackets, is this machine: ``localhost`` or such an address.

    Names below or beside these (``127.evil.example``) are other machines, and so is whatever only
    some resolvers read as an address (``127.1``, ``2130706433``, ``localhost.``).
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_loopback_url(url: str) -> bool:
    """Tell whether ``url`` is plain HTTP to this machine, without user name or port tricks."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or parts.username is not None or port == 0:
        return False
    return parts.hostname is not None and is_loopback_host(parts.hostname)
