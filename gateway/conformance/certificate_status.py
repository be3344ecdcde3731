"""What has become of a certificate, signed: to be kept beside it, and verified offline."""

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from creditgate.conformance_certificate import STATUS_TYPE, ConformanceStatus
from gateway.authority.view import AuthorityView
from gateway.conformance.certified import Certified
from gateway.conformance.model import Attestation
from gateway.oauth.signing import SigningKeys


class Attestations(Protocol):
    """What is needed of `gateway.conformance.attested.Attested`."""

    def get(self, attestation_id: str) -> Attestation | None:
        """Return an attestation; None where there is none of that id."""
        ...


class CertificateStatements:
    """Signs statements of status; ``issuer`` is the gateway's own URL. Calls block."""

    def __init__(
        self,
        certified: Certified,
        attestations: Attestations,
        keys: SigningKeys,
        view: Callable[[], AuthorityView],
        issuer: str,
    ) -> None:
        self._certified = certified
        self._attestations = attestations
        self._keys = keys
        self._view = view
        self._issuer = issuer

    def statement(self, attestation_id: str, now: int) -> str | None:
        """Return what has become at ``now`` (seconds, UTC) of the certificate of an attestation,
        as a compact JWS; None where there is no such certificate.

        Raises Refused TEMPORARILY_UNAVAILABLE where no key is at hand, AUTHORITY_UNKNOWN.
        """
        attestation = self._attestations.get(attestation_id)
        state = self._certified.status(attestation_id, now)
        if attestation is None or state is None:
            return None
        status = ConformanceStatus(
            iss=self._issuer,
            iat=now,
            schema_version="1",
            jti=attestation_id,
            document_digest=sha256(attestation.certificate.encode()).hexdigest(),
            state=state,
        )
        return self._keys.sign(self._view().signing_keys, status.as_json(), STATUS_TYPE, now)
