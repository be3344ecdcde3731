"""Page tokens (AIP-158): where a page ended, bound to what was asked."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import Final

_TOKEN: Final = re.compile(rb"([1-9][0-9]{0,17})\.([0-9a-f]{16})")

Filters = tuple[str | int | None, ...]


def page_token(position: int, filters: Filters) -> str:
    """Return the token of the page after ledger position ``position``."""
    return urlsafe_b64encode(f"{position}.{_digest(filters)}".encode()).decode()


def position_of(token: str, filters: Filters) -> int | None:
    """Return the position a token stands for: 0 for "", None unless made for ``filters``."""
    if not token:
        return 0
    try:
        match = _TOKEN.fullmatch(urlsafe_b64decode(token))
    except (Error, ValueError):
        return None
    if match is None or match[2].decode() != _digest(filters):
        return None
    return int(match[1])


def _digest(filters: Filters) -> str:
    return sha256(repr(filters).encode()).hexdigest()[:16]
