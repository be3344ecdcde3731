"""Ids in paths and queries: only what looks like one of ours is looked up."""

import re
from typing import Final

# The second of making, then 96 random bits.
_ID: Final = re.compile(r"[0-9a-f]{10}-[0-9a-f]{24}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def consent_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a consent's id, else ""."""
    return text if _ID.fullmatch(text) else ""


def delegation_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a delegation's id, else ""."""
    return text if _ID.fullmatch(text) else ""


def report_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a report's id, else ""."""
    return text if _ID.fullmatch(text) else ""


def thumbprint_of(text: str) -> str:
    """Return ``text`` if it has the form of a key's thumbprint (RFC 7638), else ""."""
    return text if _THUMBPRINT.fullmatch(text) else ""
