"""What a region's chain says of it, read into what the authority log keeps. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from pydantic import ValidationError

from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.note import VerifierKey
from gateway.federation.trust.chain import TrustChain
from gateway.federation.trust.statement import REGION_METADATA, StatementInvalid
from operators.jwks import public_key_fault
from operators.regions import KnownRegion, region_client_id

_MOST_DOCUMENT_KEYS: Final = 64
_MOST_ROOTS: Final = 16


def known_region(chain: TrustChain) -> KnownRegion:
    """Return the region whose chain was verified.

    Raises StatementInvalid where its metadata are not those of a region.
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
            roots=fields["tls_roots"],
            certificate_thumbprints=fields["certificate_thumbprints"],
            codes=fields["codes"],
            log_keys=fields.get("log_keys", {}),
            jwks=json.dumps(fields["jwks"]),
            document_keys=_document_keys(fields["document_keys"]),
            catalogue=fields["catalogue"],
            catalogue_version=fields.get("catalogue_version", ""),
        )
        _require_roots(region.roots)
        for purpose, vkey in region.log_keys.items():
            (CosignerKey if purpose == "witness" else VerifierKey).parse(vkey)
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise StatementInvalid("the region's metadata are not right") from error
    return region


def _document_keys(jwks: Mapping[str, Any]) -> str:
    keys = jwks["keys"]
    if not isinstance(keys, list) or not 1 <= len(keys) <= _MOST_DOCUMENT_KEYS:
        raise StatementInvalid(f"document_keys has 1 to {_MOST_DOCUMENT_KEYS} keys")
    if any(public_key_fault(key) is not None or not key.get("kid") for key in keys):
        raise StatementInvalid("document_keys has public keys with a kid only")
    return json.dumps({"keys": keys})


def _require_roots(pem: str) -> None:
    roots = x509.load_pem_x509_certificates(pem.encode("ascii"))
    if not 1 <= len(roots) <= _MOST_ROOTS:
        raise StatementInvalid(f"tls_roots has 1 to {_MOST_ROOTS} certificates")
