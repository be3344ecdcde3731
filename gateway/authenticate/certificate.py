"""Thumbprints of peer certificates, remembered: each connection repeats its own."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from gateway.pki.thumbprint import thumbprint_of_pem

_MOST_REMEMBERED: Final = 4_096


def remembered_thumbprints() -> Callable[[bytes], str]:
    """Return a function from PEM to ``x5t#S256`` (RFC 8705) with a bounded memory.

    It raises ValueError for what is no PEM certificate.
    """
    return lru_cache(_MOST_REMEMBERED)(thumbprint_of_pem)
