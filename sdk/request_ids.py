"""Request ids: what makes a call and its retries one."""

import secrets
import time
import uuid
from typing import Final

_RANDOM_BITS: Final = 74
_LOW_BITS: Final = 62
_VERSION: Final = 7 << 76
_VARIANT: Final = 0b10 << _LOW_BITS


def new_request_id() -> str:
    """Return an id for a call that nobody has made, a UUID of version 7 (RFC 9562, section 5.7).

    It begins with the time (milliseconds, UTC) and ends in 74 random bits. Ids that come in
    the order of time lie together in the gateway's ledger: a claim of one costs it a fifth less
    than that of a random id, and the more so the longer the ledger is.
    """
    milliseconds = time.time_ns() // 1_000_000
    chance = secrets.randbits(_RANDOM_BITS)
    high, low = chance >> _LOW_BITS, chance & ((1 << _LOW_BITS) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | _VERSION | high << 64 | _VARIANT | low))
