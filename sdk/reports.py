"""Special credit reports, verified offline: what the gateway signed, and that it is all.

A report is verified by two keys: the gateway's that signed it, published as a JWK Set
(`sdk.documents.document_keys`), and that of the disclosure log, which its proof is checked
by and which verifiers pin. Whether it still holds its status tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from creditgate.credit_report import (
    MOST_CHARACTERS,
    REPORT_TYPE,
    STATUS_TYPE,
    CreditReport,
    CreditReportStatus,
    proof_of,
    stated_in,
)
from creditgate.credit_report_proof import ProvedReport, verify_report
from creditgate.transparency.linked import Pinned, signing
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from sdk.documents import (
    STATUS_SECONDS,
    DocumentKind,
    DocumentRefused,
    Signed,
    issuer_of_log,
    require_fresh,
)

_REPORT: Final = DocumentKind(REPORT_TYPE, MOST_CHARACTERS, CreditReport)
_STATUS: Final = DocumentKind(STATUS_TYPE, 8_192, CreditReportStatus)


@dataclass(frozen=True, slots=True)
class VerifiedReport:
    """A report that the gateway signed and that is proved complete, but for what
    `complete_on_word` names."""

    signed: Signed[CreditReport]
    proved: ProvedReport

    @property
    def report(self) -> CreditReport:
        """What it states."""
        return self.signed.document

    @property
    def complete_on_word(self) -> tuple[str, ...]:
        """The items of which it is the gateway's word that nothing was left out
        (`ProvedSubject.on_word`)."""
        return self.proved.subject.on_word

    def holds_at(self, at: int) -> bool:
        """Tell whether ``at`` (seconds UTC) lies in its own validity. Corrections and repairs
        since are told by its status alone."""
        return self.report.iat <= at < self.report.exp


def issuer_named(document: str, log: VerifierKey) -> str:
    """Return the issuer a report names, where the pinned key is that of its own disclosure
    log: who pinned the log's key has pinned whose reports it proves.

    Raises DocumentRefused.
    """
    try:
        return issuer_of_log(stated_in(document).iss, log)
    except DocumentRefused:
        raise
    except ValueError:
        raise DocumentRefused("It is no report.") from None


def verified_report(
    document: str, keys: Mapping[str, Any], issuer: str, log: Pinned
) -> VerifiedReport:
    """Return what ``document`` states where the gateway ``issuer`` signed it and it is all
    that was disclosed, of `VerifiedReport.complete_on_word` as the gateway says.

    ``keys`` is the gateway's JWK Set (RFC 7517), ``log`` the pinned key of its disclosure log,
    or those linked to it. Raises DocumentRefused.
    """
    signed = _REPORT.verified(document, keys, issuer)
    try:
        head = proof_of(signed.document.proof).checkpoint
        return VerifiedReport(signed, verify_report(signed.document, signing(head, log)))
    except ProofInvalid as error:
        raise DocumentRefused(f"Its proof does not hold: {error}.") from None


def verified_status(
    statement: str,
    document: str,
    keys: Mapping[str, Any],
    issuer: str,
    now: int,
    freshness: int = STATUS_SECONDS,
) -> CreditReportStatus:
    """Return the status that the gateway ``issuer`` signed of the report ``document``, which was
    verified before.

    It is refused where it is older than ``freshness`` seconds at ``now`` (seconds, UTC), or from
    before the report: it tells how things stood at its ``iat``. Raises DocumentRefused.
    """
    status = _STATUS.verified(statement, keys, issuer).document
    if status.document_digest != sha256(document.encode()).hexdigest():
        raise DocumentRefused("It is the status of another report.")
    require_fresh(status.iat, stated_in(document).iat, now, freshness)
    return status
