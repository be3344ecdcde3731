"""The special credit report (专项信用报告, 信用代证) as a document, and its JSON Schema.

A report is this document as a JWT of type `REPORT_TYPE`, signed by the gateway. It states a
subject's records of some catalogue items, or that there are none, and carries the proof that
this is all of them: `creditgate.credit_report_proof`. Its status, `CreditReportStatus`, is
another JWT of the gateway's, of type `STATUS_TYPE`.
Source: the practice of credit reports in place of certificates of no violation
(以信用报告代替无违法违规证明).
"""

from base64 import b64decode, urlsafe_b64encode
from typing import Annotated, Any, Final, Literal, Self

from google.protobuf.message import DecodeError
from pydantic import AfterValidator, BaseModel, Field, Strict, WithJsonSchema

from creditgate.signed_document import (
    PLAIN_INSTANT,
    USCC_PATTERN,
    DocumentPart,
    Instant,
    PurposeName,
    ShortText,
    among,
    listed,
    names_of,
    schema_of,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof
from creditgate.v1.report_service_pb2 import CreditReportState
from creditgate.v1.vocabulary_pb2 import Openness, Severity

REPORT_TYPE: Final = "creditgate-report+jwt"
"""The ``typ`` of a report: nothing else the gateway signs can be taken for one, nor a report
for anything else (RFC 8725 section 3.11)."""

STATUS_TYPE: Final = "creditgate-report-status+jwt"
"""The ``typ`` of a statement of a report's status."""

MOST_CHARACTERS: Final = 2_000_000
"""Longest report: a quarter of a megabyte of records, written as JSON and base64, and room
for the proof."""

SCHEMA_PATH: Final = "/reports/schemas/credit-report-1.json"
"""Path of the published schema of reports below the issuer."""

STATUS_SCHEMA_PATH: Final = "/reports/schemas/credit-report-status-1.json"
"""Path of the published schema of statements of status below the issuer."""

VALID_SECONDS: Final = 30 * 86_400
"""Longest life of a report, as of the extracts it stands in place of."""

ISSUING_SECONDS: Final = 600
"""Most seconds from what is disclosed being read to the report of it being issued."""

MOST_ITEMS: Final = 64
CHECK_CODE_PATTERN: Final = "^[2-9A-HJ-NP-Z]{12}$"
"""Form of a check code: what is easily mistaken (0, 1, I, O) does not occur."""

_REPORT: Final = "^reports/[0-9a-f]{10}-[0-9a-f]{24}$"
_ITEM: Final = "^[a-z][a-z0-9.-]{0,63}$"
_SHA256: Final = "^[0-9a-f]{64}$"

SEVERITIES: Final = names_of(Severity, "SEVERITY_")
OPENNESS: Final = names_of(Openness, "OPENNESS_")
STATES: Final = names_of(CreditReportState, "CREDIT_REPORT_STATE_")

_SeverityName = Annotated[str, among(SEVERITIES), listed(SEVERITIES)]
_OpennessName = Annotated[str, among(OPENNESS), listed(OPENNESS)]
_StateName = Annotated[str, among(STATES), listed(STATES)]
_Count = Annotated[int, Strict(), Field(ge=0)]
_ReportName = Annotated[str, Field(pattern=_REPORT)]
_PlainInstant = Annotated[Instant | None, PLAIN_INSTANT]


def _proof_is_whole(text: str) -> str:
    proof_of(text)
    return text


class ReportPeriod(DocumentPart):
    """The period a report is limited to: [from, until), seconds since 1970 (UTC); without
    a bound where one is left out."""

    start: _PlainInstant = Field(default_factory=lambda: None, alias="from")
    until: _PlainInstant = Field(default_factory=lambda: None)

    def overlaps(self, disclosed_from: int, disclosed_until: int) -> bool:
        """Tell whether a disclosure [disclosed_from, disclosed_until) overlaps it."""
        return (self.until is None or disclosed_from < self.until) and (
            self.start is None or self.start < disclosed_until
        )


class ReportRequester(DocumentPart):
    """Who had the report issued: the subject itself, or an operator."""

    kind: Literal["SUBJECT", "OPERATOR"]
    operator_id: str = Field(default="", max_length=64)
    name: str = Field(default="", max_length=200)


class ReportItem(DocumentPart):
    """One item the report is about. ``records`` is how many it states: 0 is the statement
    that nothing is disclosed."""

    item: Annotated[str, Field(pattern=_ITEM)] = Field(description="Catalogue item code.")
    name_zh: ShortText
    name_en: ShortText
    openness: _OpennessName
    records: _Count


class ReportRecord(DocumentPart):
    """One record, as disclosed at ``served_at``."""

    record: ShortText = Field(description='Resource name "records/{record_id}".')
    revision: _Count
    item: Annotated[str, Field(pattern=_ITEM)]
    source: ShortText = Field(description="Source department.")
    region: ShortText = Field(description="Administrative division code (GB/T 2260).")
    severity: _SeverityName = Field(
        default="", description="Left out where the record is not adverse."
    )
    content: str = Field(description="The content: the very characters disclosed (RFC 8785 JSON).")
    content_digest: Annotated[str, Field(pattern=_SHA256)] = Field(
        description="SHA-256 of content in UTF-8."
    )
    disclosed_from: Instant
    disclosed_until: _PlainInstant = Field(default_factory=lambda: None)
    event_sequence: _Count
    served_fields: tuple[ShortText, ...] = Field(
        default_factory=tuple, description="Names content was cut to; left out where it is whole."
    )

    @classmethod
    def of(cls, record: DisclosedRecord) -> Self:
        """Return what a report states of ``record``."""
        return cls(
            record=record.name,
            revision=record.revision,
            item=record.item,
            source=record.source,
            region=record.region,
            **({"severity": SEVERITIES[record.severity]} if record.severity else {}),
            content=record.content.decode(),
            content_digest=record.content_digest.hex(),
            disclosed_from=record.disclosed_from.seconds,
            disclosed_until=(
                record.disclosed_until.seconds if record.HasField("disclosed_until") else None
            ),
            event_sequence=record.event_sequence,
            served_fields=tuple(record.served_fields),
        )

    def as_record(self, subject: str) -> DisclosedRecord:
        """Return it as the message it was made from. Raises ValueError for what is none."""
        record = DisclosedRecord(
            name=self.record,
            revision=self.revision,
            subject=subject,
            item=self.item,
            source=self.source,
            region=self.region,
            severity=Severity.Value(f"SEVERITY_{self.severity or 'UNSPECIFIED'}"),
            content=self.content.encode(),
            content_digest=bytes.fromhex(self.content_digest),
            event_sequence=self.event_sequence,
            served_fields=self.served_fields,
        )
        record.disclosed_from.seconds = self.disclosed_from
        if self.disclosed_until is not None:
            record.disclosed_until.seconds = self.disclosed_until
        return record


class CreditReport(DocumentPart):
    """A report as it was issued."""

    iss: ShortText = Field(description="Issuer of the gateway that issued it.")
    iat: Instant = Field(description="When it was issued.")
    exp: Instant = Field(description="First second it is no longer valid.")
    schema_version: Literal["1"]
    report: _ReportName = Field(description="Resource name of the report.")
    check_code: Annotated[str, Field(pattern=CHECK_CODE_PATTERN)] = Field(
        description="Opens the status to who holds the report."
    )
    status_url: ShortText = Field(description="Page that tells whether the report still holds.")
    requester: ReportRequester
    recipient: str = Field(default="", max_length=200, description="Whom it is for.")
    purpose: PurposeName = Field(
        default="", description="Purpose of the use; left out where the subject itself asked."
    )
    consent: str = Field(
        default="", pattern="^(consents/[A-Za-z0-9._~-]{1,100})?$", description="Consent relied on."
    )
    subject: Annotated[str, Field(pattern=USCC_PATTERN)] = Field(
        description="Unified social credit code of the subject (GB 32100-2015)."
    )
    items: tuple[ReportItem, ...] = Field(min_length=1, max_length=MOST_ITEMS)
    period: ReportPeriod = Field(
        default_factory=ReportPeriod,
        description="Only records whose disclosure overlaps it are stated; left out for all.",
    )
    served_at: Instant = Field(description="Instant at which all that is stated was disclosed.")
    disclosure_sequence: _Count = Field(description="Size of the disclosure it was read at.")
    decision_id: str = Field(default="", max_length=64)
    records: tuple[ReportRecord, ...] = Field(description="In order of publication.")
    outside_period: _Count = Field(
        default=0, description="Records disclosed then that the period leaves out."
    )
    withheld: _Count = Field(
        default=0,
        description="Records the requester's licence does not cover: the report states the rest.",
    )
    proof: Annotated[str, AfterValidator(_proof_is_whole), WithJsonSchema({"type": "string"})] = (
        Field(description="DisclosureProof (proto), base64url: checkpoint, map head, sets.")
    )

    def states(self, item: str) -> bool:
        """Tell whether it is about a catalogue item."""
        return any(each.item == item for each in self.items)


class CreditReportStatus(DocumentPart):
    """Whether a report holds, as it was looked up at ``iat``."""

    iss: ShortText
    iat: Instant
    schema_version: Literal["1"]
    report: _ReportName
    document_digest: Annotated[str, Field(pattern=_SHA256)] = Field(
        description="SHA-256 of the report's characters, which it is the status of."
    )
    state: _StateName
    since: _PlainInstant = Field(
        default_factory=lambda: None,
        description="Since when it does not hold; left out while it does.",
    )


def stated_in(document: str) -> CreditReport:
    """Return what a document states, whoever signed it. Raises ValueError."""
    return CreditReport.model_validate_json(_payload_in(document))


class _Proved(BaseModel):
    """A report, of which only its proof is looked at."""

    proof: str


def checkpoint_in(document: str) -> str:
    """Return the checkpoint that what a document states is proved against, whoever signed either.
    Raises ValueError."""
    return proof_of(_Proved.model_validate_json(_payload_in(document)).proof).checkpoint


def _payload_in(document: str) -> bytes:
    _, payload, _ = document.split(".")
    padded = payload + "=" * (-len(payload) % 4)
    return b64decode(padded, altchars=b"-_", validate=True)


def proof_text(proof: DisclosureProof) -> str:
    """Return a proof as reports carry it: base64url without padding."""
    return urlsafe_b64encode(proof.SerializeToString(deterministic=True)).rstrip(b"=").decode()


def proof_of(text: str) -> DisclosureProof:
    """Return the proof in a report. Raises ValueError for what is none."""
    try:
        padded = text + "=" * (-len(text) % 4)
        return DisclosureProof.FromString(b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, DecodeError) as error:
        raise ValueError("is no proof") from error


def report_schema(issuer: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of reports of ``issuer``."""
    return schema_of(CreditReport, issuer.rstrip("/") + SCHEMA_PATH)


def status_schema(issuer: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``issuer``'s statements of status."""
    return schema_of(CreditReportStatus, issuer.rstrip("/") + STATUS_SCHEMA_PATH)
