"""An answer narrowed to the period of a report. Pure.

What is outside the period is not stated. So that the report is provably complete all the
same, it is named in the proof without its content, as what is not disclosed yet is.
"""

from collections.abc import Sequence
from typing import NamedTuple

from creditgate.credit_report import ReportPeriod
from creditgate.transparency.content import members_of
from creditgate.transparency.facts import (
    content_commitment,
    field_digest,
    particulars_digest,
)
from creditgate.transparency.members import period_of
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof, ProtectedOpening, UnservedRecord


class Narrowed(NamedTuple):
    """The records within a period, the proof that there are no others, and how many the
    period leaves out."""

    records: list[DisclosedRecord]
    proof: DisclosureProof
    outside: int


def narrowed(
    records: Sequence[DisclosedRecord], proof: DisclosureProof, period: ReportPeriod
) -> Narrowed:
    """Return ``records``, all of one subject, and their ``proof`` narrowed to ``period``."""
    whole = DisclosureProof()
    whole.CopyFrom(proof)
    (subject,) = whole.subjects
    protected = {each.item for each in subject.protected_sets}
    within: list[DisclosedRecord] = []
    for record in records:
        if period.overlaps(*period_of(record)):
            within.append(record)
        elif record.item not in protected:
            subject.public_set.unserved.append(_named(record, None))
    for each in subject.protected_sets:
        stated: list[ProtectedOpening] = []
        of_item = [record for record in records if record.item == each.item]
        for record, opening in zip(of_item, each.openings, strict=True):
            if period.overlaps(*period_of(record)):
                stated.append(opening)
            else:
                each.unserved.append(_named(record, opening))
        del each.openings[:]
        each.openings.extend(stated)
    return Narrowed(within, whole, len(records) - len(within))


def _named(record: DisclosedRecord, opening: ProtectedOpening | None) -> UnservedRecord:
    member = UnservedRecord(
        record=record.name,
        item=record.item,
        particulars_digest=particulars_digest(
            record.revision,
            record.event_sequence,
            record.source,
            record.region,
            record.severity,
        ),
        disclosed_from=record.disclosed_from,
    )
    if record.HasField("disclosed_until"):
        member.disclosed_until.CopyFrom(record.disclosed_until)
    if opening is None:
        member.content_digest = record.content_digest
    else:
        member.opening.CopyFrom(_closed(record, opening))
    return member


def _closed(record: DisclosedRecord, opening: ProtectedOpening) -> ProtectedOpening:
    """Return an opening that shows nothing any more."""
    if not record.served_fields:
        commitment = content_commitment(opening.content_salt, record.content_digest)
        return ProtectedOpening(content_commitment=commitment, hidden_fields=opening.hidden_fields)
    shown = [
        field_digest(salt.salt, member.name, member.value.encode())
        for salt, member in zip(
            opening.field_salts, members_of(record.content.decode()), strict=True
        )
    ]
    return ProtectedOpening(
        content_commitment=opening.content_commitment,
        hidden_fields=sorted([*shown, *opening.hidden_fields]),
    )
