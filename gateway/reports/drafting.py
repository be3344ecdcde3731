"""What a report says, made from an answer and its proof. Pure."""

from typing import NamedTuple

from creditgate.credit_report import (
    CreditReport,
    ReportItem,
    ReportPeriod,
    ReportRecord,
    ReportRequester,
    proof_text,
)
from creditgate.signed_document import PURPOSES
from creditgate.transparency.facts import NO_END
from creditgate.transparency.members import period_of
from creditgate.v1.credit_record_service_pb2 import GetSubjectRecordsResponse
from gateway.catalogue.model import CatalogueBook
from gateway.reports.model import NAME_PREFIX
from gateway.reports.narrowing import narrowed
from gateway.reports.rules import expiry


class Asked(NamedTuple):
    """What somebody asks a report to be about.

    ``issued_by`` is "operators/{id}" or "subjects/{uscc}", ``actor`` the client or person who
    asks; ``request_digest`` tells retries of ``request_id`` from other requests.
    """

    issued_by: str
    actor: str
    request_id: str
    request_digest: bytes
    subject: str
    items: tuple[str, ...]
    period: ReportPeriod
    purpose: int
    consent: str
    recipient: str
    requester: ReportRequester


class Numbers(NamedTuple):
    """What a report goes by: its id, and the code that opens its status."""

    report_id: str
    check_code: str


def drafted(
    asked: Asked,
    answer: GetSubjectRecordsResponse,
    catalogue: CatalogueBook,
    numbers: Numbers,
    issuer: str,
    kept_until: int | None,
    now: int,
) -> CreditReport:
    """Return the report of ``answer``, issued at ``now`` (seconds UTC) by ``issuer``.

    ``kept_until`` is until when the consent named lets what needs it be kept (seconds UTC), None
    where none is named.
    """
    served_at = answer.receipt.serve_time.seconds
    stated = narrowed(answer.records, answer.proof, asked.period)
    (proved,) = stated.proof.subjects
    protected = {each.item for each in proved.protected_sets}
    usable_until = min((period_of(record)[1] for record in stated.records), default=NO_END)
    records = [ReportRecord.of(record) for record in stated.records]
    return CreditReport(
        iss=issuer,
        iat=now,
        exp=expiry(now, usable_until, kept_until if protected else None),
        schema_version="1",
        report=NAME_PREFIX + numbers.report_id,
        check_code=numbers.check_code,
        status_url=status_url(issuer, numbers),
        requester=asked.requester,
        recipient=asked.recipient,
        **({"purpose": PURPOSES[asked.purpose]} if asked.purpose else {}),
        consent=asked.consent if protected else "",
        subject=asked.subject,
        items=tuple(
            ReportItem(
                item=code,
                name_zh=catalogue[code].name_zh,
                name_en=catalogue[code].name_en,
                openness="CONSENT" if code in protected else "PUBLIC",
                records=sum(record.item == code for record in records),
            )
            for code in asked.items
        ),
        period=asked.period,
        served_at=served_at,
        disclosure_sequence=answer.receipt.disclosure_sequence,
        decision_id=answer.receipt.decision_id,
        records=tuple(records),
        outside_period=stated.outside,
        withheld=len(proved.public_set.withheld),
        proof=proof_text(stated.proof),
    )


def status_url(issuer: str, numbers: Numbers) -> str:
    """Return the page of a report's status."""
    return issuer.rstrip("/") + status_path(numbers)


def status_path(numbers: Numbers) -> str:
    """Return the path of the page of a report's status, below the issuer."""
    return f"/reports/{numbers.report_id}/{numbers.check_code}"
