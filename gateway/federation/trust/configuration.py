"""This region's entity configuration: what it signs about itself, made anew when asked for.

Source: OpenID Federation 1.0, section 9; the metadata type ``public_credit_region`` is this
project's own, docs/regions.md has its members.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.federation.trust.news import NEWS_PATH
from gateway.federation.trust.own import OwnRegion
from gateway.federation.trust.statement import REGION_METADATA, STATEMENT_TYPE

LIFE_SECONDS: Final = 86_400
"""How long a configuration lives: peers fetch it every minute or so."""

CATALOGUE_PATH: Final = "/federation/catalogue"
"""Path of the catalogue below the issuer."""


class Published(NamedTuple):
    """What changes while a process runs: addresses "host:port" of its methods, verifier keys by
    what they sign, what links former and next ones to them, the JWK Set of its documents, the version of its catalogue."""

    grpc: Sequence[str]
    log_keys: Mapping[str, str]
    document_keys: Mapping[str, Any]
    catalogue_version: str
    log_links: Mapping[str, Sequence[str]] = MappingProxyType({})


class EntityConfiguration:
    """Signs the configuration of ``own``; ``superior`` gives who stands right above it, the anchor
    where no intermediate does, ``published`` what else changes."""

    def __init__(
        self, own: OwnRegion, superior: Callable[[], str], published: Callable[[], Published]
    ) -> None:
        self._own = own
        self._superior = superior
        self._published = published
        self._signed: tuple[str, int, str] = ("", 0, "")

    def signed(self) -> str:
        """Return the configuration, a JWT with at least half of its life left.

        Raises OSError where the certificate cannot be read, Refused where what is published
        is not known.
        """
        own, now = self._own, self._own.clock.now()
        metadata, superior = self._metadata(), self._superior()
        described = json.dumps([superior, metadata], sort_keys=True)
        known, issued_at, text = self._signed
        if known != described or not issued_at <= now < issued_at + LIFE_SECONDS // 2:
            claims = {
                "iss": own.entity_id,
                "sub": own.entity_id,
                "iat": now,
                "exp": now + LIFE_SECONDS,
                "jwks": own.entity_key.jwks,
                "authority_hints": [superior],
                "metadata": metadata,
            }
            text = own.entity_key.sign(claims, STATEMENT_TYPE)
            self._signed = (described, now, text)
        return text

    def _metadata(self) -> dict[str, dict[str, Any]]:
        own, published = self._own, self._published()
        issuer = own.entity_id.rstrip("/")
        return {
            "federation_entity": {"federation_news_endpoint": issuer + NEWS_PATH},
            REGION_METADATA: {
                "grpc": list(published.grpc),
                "issuer": own.entity_id,
                "tls_roots": own.roots,
                "certificate_thumbprints": own.thumbprints,
                "log_keys": dict(published.log_keys),
                "log_links": {
                    purpose: list(notes) for purpose, notes in published.log_links.items() if notes
                },
                "jwks": own.assertion_key.jwks,
                "document_keys": dict(published.document_keys),
                "catalogue": issuer + CATALOGUE_PATH,
                "catalogue_version": published.catalogue_version,
            },
        }
