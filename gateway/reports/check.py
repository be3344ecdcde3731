"""The check of the reports kept: each document is the gateway's own, proved, and what its row
says of it."""

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final, NamedTuple

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from pydantic import ValidationError
from sqlalchemy import Row, select

from creditgate.credit_report import MOST_CHARACTERS, REPORT_TYPE, CreditReport, proof_of
from creditgate.credit_report_proof import verify_report
from creditgate.signed_document import PURPOSES
from creditgate.transparency.facts import NO_END
from creditgate.transparency.linked import LinkedKeys, UnknownKey
from gateway.meter.model import pack_entries
from gateway.oauth.jose import MALFORMED, ProfileRegistry, verified_claims
from gateway.oauth.keys import PublicJwk, SigningKeyBook
from gateway.reports.model import NAME_PREFIX, OPERATORS, SUBJECTS
from gateway.reports.tables import REPORTS
from gateway.storage.engines import Engines, snapshot
from gateway.transparency.faults import EnoughFaults, Fault, Faults
from gateway.transparency.links import linked_keys
from gateway.transparency.tables import LogId

_ROWS_AT_ONCE: Final = 100
_Row = Row[*tuple[Any, ...]]


class CheckedReports(NamedTuple):
    """How many reports were looked at, how many of them by their documents, and what was
    wrong. Documents of reports that hold no longer are not kept: of those little can be told."""

    reports: int
    documents: int
    faults: list[Fault]


class _Registry(ProfileRegistry):
    """Room for the longest report."""

    max_payload_length = MOST_CHARACTERS


def check_reports(engines: Engines, book: SigningKeyBook, now: int) -> CheckedReports:
    """Check all reports at ``now`` (seconds, UTC); ``book`` has all keys that ever signed.

    Raises what the stores raise when they cannot be read.
    """
    faults = Faults()
    with snapshot(engines.evidence) as evidence:
        log = linked_keys(evidence, LogId.DISCLOSURE)
        check = _Check({each.kid: each.jwk for each in book.ever()}, log, faults, now)
        found = evidence.execute(
            select(REPORTS).order_by(REPORTS.c.report_id).execution_options(yield_per=_ROWS_AT_ONCE)
        )
        with suppress(EnoughFaults):
            for row in found:
                check.check(row)
    return CheckedReports(check.reports, check.documents, faults.found)


class _Check:
    def __init__(
        self, keys: dict[str, PublicJwk], log: LinkedKeys | None, faults: Faults, now: int
    ) -> None:
        self._keys = keys
        self._log = log
        self._faults = faults
        self._now = now
        self._registry = _Registry()
        self.reports = self.documents = 0

    def check(self, row: _Row) -> None:
        """Check one report. Raises EnoughFaults."""
        self.reports += 1
        place = f"credit_reports, {row.report_id}"
        if not row.document:
            self._faults.require(
                bool(row.revoked_at) or row.expires_at <= self._now,
                place,
                "its document is gone, though it was not taken back and is valid",
            )
            return
        self.documents += 1
        self._faults.require(not row.revoked_at, place, "it was taken back and is still kept")
        try:
            report = self._signed(row.document)
        except (*MALFORMED, ValidationError):
            self._faults.note(place, "its document is not one that the gateway signed")
            return
        self._faults.require(
            bytes(row.document_digest) == sha256(row.document.encode()).digest()
            and _columns(row) == _stated(report),
            place,
            "its columns and its document do not say the same",
        )
        self._faults.require(not self._is_disproved(report), place, "its proof does not hold")

    def _signed(self, document: str) -> CreditReport:
        """Return what the document says. Raises one of `MALFORMED`, ValidationError."""
        header = jws.extract_compact(document.encode("ascii"), registry=self._registry).headers()
        jwk = self._keys[header["kid"]]
        if header["typ"] != REPORT_TYPE:
            raise ValueError("it is something else")
        key = (ECKey if jwk["kty"] == "EC" else OKPKey).import_key(dict(jwk))
        return CreditReport.model_validate(
            verified_claims(document, key, jwk["alg"], self._registry)
        )

    def _is_disproved(self, report: CreditReport) -> bool:
        """Tell whether a report's proof does not hold by the key it is of. By that of a log which
        nothing links to the present one it is neither: it holds for nobody, and is superseded."""
        if self._log is None:
            return False
        try:
            verify_report(report, self._log.named_in(proof_of(report.proof).checkpoint))
        except UnknownKey:
            return False
        except ValueError:
            return True
        return False


def _columns(row: _Row) -> tuple[object, ...]:
    return (
        row.report_id,
        row.issued_by,
        row.subject,
        row.items,
        row.period_from,
        row.period_until,
        PURPOSES.get(row.purpose, "") if row.purpose else "",
        row.consent,
        row.check_code,
        row.disclosure_sequence,
        bytes(row.stated),
        row.served_at,
        row.issued_at,
        row.expires_at,
    )


def _stated(report: CreditReport) -> tuple[object, ...]:
    requester = report.requester
    return (
        report.report.removeprefix(NAME_PREFIX),
        SUBJECTS + report.subject
        if requester.kind == "SUBJECT"
        else OPERATORS + requester.operator_id,
        report.subject,
        " ".join(each.item for each in report.items),
        report.period.start or 0,
        NO_END if report.period.until is None else report.period.until,
        report.purpose,
        report.consent,
        report.check_code,
        report.disclosure_sequence,
        pack_entries([each.event_sequence for each in report.records]),
        report.served_at,
        report.iat,
        report.exp,
    )
