"""By what names parts of consents go (`consent.parts`), and what is told of them. Pure."""

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final, NamedTuple

from consent.model import PART_PREFIX, Actor, ConsentChange

_PART: Final = re.compile(r"[0-9a-f]{10}p[A-Za-z0-9_-]{29}")
_TIME_DIGITS: Final = 10
_DIGEST_CHARACTERS: Final = 29


class PartTold(NamedTuple):
    """Of what consent a part is, by its resource name, and what region gave it (its entity
    identifier)."""

    region: str
    consent: str


def part_id(consent_id: str, region: str) -> str:
    """Return the id of the part of a consent that ``region``, an entity identifier, gave."""
    digest = urlsafe_b64encode(sha256(f"{region}\n{consent_id}".encode()).digest()).decode()
    return f"{consent_id[:_TIME_DIGITS]}p{digest[:_DIGEST_CHARACTERS]}"


def is_part(consent_id: str) -> bool:
    """Tell whether an id is that of a part."""
    return _PART.fullmatch(consent_id) is not None


def part_told(change: ConsentChange) -> PartTold | None:
    """Return what is told of a part by the change that made it; None for all other changes."""
    if not is_part(change.consent_id) or change.actor != Actor.SUBJECT:
        return None
    region, _, consent = change.reason.partition(" ")
    return PartTold(region, consent)


def consent_of(consent_id: str, request_id: str) -> str:
    """Return the id of the consent that one is a part of, by its own id and request; "" for what
    is no part."""
    if not is_part(consent_id) or not request_id.startswith(PART_PREFIX):
        return ""
    return request_id.removeprefix(PART_PREFIX).partition(":")[0]
