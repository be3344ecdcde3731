"""The licence of an operator of another region, as its credential tells it. Pure.

What it bounds is worked out by `gateway.federation.home.bounds`; here is what is asked of
whoever verifies credentials.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from gateway.federation.home.bounds import Bound, mapped
from gateway.federation.trust.book import Region

MOST_CHARACTERS: Final = 16_384
"""Longest credential that is read (QueryRecordsRequest.licence_credential)."""

_PREFIX: Final = "licence:"


class Licence(NamedTuple):
    """A licence that a region gave one of its operators.

    ``region`` is the region's entity identifier; ``operator_id`` and ``number`` are names of
    its own, ``items`` codes of its catalogue. ``purposes`` are named as authorization details
    name them, ``regions`` are division codes. It holds in [start, until), seconds UTC, and the
    credential no longer.
    """

    region: str
    operator_id: str
    number: str
    items: frozenset[str]
    purposes: frozenset[str]
    regions: frozenset[str]
    start: int
    until: int

    @property
    def principal(self) -> str:
        """Who acts by a token that was exchanged for it: ``sub`` (RFC 8693 section 4.1)."""
        named = "\n".join((self.region, self.operator_id, self.number))
        digest = urlsafe_b64encode(sha256(named.encode()).digest()).rstrip(b"=").decode()
        return _PREFIX + digest

    def bound(self, counterparts: Mapping[str, str]) -> Bound:
        """Return what it allows here, ``counterparts`` giving this region's item for one of the
        other's. Raises Refused ITEM_NOT_MAPPED."""
        items = mapped(self.items, counterparts)
        return Bound(items, self.purposes, self.regions, self.start, self.until)


class Licences(Protocol):
    """Verifies licence credentials; any thread, and without waiting."""

    def shown(self, credential: str, region: Region) -> Licence:
        """Return the licence of a credential that ``region`` issued, its status known to stand.

        Raises Refused LICENCE_CREDENTIAL_INVALID, FEDERATION_UNKNOWN.
        """
        ...

    def stands(self, credential: str, region: Region) -> bool:
        """Tell whether `shown` would return it now."""
        ...
