"""Certificates of conformance (一致性证书), verified offline by whom an operator shows one."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

from creditgate.conformance_certificate import (
    CERTIFICATE_TYPE,
    MOST_CHARACTERS,
    STATEMENT,
    STATUS_PATH,
    STATUS_TYPE,
    ConformanceCertificate,
    ConformanceStatus,
    certified_in,
)
from creditgate.transparency.linked import Pinned, open_linked
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey
from sdk.credentials import Profile
from sdk.documents import (
    STATUS_SECONDS,
    DocumentKind,
    DocumentRefused,
    Signed,
    issuer_of_log,
    read_published,
    require_fresh,
    require_past,
)

_CERTIFICATE: Final = DocumentKind(CERTIFICATE_TYPE, MOST_CHARACTERS, ConformanceCertificate)
_STATUS: Final = DocumentKind(STATUS_TYPE, 8_192, ConformanceStatus)


def verified_certificate(
    certificate: str, keys: Mapping[str, Any], issuer: str, now: int
) -> Signed[ConformanceCertificate]:
    """Return what ``certificate`` says where the gateway ``issuer`` signed it and it is good
    at ``now`` (seconds, UTC).

    ``keys`` is the gateway's JWK Set (`sdk.documents`). Whether findings came since, its status
    tells (`verified_certificate_status`). Raises DocumentRefused.
    """
    signed = _CERTIFICATE.verified(certificate, keys, issuer)
    require_past(signed.document.iat, now)
    if now >= signed.document.exp:
        raise DocumentRefused("It is not good any more: ask the operator for a newer one.")
    return signed


def certificate_issuer(certificate: str, log: VerifierKey) -> str:
    """Return the issuer a certificate names, where the pinned key is that of its own disclosure
    log: who pinned the log's key has pinned whose certificates are bound to it.

    Raises DocumentRefused.
    """
    try:
        return issuer_of_log(certified_in(certificate).iss, log)
    except DocumentRefused:
        raise
    except ValueError:
        raise DocumentRefused("It is no certificate.") from None


def certificate_status(credentials: Profile, certificate: ConformanceCertificate) -> str:
    """Ask the profile's gateway for the signed status of a certificate.

    Blocks. Raises KeysUnavailable.
    """
    path = f"{STATUS_PATH}{quote(certificate.jti, safe='')}{STATEMENT}"
    return read_published(credentials, path, "The certificate's status").decode("ascii", "replace")


def verified_certificate_status(
    statement: str,
    certificate: str,
    keys: Mapping[str, Any],
    issuer: str,
    now: int,
    freshness: int = STATUS_SECONDS,
) -> ConformanceStatus:
    """Return the status that the gateway ``issuer`` signed of ``certificate``, which was verified
    before.

    It is refused where it is older than ``freshness`` seconds at ``now`` (seconds, UTC), or from
    before the certificate. Raises DocumentRefused.
    """
    status = _STATUS.verified(statement, keys, issuer).document
    if status.document_digest != sha256(certificate.encode()).hexdigest():
        raise DocumentRefused("It is the status of another certificate.")
    require_fresh(status.iat, certified_in(certificate).iat, now, freshness)
    return status


def certified_checkpoint(certificate: ConformanceCertificate, key: Pinned) -> Checkpoint:
    """Return the checkpoint a certificate is bound to, by the pinned ``key`` of the log, or one
    linked to it.

    Raises DocumentRefused.
    """
    try:
        return open_linked(certificate.checkpoint, key)
    except ProofInvalid as invalid:
        raise DocumentRefused(f"Its checkpoint does not hold: {invalid}.") from None
