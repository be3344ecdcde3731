"""``creditgate record``, ``query`` and ``batch``: records asked for, and changed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.federated_record_service_pb2 import QueryRegionsRequest
from creditgate.v1.vocabulary_pb2 import Interval, Severity
from gateway.cli import calls, terms
from gateway.cli.content import read_content, shown_content
from gateway.cli.failures import CommandFailed, ReportedCommand
from gateway.cli.options import (
    INT32,
    PROFILE,
    AsJson,
    From,
    Items,
    Profile,
    PurposeAsked,
    RecordRegions,
    Until,
    Why,
)
from gateway.cli.output import Sheet, period, several, show, utc, yuan
from gateway.cli.pages import resource
from gateway.cli.proving import Pinned, Proof, ProofAsked, Save, asked, kept
from gateway.cli.receipts import keep_receipt, keeping_refused, sending
from gateway.cli.usage_book import Kept, ready_book
from sdk.request_ids import new_request_id

app = typer.Typer(help="Single records: read, correct, repair, withdraw.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="RECORD", help="Id of the record.")]
_Revision = Annotated[
    int, typer.Option("--revision", min=1, max=INT32, help="The revision you believe current.")
]
_RequestId = Annotated[
    str | None,
    typer.Option("--request-id", help="Idempotency key; the same again is charged nothing more."),
]
_Consent = Annotated[
    str, typer.Option("--consent", metavar="consents/ID", help="The consent relied on.")
]


def query(
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Credit code (USCC).")],
    purpose: PurposeAsked,
    items: Items = None,
    consent: _Consent = "",
    request_id: _RequestId = None,
    proof: Proof = ProofAsked.NONE,
    save: Save = None,
    key: Pinned = "",
    book: Kept = None,
    regions: Annotated[
        bool,
        typer.Option(
            "--regions", help="Ask the other regions that may hold the subject, by this gateway."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="REGION", help="With --regions: this one; repeat for more."),
    ] = None,
    places: RecordRegions = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Ask for one subject's records, as an operator's client."""
    if regions or only:
        # Here, since it shows records as this module does.
        from gateway.cli.regions_query import query_regions

        if proof is not ProofAsked.NONE or save is not None or key:
            raise CommandFailed(
                "Other regions always prove their answers, and the gateway verifies them: leave"
                " out --proof, --save and --key."
            )
        if places:
            raise CommandFailed(
                "--region narrows what this gateway answers itself; leave it out, or --regions."
            )
        ready_book(book, profile)
        asked_of = QueryRegionsRequest(
            subjects=[subject],
            items=items,
            purpose=purpose,
            request_id=request_id or new_request_id(),
            consent=consent,
            regions=only,
        )
        sending(book, asked_of.request_id, new=request_id is None)
        query_regions(profile, asked_of, book, as_json=as_json)
        return
    ready_book(book, profile)
    request = pb.GetSubjectRecordsRequest(
        subject=subject,
        items=items,
        purpose=purpose,
        request_id=request_id or new_request_id(),
        consent=consent,
        proof=asked(proof, key),
        regions=places,
    )
    sending(book, request.request_id, new=request_id is None)
    with keeping_refused(book, request.request_id):
        answer = calls.ask(profile, request, pb.GetSubjectRecordsResponse)
    kept(request, answer, file=save, key=key)
    keep_receipt(book, profile, request.request_id, answer)
    show(answer, records_sheet(answer.records), receipt_sheet(answer.receipt), as_json=as_json)


