"""Page tokens (AIP-158): where a page ended, bound to what was asked."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import sha256
from typing import Final

_TOKEN: Final = re.compile(rb"([a-z0-9.:-]{1,128})\.([0-9a-f]{16})")
_POSITION: Final = re.compile(r"[1-9][0-9]{0,17}")

Filters = tuple[str | int | None, ...]


def page_token(end: int | str, filters: Filters) -> str:
    """Return the token of the page after ``end``, a position in a log or an id."""
    return urlsafe_b64encode(f"{end}.{_digest(filters)}".encode()).decode()


def position_of(token: str, filters: Filters) -> int | None:
    """Return the position a token stands for: 0 for "", None unless made for ``filters``."""
    end = id_of(token, filters)
    if not end:
        return None if end is None else 0
    return int(end) if _POSITION.fullmatch(end) else None


def id_of(token: str, filters: Filters) -> str | None:
    """Return the id a token stands for: "" for "", None unless made for ``filters``."""
    if not token:
        return ""
    try:
        match = _TOKEN.fullmatch(urlsafe_b64decode(token))
    except (Error, ValueError):
        return None
    if match is None or match[2].decode() != _digest(filters):
        return None
    return match[1].decode()


def _digest(filters: Filters) -> str:
    return sha256(repr(filters).encode()).hexdigest()[:16]
