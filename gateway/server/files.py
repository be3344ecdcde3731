"""How many files the process may have open, and what part of them is for whose connections.

Each connection is an open file, and so is each of a store: connections must never take all.
"""

import resource
from typing import Final

_WANTED: Final = 65_536
_MOST_HTTPS: Final = 1_024


def raise_limit() -> None:
    """Let this process, and those it starts, open as many files as is allowed, up to 65,536.

    The soft limit is commonly 1,024, for the sake of programs that use select(2); none here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_grpc() -> int:
    """Return how many connections gRPC may have: as many as half the files."""
    return _most() // 2


def most_https() -> int:
    """Return how many connections HTTPS may have, each half as many more at their handshake: 1,024
    at most, an eighth of the files."""
    return min(_MOST_HTTPS, _most() // 8)


def _most() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _WANTED if soft == resource.RLIM_INFINITY else min(soft, _WANTED)