@app.command("show", cls=ReportedCommand)
def show_(
    record_id: _Name,
    purpose: PurposeAsked,
    consent: _Consent = "",
    request_id: _RequestId = None,
    proof: Proof = ProofAsked.NONE,
    save: Save = None,
    key: Pinned = "",
    book: Kept = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Ask for one record by its id, as an operator's client."""
    ready_book(book, profile)
    request = pb.GetRecordRequest(
        name=resource("records", record_id),
        purpose=purpose,
        request_id=request_id or new_request_id(),
        consent=consent,
        proof=asked(proof, key),
    )
    sending(book, request.request_id, new=request_id is None)
    with keeping_refused(book, request.request_id):
        answer = calls.ask(profile, request, pb.GetRecordResponse)
    kept(request, answer, file=save, key=key)
    keep_receipt(book, profile, request.request_id, answer)
    show(answer, records_sheet(answer.records), receipt_sheet(answer.receipt), as_json=as_json)


@app.command("correct", cls=ReportedCommand)
def correct(
    record_id: _Name,
    revision: _Revision,
    content: Annotated[
        Path,
        typer.Option("--content", exists=True, dir_okay=False, help="The whole new content, JSON."),
    ],
    reason: Why,
    from_: From = None,
    until: Until = None,
    severity: Annotated[
        Severity.ValueType | None,
        typer.Option(
            "--severity",
            parser=terms.severity,
            autocompletion=terms.severities,
            metavar="SEVERITY",
            help="New severity grade.",
        ),
    ] = None,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Replace a record's content or period, as a publisher; what is left out stays."""
    request = disclosure_pb.CorrectRecordRequest(
        name=resource("records", record_id),
        expected_revision=revision,
        content=read_content(content),
        disclosed_from=None if from_ is None else Timestamp(seconds=from_),
        disclosed_until=None if until is None else Timestamp(seconds=until),
        reason=reason,
        severity=severity or Severity.SEVERITY_UNSPECIFIED,
    )
    answer = calls.ask(profile, request, disclosure_pb.CorrectRecordResponse)
    show(answer, records_sheet([answer.record]), as_json=as_json)


@app.command("repair", cls=ReportedCommand)
def repair(
    record_id: _Name,
    revision: _Revision,
    reference: Annotated[
        str, typer.Option("--reference", help="Reference of the repair decision (决定书文号).")
    ],
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """End a record's disclosure because credit was repaired (信用修复), as a publisher."""
    request = disclosure_pb.RepairRecordRequest(
        name=resource("records", record_id),
        expected_revision=revision,
        decision_reference=reference,
    )
    answer = calls.ask(profile, request, disclosure_pb.RepairRecordResponse)
    show(answer, _ended("Repaired", answer.repair_time, answer.event_sequence), as_json=as_json)


@app.command("withdraw", cls=ReportedCommand)
def withdraw(
    record_id: _Name,
    revision: _Revision,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """End a record's disclosure because its source withdrew it (撤销), as a publisher."""
    request = disclosure_pb.WithdrawRecordRequest(
        name=resource("records", record_id), expected_revision=revision, reason=reason
    )
    answer = calls.ask(profile, request, disclosure_pb.WithdrawRecordResponse)
    show(answer, _ended("Withdrawn", answer.withdraw_time, answer.event_sequence), as_json=as_json)


def records_sheet(records: Iterable[DisclosedRecord]) -> Sheet:
    """Return records, each as a block with its whole content."""
    return Sheet(
        "Records",
        (
            "record",
            "revision",
            "subject",
            "item",
            "severity",
            "source",
            "disclosed",
            "cut to",
            "content",
        ),
        [
            (
                record.name,
                str(record.revision),
                record.subject,
                record.item,
                terms.show_severity(record.severity),
                record.source,
                period(Interval(start_time=record.disclosed_from, end_time=record.disclosed_until)),
                several(record.served_fields),
                shown_content(record.content),
            )
            for record in records
        ],
        blocks=True,
    )


def receipt_sheet(receipt: pb.Receipt) -> Sheet:
    """Return a receipt as a table."""
    return Sheet(
        "Receipt",
        ("served", "usable until", "charged records", "yuan", "retry", "decision"),
        [
            (
                utc(receipt.serve_time),
                utc(receipt.usable_until) or "no end",
                str(receipt.charged_entries),
                yuan(receipt.charged_micro_yuan),
                "yes" if receipt.replayed else "no",
                receipt.decision_id,
            )
        ],
        frozenset({"charged records", "yuan"}),
    )


def _ended(title: str, time: Timestamp, sequence: int) -> Sheet:
    return Sheet(title, ("when", "event"), [(utc(time), str(sequence))], frozenset({"event"}))
