"""Ids in paths and queries: only what looks like one of ours is looked up."""

import re
from typing import Final

# The second of making, then 96 random bits.
_ID: Final = re.compile(r"[0-9a-f]{10}-[0-9a-f]{24}")
# As `creditgate.federated_query.consent_elsewhere` names those that another region keeps, and
# `consent.part_names` what was taken back there of one kept here.
_CONSENT_ELSEWHERE: Final = re.compile(r"[0-9a-f]{10}[rp][A-Za-z0-9_-]{29}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def consent_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a consent's id, kept here or in another region,
    else ""."""
    return text if _ID.fullmatch(text) or _CONSENT_ELSEWHERE.fullmatch(text) else ""


def delegation_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a delegation's id, else ""."""
    return text if _ID.fullmatch(text) else ""


def report_id_of(text: str) -> str:
    """Return ``text`` if it has the form of a report's id, else ""."""
    return text if _ID.fullmatch(text) else ""


def thumbprint_of(text: str) -> str:
    """Return ``text`` if it has the form of a key's thumbprint (RFC 7638), else ""."""
    return text if _THUMBPRINT.fullmatch(text) else ""
