"""The proxies that the environment names (HTTPS_PROXY, http_proxy), which httpx and gRPC heed.

Who sets one to reach other hosts seldom says by NO_PROXY that this one is not behind it.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_THIS_HOST: Final = "localhost"


def by_proxy(place: str) -> bool:
    """Tell whether ``place``, a URL or host:port, may be reached by a proxy: not on this host."""
    host = urlsplit(place if "://" in place else f"//{place}").hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != _THIS_HOST


def channel_options(place: str) -> tuple[tuple[str, int], ...]:
    """Return the gRPC channel arguments that have ``place``, host:port, reached so."""
    return (("grpc.enable_http_proxy", int(by_proxy(place))),)
