"""Issuing reports: drafted, checked, signed, kept. Calls block."""

import logging
from collections.abc import Mapping
from hashlib import sha256
from secrets import choice, token_hex
from typing import Final

from consent.model import NAME_PREFIX as CONSENT_PREFIX
from consent.sql import SqlConsents
from creditgate.credit_report import MOST_CHARACTERS, REPORT_TYPE, CreditReport
from creditgate.credit_report_proof import verify_report
from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse, Receipt
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authorise.stopping import require_running
from gateway.authority.feed import AuthorityFeed
from gateway.clock import Clock
from gateway.oauth.signing import SigningKeys
from gateway.reports.drafting import Asked, Numbers, drafted
from gateway.reports.model import OPERATORS, IssuedReport
from gateway.reports.store import SqlReports

_log = logging.getLogger(__name__)
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE_CHARACTERS: Final = 12


class ReportIssuer:
    """Issues reports of one gateway; ``issuer`` is its own URL, ``log`` the key its proofs
    are checked by."""

    def __init__(
        self,
        reports: SqlReports,
        consents: SqlConsents,
        feed: AuthorityFeed,
        keys: SigningKeys,
        log: VerifierKey,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._reports = reports
        self._consents = consents
        self._feed = feed
        self._keys = keys
        self._log_key = log
        self._issuer = issuer
        self._clock = clock

    def issue(
        self,
        asked: Asked,
        answer: GetSubjectRecordsResponse,
        regions: Mapping[str, frozenset[str]],
    ) -> IssuedReport:
        """Issue the report of ``answer``, which carries a COMPLETE proof, and return it;
        ``regions`` as in `IssuedReport`.

        A retry that another has overtaken returns what that one made. Raises Refused
        ANSWER_TOO_LARGE, TEMPORARILY_UNAVAILABLE where it cannot be proved or signed,
        REQUEST_ID_REUSED, AUTHORITY_UNKNOWN, EMERGENCY_BRAKE.
        """
        now = self._clock.now()
        view = self._feed.current()
        operator_id = asked.issued_by.removeprefix(OPERATORS)
        require_running(view.authority.brakes, operator_id, asked.items)
        numbers = Numbers(
            f"{now:010x}-{token_hex(12)}",
            "".join(choice(_ALPHABET) for _ in range(_CODE_CHARACTERS)),
        )
        report = drafted(
            asked,
            answer,
            view.catalogue,
            numbers,
            self._issuer,
            self._kept_until(asked, answer.receipt),
            now,
        )
        self._require_proof(report)
        document = self._keys.sign(view.signing_keys, report.as_json(), REPORT_TYPE, now)
        if len(document) > MOST_CHARACTERS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE,
                "The report would be too long; ask for fewer items.",
            )
        return self._reports.add(
            IssuedReport(
                report_id=numbers.report_id,
                issued_by=asked.issued_by,
                request_id=asked.request_id,
                request_digest=asked.request_digest,
                actor=asked.actor,
                subject=asked.subject,
                items=asked.items,
                period=asked.period,
                purpose=asked.purpose,
                consent=report.consent,
                check_code=numbers.check_code,
                disclosure_sequence=report.disclosure_sequence,
                stated=tuple(record.event_sequence for record in report.records),
                served_at=report.served_at,
                issued_at=now,
                expires_at=report.exp,
                document_digest=sha256(document.encode()).digest(),
                document=document,
                regions=regions,
            )
        )

    def _kept_until(self, asked: Asked, receipt: Receipt) -> int | None:
        """Return until when the consent named lets what needs it be kept, None without one.

        A report made of an answer given again is no newer copy than that was.
        """
        if not asked.consent:
            return None
        consent_id = asked.consent.removeprefix(CONSENT_PREFIX)
        consent = self._consents.get(consent_id)
        if consent is None:
            return None
        first = receipt.first_serve_time if receipt.replayed else receipt.serve_time
        kept_until = first.seconds + consent.terms.data_life_seconds
        removal = self._consents.duty(consent_id, kept_until)
        return kept_until if removal is None else min(kept_until, removal.deadline)

    def _require_proof(self, report: CreditReport) -> None:
        try:
            verify_report(report, self._log_key)
        except ProofInvalid as invalid:
            _log.error("a report was not issued: its proof does not hold: %s", invalid)
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The report cannot be proved now, so it is not issued; try again with the same"
                " request_id.",
                retry_after=1,
            ) from None
