"""Secrets that the authorisation server hands out: made here, kept as digests only.

FAPI 2.0 Security Profile, section 5.4.1: at least 128 bits of entropy. Here 256, so a
digest without salt cannot be searched for.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from typing import Final

_BYTES: Final = 32


def new_secret() -> str:
    """Return a new secret: 43 characters of base64url."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def new_salt() -> bytes:
    """Return a salt for `successor_of`."""
    return secrets.token_bytes(_BYTES)


def successor_of(secret: str, salt: bytes) -> str:
    """Return the secret that follows ``secret``: always the same for one salt.

    Neither the salt nor the older secret alone tells it.
    """
    following = hmac.digest(secret.encode(), salt, "sha256")
    return urlsafe_b64encode(following).rstrip(b"=").decode()
