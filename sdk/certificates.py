"""Certificates of conformance (一致性证书), verified offline by whom an operator shows one."""

from collections.abc import Mapping
from typing import Any, Final

from creditgate.conformance_certificate import (
    CERTIFICATE_TYPE,
    MOST_CHARACTERS,
    ConformanceCertificate,
)
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from sdk.documents import DocumentKind, DocumentRefused, Signed

_CERTIFICATE: Final = DocumentKind(CERTIFICATE_TYPE, MOST_CHARACTERS, ConformanceCertificate)


def verified_certificate(
    certificate: str, keys: Mapping[str, Any], issuer: str, now: int
) -> Signed[ConformanceCertificate]:
    """Return what ``certificate`` says where the gateway ``issuer`` signed it and it is good
    at ``now`` (seconds, UTC).

    ``keys`` is the gateway's JWK Set (`sdk.documents`). Whether findings came since, the URL
    ``status`` tells. Raises DocumentRefused.
    """
    signed = _CERTIFICATE.verified(certificate, keys, issuer)
    if now >= signed.document.exp:
        raise DocumentRefused("It is not good any more: ask the operator for a newer one.")
    return signed


def certified_checkpoint(certificate: ConformanceCertificate, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint a certificate is bound to, by the pinned ``key`` of the log.

    Raises DocumentRefused.
    """
    try:
        return open_checkpoint(certificate.checkpoint, key)
    except ProofInvalid as invalid:
        raise DocumentRefused(f"Its checkpoint does not hold: {invalid}.") from None
