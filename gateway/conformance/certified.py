"""What has become of certificates: in force, withdrawn, unproven, replaced, over."""

from collections.abc import Callable
from typing import Protocol

from creditgate.conformance_certificate import CertificateState, certified_in
from creditgate.transparency.linked import LinkedKeys, is_linked
from gateway.conformance.model import Attestation


class Attestations(Protocol):
    """What is needed of `gateway.conformance.attested.Attested`."""

    def get(self, attestation_id: str) -> Attestation | None:
        """Return an attestation; None where there is none of that id."""
        ...

    def last(self, operator_id: str) -> Attestation | None:
        """Return an operator's last attestation; None before the first."""
        ...

    def was_false(self, attestation_id: str) -> bool:
        """Tell whether a copy drawn for an attestation was not shown, or differed."""
        ...

    def is_proven(self, attestation_id: str, now: int) -> bool:
        """Tell whether the copies drawn for an attestation bear its certificate at ``now``."""
        ...


class Standing(Protocol):
    """What is needed of `gateway.conformance.findings.Findings`."""

    def any_stand(self, operator_id: str) -> bool:
        """Tell whether anything stands against an operator."""
        ...


class Certified:
    """Tells what certificates are worth now. Calls block.

    ``log_keys`` sign and signed for the disclosure log; ``may_work`` tells whether an operator is active; it raises Refused where that is not known.
    """

    def __init__(
        self,
        attestations: Attestations,
        findings: Standing,
        log_keys: LinkedKeys,
        may_work: Callable[[str], bool],
    ) -> None:
        self._attestations = attestations
        self._findings = findings
        self._log_keys = log_keys
        self._may_work = may_work

    def status(self, attestation_id: str, now: int) -> CertificateState | None:
        """Return what has become at ``now`` (seconds, UTC) of the certificate of an
        attestation; None where there is no such certificate.

        Withdrawn: the operator is suspended or revoked, something stands against it since, or a
        copy drawn for this attestation was not shown. Superseded: it has attested anew, or nobody
        who knows the log's present key can verify the checkpoint. Unproven: copies drawn for it are
        still to be shown for too long, or too many were served to the operator again before it
        showed them.
        """
        attestation = self._attestations.get(attestation_id)
        if attestation is None or not attestation.certificate:
            return None
        if now >= attestation.certificate_until:
            return "expired"
        operator_id = attestation.operator_id
        if (
            not self._may_work(operator_id)
            or self._findings.any_stand(operator_id)
            or self._attestations.was_false(attestation_id)
        ):
            return "withdrawn"
        last = self._attestations.last(operator_id)
        replaced = last is not None and last.attestation_id != attestation_id
        if replaced or not self._is_believed(attestation.certificate):
            return "superseded"
        return "valid" if self._attestations.is_proven(attestation_id, now) else "unproven"

    def in_force(self, operator_id: str, now: int) -> str:
        """Return the certificate an operator may show at ``now``; "" without one."""
        last = self._attestations.last(operator_id)
        if last is None or self.status(last.attestation_id, now) != "valid":
            return ""
        return last.certificate

    def _is_believed(self, certificate: str) -> bool:
        """Tell whether a certificate is bound to a checkpoint by a key that is still believed."""
        try:
            checkpoint = certified_in(certificate).checkpoint
        except ValueError:
            return False
        return is_linked(checkpoint, self._log_keys)
