"""Findings about firms alone: what is owed here by another region is for its gateway to see to.

A region holds no copies of its own: it passes on what its firms ask for. Were it suspended for a
removal that it is late with, all its firms would be cut off for nothing they did.
"""

from collections.abc import Callable

from gateway.conformance.findings import Findings


class FirmFindings:
    """`gateway.conformance.findings.Findings`, of which those about regions are not opened.

    ``is_region`` tells whether an operator is another region; raises Refused where it is not
    known.
    """

    def __init__(self, findings: Findings, is_region: Callable[[str], bool]) -> None:
        self._findings = findings
        self._is_region = is_region

    def open_removal_overdue(
        self,
        operator_id: str,
        record_id: str,
        event_sequence: int,
        severity: int,
        now: int,
        region: str = "",
    ) -> None:
        """See `gateway.conformance.overdue.RemovalFindings`."""
        if not self._is_region(operator_id):
            self._findings.open_removal_overdue(
                operator_id, record_id, event_sequence, severity, now, region
            )

    def removal_acknowledged(
        self, operator_id: str, event_sequence: int, now: int, region: str = ""
    ) -> None:
        """See `gateway.conformance.overdue.RemovalFindings`."""
        self._findings.removal_acknowledged(operator_id, event_sequence, now, region)

    def open_consent_overdue(self, operator_id: str, consent: str, now: int) -> None:
        """See `gateway.conformance.overdue_consents.ConsentFindings`."""
        if not self._is_region(operator_id):
            self._findings.open_consent_overdue(operator_id, consent, now)

    def consent_acknowledged(self, operator_id: str, consent: str, now: int) -> None:
        """See `gateway.conformance.overdue_consents.ConsentFindings`."""
        self._findings.consent_acknowledged(operator_id, consent, now)
