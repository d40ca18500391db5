"""What the environment says about the network: proxies, and whose certificates are trusted.

Everything that cannot be used is told with the variable that names it, and never with its value: a
proxy's address may hold a password.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from arkor_tui.errors import UsageError

from .atomic import reason_of
from .loopback import is_loopback_host

PROXY_SCHEMES = ("http", "https", "all")
_KINDS = ("http", "https", "socks5", "socks5h")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # how OpenSSL looks a certificate up in a folder
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(\d{1,5}))?")
_WITH_PORT = re.compile(r"([^:]*):(\d{1,5})")
_SYSTEM = "the system's settings"


class NetworkSettingsError(UsageError):
    """A variable of the environment names a proxy or certificates that cannot be used."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; ``variable`` is what names it, ``shown`` its address without login."""

    url: str = field(repr=False)
    variable: str
    shown: str


# --- proxies --------------------------------------------------------------------------------------


def proxy_for(url: str) -> Proxy | None:
    """Choose the proxy that requests to ``url`` go through; None for this machine.

    Raises:
        NetworkSettingsError: the variable names none that can be used.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or is_loopback_host(host):
        return None
    if _is_exempt(parts.scheme, host, port or {"http": 80, "https": 443}.get(parts.scheme)):
        return None
    return next(_proxies(parts.scheme, "all"), None) or _system_proxy(parts.scheme, host)


def proxies() -> list[Proxy]:
    """List every proxy that the environment names.

    Raises:
        NetworkSettingsError: one of them cannot be used.
    """
    return list(_proxies(*PROXY_SCHEMES))


def _proxies(*schemes: str) -> Iterator[Proxy]:
    for scheme in schemes:
        name, value = _variable(f"{scheme}_proxy")
        if value:
            yield _usable(value, name)


def _variable(name: str) -> tuple[str, str]:
    """The name that is set, small letters first, and its value."""
    for each in (name, name.upper()):
        # to a CGI program, a header of a request is HTTP_PROXY
        if each in os.environ and not (each == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
            return each, os.environ[each].strip()
    return name.upper(), ""


def _usable(value: str, variable: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if not host or parts.scheme not in _KINDS or not url.isascii() or not url.isprintable():
        raise NetworkSettingsError(
            f"{variable} does not name a proxy that can be used.",
            hint=f"Write it as http://HOST:PORT (or https, socks5), or unset {variable}.",
        )
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise NetworkSettingsError(
            f"{variable} names a SOCKS proxy, and the package for that is not installed.",
            hint=f"Install it (pip install socksio), name an HTTP proxy, or unset {variable}.",
        )
    where = f"[{host}]" if ":" in host else host
    return Proxy(url, variable, f"{parts.scheme}://{where}{f':{port}' if port else ''}")


def _system_proxy(scheme: str, host: str) -> Proxy | None:
    """What macOS and Windows have in their settings, where the environment names nothing."""
    import urllib.request  # slow to import

    if urllib.request.getproxies_environment():
        return None
    found = urllib.request.getproxies()
    value = found.get(scheme) or found.get("all")
    if not value or urllib.request.proxy_bypass(host):
        return None
    return _usable(value, _SYSTEM)


def _is_exempt(scheme: str, host: str, port: int | None) -> bool:
    """Whether ``NO_PROXY`` lists the host: a name, an address, a network; each with or without
    brackets and a port."""
    entries = _variable("no_proxy")[1].split(",")
    return any(_covers(entry.strip().lower(), scheme, host.lower(), port) for entry in entries)


def _covers(entry: str, scheme: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    for_scheme, _, entry = entry.rpartition("://")
    if for_scheme not in ("", "all", scheme):
        return False
    split = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    name, for_port = split.groups() if split else (entry, None)
    if for_port and int(for_port) != port:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        name, host = name.lstrip("*").strip("."), host.rstrip(".")
        return bool(name) and (host == name or host.endswith(f".{name}"))


# --- certificates ---------------------------------------------------------------------------------


def certificate_sources() -> dict[str, str]:
    """Name the variables that say whose certificates are trusted, with their paths."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def tls_context() -> ssl.SSLContext:
    """Make what certificates are verified with: the environment's authorities, or the usual ones.

    Raises:
        NetworkSettingsError: a variable names a file or folder that holds no certificates.
    """
    sources = certificate_sources()
    file, folder = sources.get("SSL_CERT_FILE"), sources.get("SSL_CERT_DIR")
    if folder is not None and file is None:
        _check_folder(folder)
    if file is None and folder is None:
        import certifi

        return ssl.create_default_context(cafile=certifi.where())
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except ssl.SSLError as error:
        raise _no_certificates("SSL_CERT_FILE", f"{file}, which holds none") from error
    except OSError as error:
        raise _no_certificates("SSL_CERT_FILE", f"{file}: {reason_of(error)}") from error


def _check_folder(folder: str) -> None:
    for part in folder.split(os.pathsep):
        try:
            if any(_HASHED.fullmatch(entry.name) for entry in Path(part).iterdir()):
                return
        except OSError as error:
            raise _no_certificates("SSL_CERT_DIR", f"{part}: {reason_of(error)}") from error
    unnamed = f"{folder}, which has no certificate under a name as `openssl rehash` makes them"
    raise _no_certificates("SSL_CERT_DIR", unnamed)


def _no_certificates(variable: str, why: str) -> NetworkSettingsError:
    return NetworkSettingsError(
        f"No certificate can be verified: {variable} names {why}.",
        hint=f"Correct {variable}, or unset it to trust the usual authorities.",
    )
