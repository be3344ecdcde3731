"""That a report states all there is: its proof, checked. Pure.

Of items that need consent, that there is nothing besides stays the gateway's word.

The gateway checks each report so before it signs it, and whoever is shown one does so
offline, with the pinned key of the disclosure log.
"""

import re
from typing import Final, NamedTuple

from creditgate.credit_report import (
    ISSUING_SECONDS,
    VALID_SECONDS,
    CreditReport,
    proof_of,
)
from creditgate.transparency.completeness import Head, ProvedSubject, verified_head, verify_subject
from creditgate.transparency.members import period_of
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Openness

_PUBLIC = Openness.Name(Openness.OPENNESS_PUBLIC).removeprefix("OPENNESS_")


_LOG: Final = "/log/disclosure"
_LATER: Final = re.compile(r"/([2-9]|[1-9][0-9]{1,8})", re.ASCII)


class ProvedReport(NamedTuple):
    """What a report is proved by: the map's head, and what it holds of the subject."""

    head: Head
    subject: ProvedSubject


def is_log_of(origin: str, issuer: str) -> bool:
    """Tell whether a log's origin is that of the gateway ``issuer``: the URL it is served at,
    without the scheme (C2SP tlog-tiles), and behind that the number of its key, from the second on.
    A log keeps its origin when its gateway moves."""
    first = issuer.partition("://")[2].rstrip("/") + _LOG
    return origin == first or (
        origin.startswith(first) and _LATER.fullmatch(origin[len(first) :]) is not None
    )


def verify_report(report: CreditReport, key: VerifierKey) -> ProvedReport:
    """Check that ``report`` states all records of its subject that are disclosed at
    ``served_at``, of its items and within its period, but for those withheld.

    Of items that need consent it is the gateway's word (`ProvedSubject.on_word`): the records
    stated are proved, and that its proof shows no others. ``key`` is the pinned key of the
    disclosure log. Raises ProofInvalid.
    """
    _require_time(report)
    proof = proof_of(report.proof)
    head = verified_head(proof.checkpoint, proof.map_head, key)
    if not head.holds_at(report.served_at):
        raise ProofInvalid("the map does not hold at the instant of serving")
    if head.event_sequence < report.disclosure_sequence:
        raise ProofInvalid("the map is older than the disclosure that was read")
    if len(proof.subjects) != 1 or proof.subjects[0].subject != report.subject or proof.records:
        raise ProofInvalid("the proof is not of the report's subject")
    records = _records(report)
    # Without an instant: which members are left out is judged by the report's own period.
    proved = verify_subject(proof.subjects[0], records, head, None)
    _require_items(report, proved)
    _require_period(report, records, proved)
    if sum(proved.withheld.values()) != report.withheld:
        raise ProofInvalid("the report tells of another number of records withheld")
    return ProvedReport(head, proved)


def _require_time(report: CreditReport) -> None:
    # Whoever has the key that signs reports, and that alone, has proofs of the past.
    if not report.served_at <= report.iat <= report.served_at + ISSUING_SECONDS:
        raise ProofInvalid("the report was not issued when it was read")
    if report.exp > report.iat + VALID_SECONDS:
        raise ProofInvalid("the report is valid for longer than reports are")


def _records(report: CreditReport) -> list[DisclosedRecord]:
    try:
        return [each.as_record(report.subject) for each in report.records]
    except ValueError:
        raise ProofInvalid("a record of the report is none") from None


def _require_items(report: CreditReport, proved: ProvedSubject) -> None:
    codes = [each.item for each in report.items]
    if proved.all_public or sorted(codes) != list(proved.items):
        raise ProofInvalid("the items proved are not those of the report")
    protected = frozenset(each.item for each in report.items if each.openness != _PUBLIC)
    if protected != proved.protected:
        raise ProofInvalid("an item is not as open as the report says")
    for each in report.items:
        if each.records != sum(record.item == each.item for record in report.records):
            raise ProofInvalid("the report tells of another number of records than it states")


def _require_period(
    report: CreditReport, records: list[DisclosedRecord], proved: ProvedSubject
) -> None:
    at = report.served_at
    for record in records:
        disclosed_from, until = period_of(record)
        if not disclosed_from <= at < until:
            raise ProofInvalid("a record is stated outside its period")
        if not report.period.overlaps(disclosed_from, until):
            raise ProofInvalid("a record is outside the report's period")
        if report.exp > until:
            raise ProofInvalid("the report is valid for longer than a record is disclosed")
    outside = 0
    for member in proved.unserved:
        disclosed_from, until = period_of(member)
        if disclosed_from <= at < until:
            if report.period.overlaps(disclosed_from, until):
                raise ProofInvalid("a record that is disclosed was left out")
            outside += 1
    if outside != report.outside_period:
        raise ProofInvalid("the report tells of another number of records outside its period")
