"""The certificate of conformance (一致性证书) as a document: what it says, and its JSON Schema.

An operator shows it to its customers: the copies it attested, as they were read at ``read_at``,
equalled the disclosure as of a checkpoint, in content and period, and at its date nothing stood
against it. It is this
document as a JWT of type `CERTIFICATE_TYPE`, signed by the gateway. It is the operator's own
attestation, checked as docs/conformance.md says; it certifies no record.

Source: Opinions on improving the social credit system (2025-03-31), article 8 (same content,
same period).
"""

from base64 import b64decode
from typing import Annotated, Any, Final, Literal

from pydantic import Field, Strict

from creditgate.signed_document import (
    PLAIN_INSTANT,
    USCC_PATTERN,
    DocumentPart,
    Instant,
    ShortText,
    schema_of,
)

CERTIFICATE_TYPE: Final = "creditgate-conformance+jwt"
"""The ``typ`` of a certificate (RFC 8725 section 3.11)."""

SCHEMA_PATH: Final = "/conformance/schemas/conformance-certificate-1.json"
"""Path of the published schema below the issuer."""

STATUS_TYPE: Final = "creditgate-conformance-status+jwt"
"""The ``typ`` of a signed status."""

STATUS_SCHEMA_PATH: Final = "/conformance/schemas/conformance-status-1.json"
"""Path of its published schema below the issuer."""

STATEMENT: Final = "/statement"
"""What follows a certificate's ``status`` to have it signed."""

STATUS_PATH: Final = "/conformance/certificates/"
"""Path below the issuer, before a certificate's ``jti``, of what has become of it."""

MOST_CHARACTERS: Final = 8_192
"""Longest certificate."""

_Count = Annotated[int, Strict(), Field(ge=0)]


class ConformanceCertificate(DocumentPart):
    """What is certified of one operator."""

    iss: ShortText = Field(description="Issuer of the gateway that certifies.")
    sub: ShortText = Field(description="Operator id.")
    jti: ShortText = Field(description="Id of the attestation certified.")
    iat: Instant = Field(description="When it was attested and signed.")
    read_at: Annotated[Instant | None, PLAIN_INSTANT] = Field(
        default=None,
        description="When the copies were read: of what was served or ended since it says nothing."
        " Left out of certificates from before this was told.",
    )
    exp: Instant = Field(description="First second at which it is not good any more.")
    operator_name: ShortText = Field(description="The operator's registered name.")
    operator_uscc: Annotated[str, Field(pattern=USCC_PATTERN)] = Field(
        description="The operator's unified social credit code (GB 32100-2015)."
    )
    copies: _Count = Field(description="Number of copies attested.")
    entitled: _Count = Field(
        description="Number of copies the operator should hold: served to it, still disclosed."
    )
    missing: _Count = Field(
        description="Of those, number it told it does not hold; they are not certified."
    )
    drawable: _Count = Field(
        description="Of the copies attested, number the operator could be asked to show. Those"
        " served under consents are compared by their digests alone."
    )
    disclosure_sequence: _Count = Field(
        description="Last disclosure event the copies were compared with."
    )
    checkpoint: Annotated[str, Field(min_length=1, max_length=4_096)] = Field(
        description="Checkpoint of the disclosure log that covers that event: a C2SP signed note."
    )
    status: ShortText = Field(description="URL that tells whether it still holds.")


CertificateState = Literal["valid", "unproven", "withdrawn", "superseded", "expired"]
"""What has become of a certificate; only one that is ``valid`` may be relied on."""


class ConformanceStatus(DocumentPart):
    """What had become of a certificate when it was looked up at ``iat``."""

    iss: ShortText
    iat: Instant
    schema_version: Literal["1"]
    jti: ShortText = Field(description="Id of the certificate.")
    document_digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of the certificate's characters, which it is the status of."
    )
    state: CertificateState


def certified_in(certificate: str) -> ConformanceCertificate:
    """Return what a certificate says, whoever signed it. Raises ValueError."""
    _, payload, _ = certificate.split(".")
    padded = payload + "=" * (-len(payload) % 4)
    return ConformanceCertificate.model_validate_json(
        b64decode(padded, altchars=b"-_", validate=True)
    )


def certificate_status_schema(issuer: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``issuer``'s statements of status."""
    return schema_of(ConformanceStatus, issuer.rstrip("/") + STATUS_SCHEMA_PATH)


def certificate_schema(issuer: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of certificates, as published below ``issuer``."""
    return schema_of(ConformanceCertificate, issuer.rstrip("/") + SCHEMA_PATH)
