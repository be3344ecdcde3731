"""The fields of a copy as files write them: ids, contents, digests, instants."""

import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

from creditgate.transparency.facts import NO_END
from sdk.loading.moments import DATE, INSTANT, moment_reader

RECORDS: Final = "records/"

_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_INSTANTS_KEPT: Final = 65_536


class FieldRefused(Exception):
    """A field is not what it has to be; the message is the mend."""


def record_id(text: str) -> str:
    """Return a record's id, given that or its name. Raises FieldRefused."""
    found = text.removeprefix(RECORDS)
    if _ID.fullmatch(found) is None:
        raise FieldRefused("name the record by its id, 1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
    return found


def content_of(text: str) -> bytes:
    """Return content byte for byte.

    Raises FieldRefused for what is no record's, whose copy would be found altered: for nothing at
    all, and for what is no UTF-8, which comes as lone surrogates (PEP 383), as of a file in
    another encoding, such as GBK.
    """
    if not text:
        raise FieldRefused("write content as the bytes that were served, or its content_digest")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise FieldRefused(
            "write content as the bytes that were served, in UTF-8: these are none (is the file"
            " in GBK?)"
        ) from None


def digest_of(content: bytes) -> bytes:
    """Return the digest of content."""
    return sha256(content).digest()


def content_digest(text: str) -> bytes:
    """Return a digest written in hexadecimal. Raises FieldRefused."""
    if _DIGEST.fullmatch(text) is None:
        raise FieldRefused("write content_digest as 64 hexadecimal digits")
    return bytes.fromhex(text)


def disclosed_from(text: str) -> int:
    """Return the start of a period, seconds UTC. Raises FieldRefused."""
    found = _instant(text)
    if found is None:
        raise FieldRefused(f"write disclosed_from as {_FORMS}")
    return found


def disclosed_until(text: str) -> int:
    """Return the end of a period, seconds UTC; `NO_END` where there is none.

    Raises FieldRefused.
    """
    found = _instant(text) if text else NO_END
    if found is None:
        raise FieldRefused(f"write disclosed_until as {_FORMS}, or leave it empty for no end")
    return found


_FORMS: Final = (
    "an instant with its zone (2026-01-31T08:00:00Z), a date (midnight in China) or seconds"
    " since 1970"
)
_read: Final = moment_reader((INSTANT, DATE))


# Instants recur: many records share their period.
@lru_cache(_INSTANTS_KEPT)
def _instant(text: str) -> int | None:
    if _SECONDS.fullmatch(text):
        seconds = int(text)
    else:
        moment = _read(text)
        if moment is None:
            return None
        seconds = moment.seconds
    return seconds if 0 <= seconds <= NO_END else None
