"""What a region's chain says of it, read into what the authority log keeps. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.linked import LinkedKeys
from creditgate.transparency.note import VerifierKey
from creditgate.transparency.succession import former_named, is_announcement
from gateway.federation.trust.authorities import as_pem, read_authorities
from gateway.federation.trust.chain import TrustChain
from gateway.federation.trust.statement import REGION_METADATA, StatementInvalid
from operators.jwks import public_key_fault
from operators.regions import MOST_ROOTS_CHARACTERS, KnownRegion, region_client_id

_MOST_DOCUMENT_KEYS: Final = 64


def known_region(chain: TrustChain) -> KnownRegion:
    """Return the region whose chain was verified.

    Its authorities are those that it names itself and whoever stands above it names too, read and
    written anew. Raises StatementInvalid where its metadata are not those of a region, or it
    says of itself what is another's.
    """
    fields = chain.metadata.get(REGION_METADATA)
    if fields is None:
        raise StatementInvalid("the entity does not say that it is a region")
    try:
        region = KnownRegion(
            entity_id=chain.entity_id,
            client_id=region_client_id(chain.entity_id),
            revision=chain.revision,
            chain_digest=chain.digest,
            stands_until=chain.expires_at,
            grpc=fields["grpc"],
            issuer=fields["issuer"],
            roots=_roots(fields["tls_roots"], chain.tls_roots),
            certificate_thumbprints=fields["certificate_thumbprints"],
            codes=fields["codes"],
            log_keys=fields.get("log_keys", {}),
            log_links=fields.get("log_links", {}),
            jwks=json.dumps(fields["jwks"]),
            document_keys=_document_keys(fields["document_keys"]),
            catalogue=fields["catalogue"],
            catalogue_version=fields.get("catalogue_version", ""),
        )
        for purpose, vkey in region.log_keys.items():
            (CosignerKey if purpose == "witness" else VerifierKey).parse(vkey)
        for purpose, notes in region.log_links.items():
            require_linked(region.log_keys[purpose], notes)
    except StatementInvalid:
        raise
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise StatementInvalid("the region's metadata are not right") from error
    if not speaks_for_itself(region):
        raise StatementInvalid("the region names an issuer or a catalogue that is not its own")
    return region


def require_linked(vkey: str, notes: Sequence[str]) -> None:
    """Check that a region names as a former key of its log, or as the next, what is its own: each of
    the former and the one behind it have signed so, and the present one what it announces."""
    present = VerifierKey.parse(vkey)
    found = LinkedKeys.of(present, notes)
    if (
        found.present != present
        or {former_named(note) for note in notes} - {*found.chain}
        or (any(is_announcement(note) for note in notes) and found.announced is None)
    ):
        raise StatementInvalid("log_links has a note that leads to none of the region's keys")


def speaks_for_itself(region: KnownRegion) -> bool:
    """Tell whether a region's authorisation server and its catalogue are its own: the issuer is
    the entity itself, and the catalogue is below it."""
    own = region.entity_id.rstrip("/") + "/"
    return region.issuer == region.entity_id and region.catalogue.startswith(own)


def _document_keys(jwks: Mapping[str, Any]) -> str:
    keys = jwks["keys"]
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_DOCUMENT_KEYS:
        raise StatementInvalid(f"document_keys has 1 to {_MOST_DOCUMENT_KEYS} keys")
    if any(public_key_fault(key) is not None or not key.get("kid") for key in keys):
        raise StatementInvalid("document_keys has public keys with a kid only")
    return json.dumps({"keys": keys})


def _roots(said: object, above: str) -> str:
    """Return the authorities that a region and its superior both name (PEM).

    What a region says of itself alone opens nothing: people looked at what its superior states.
    """
    if not isinstance(said, str) or len(said) > MOST_ROOTS_CHARACTERS:
        raise StatementInvalid(f"tls_roots has at most {MOST_ROOTS_CHARACTERS} characters")
    try:
        stated = {each.der for each in read_authorities(above)} if above else set[bytes]()
    except ValueError:
        raise StatementInvalid("what a superior states of its authorities is not right") from None
    both = [each for each in read_authorities(said) if each.der in stated]
    if not both:
        raise StatementInvalid("tls_roots names no authority that its superior names too")
    return as_pem(both).decode("ascii")
