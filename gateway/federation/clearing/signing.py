"""Signing clearings with this region's document keys, and knowing those of others."""

from collections.abc import Mapping
from typing import Any, Final

from creditgate.clearing import (
    ACCEPTANCE_TYPE,
    CLEARING_TYPE,
    Clearing,
    ClearingAcceptance,
)
from gateway.authority.feed import AuthorityFeed
from gateway.consents.schema import receipt_keys
from gateway.federation.trust.book import Region
from gateway.oauth.signing import SigningKeys
from sdk.documents import DocumentRefused, KeysUnavailable, read_keys

_TYPES: Final = {Clearing: CLEARING_TYPE, ClearingAcceptance: ACCEPTANCE_TYPE}


class ClearingKeys:
    """Signs as this region; ``feed`` tells which of ``keys`` stand."""

    def __init__(self, keys: SigningKeys, feed: AuthorityFeed) -> None:
        self._keys = keys
        self._feed = feed

    def sign(self, document: Clearing | ClearingAcceptance) -> str:
        """Return a document signed. Raises Refused TEMPORARILY_UNAVAILABLE without a key."""
        book = self._feed.current().signing_keys
        return self._keys.sign(book, document.as_json(), _TYPES[type(document)], document.iat)

    def own(self) -> Mapping[str, Any]:
        """Return the keys of this region's documents, retired ones too (a JWK Set)."""
        return receipt_keys(self._feed.current().signing_keys)


def keys_of(region: Region) -> Mapping[str, Any]:
    """Return the keys of a region's documents by its trust chain. Raises DocumentRefused."""
    try:
        return read_keys(region.document_keys.encode())
    except KeysUnavailable:
        raise DocumentRefused("Its trust chain names no keys of its documents.") from None
