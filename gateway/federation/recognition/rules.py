"""What of a verified document is recognised, for how long, and where. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from creditgate.recognition import OUTCOMES, RecognitionPart
from creditgate.refusal import Refused
from creditgate.transparency.members import period_of
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.recognition_service_pb2 import RecognitionOutcome
from creditgate.v1.refusal_pb2 import RefusalReason
from operators.recognition import (
    CrossBorderTransfer,
    MappedGrades,
    RecognitionRule,
    Recognitions,
)

_RECOGNISED: Final = RecognitionOutcome.RECOGNITION_OUTCOME_RECOGNISED
_ITEM_NOT_MAPPED: Final = RecognitionOutcome.RECOGNITION_OUTCOME_ITEM_NOT_MAPPED
_GRADE_NOT_MAPPED: Final = RecognitionOutcome.RECOGNITION_OUTCOME_GRADE_NOT_MAPPED
_NOT_LICENSED: Final = RecognitionOutcome.RECOGNITION_OUTCOME_NOT_LICENSED
_MOST_GRADE: Final = 100


class Document(NamedTuple):
    """A document of another region as it verified.

    ``digest`` is the SHA-256 of its bytes in hexadecimal; ``items`` are all that it is about,
    by the region's codes, with or without records, and ``protected`` those of them that whoever
    holds it was given for itself; it was issued at ``issued_at`` and is good before
    ``valid_until`` (seconds, UTC).
    """

    digest: str
    subject: str
    items: tuple[str, ...]
    records: tuple[DisclosedRecord, ...]
    issued_at: int
    valid_until: int
    protected: frozenset[str] = frozenset()


def parts_of(
    document: Document, rule: RecognitionRule, licensed: Callable[[str], bool]
) -> list[RecognitionPart]:
    """Return what becomes of every item of ``document``, in its order.

    ``licensed`` tells of an item of this gateway whether the asker may use it.
    """
    parts: list[RecognitionPart] = []
    for item in document.items:
        records = [record for record in document.records if record.item == item]
        mapped = rule.items.get(item)
        if mapped is None:
            parts.append(_part(item, _ITEM_NOT_MAPPED, records=len(records)))
        elif not licensed(mapped.item):
            parts.append(_part(item, _NOT_LICENSED, records=len(records)))
        elif mapped.grade_field and records:
            parts += [_graded(record, mapped) for record in records]
        else:
            parts.append(_part(item, _RECOGNISED, item_here=mapped.item, records=len(records)))
    return parts


def expiry(document: Document, rule: RecognitionRule) -> int:
    """Return the first instant the document is not recognised any more (seconds, UTC): its own
    validity, the table's, and the disclosure of each record it states end it."""
    ends = [period_of(record)[1] for record in document.records]
    return min([document.valid_until, document.issued_at + rule.longest_seconds, *ends])


def require_recognised(parts: Sequence[RecognitionPart]) -> None:
    """Raise Refused where nothing of a document is recognised: ITEM_NOT_ALLOWED where only the
    licence stands against it, else ITEM_NOT_MAPPED."""
    outcomes = {part.outcome for part in parts}
    if OUTCOMES[_RECOGNISED] in outcomes:
        return
    if outcomes == {OUTCOMES[_NOT_LICENSED]}:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
            "Your licence covers nothing that the document stands for here.",
        )
    raise Refused(
        RefusalReason.REFUSAL_REASON_ITEM_NOT_MAPPED,
        "The mapping table of the region recognises nothing of the document.",
    )


def transfer_of(
    recognitions: Recognitions,
    transfer_id: str,
    operator_id: str,
    document: Document,
    parts: Sequence[RecognitionPart],
    purpose: int,
    now: int,
) -> CrossBorderTransfer:
    """Return the approved transfer that a document is recognised under for another country.

    All of the document is recognised and on the country's list, since it is handed over whole.
    Raises Refused RESOURCE_NOT_FOUND for a transfer that is not this one, STATE_CONFLICT where
    it is over or nothing is recognised for the country any more, PURPOSE_NOT_ALLOWED,
    ITEM_NOT_ALLOWED.
    """
    transfer = recognitions.transfers.get(transfer_id)
    if transfer is None or (transfer.operator_id, transfer.document_digest) != (
        operator_id,
        document.digest,
    ):
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "No transfer of this id was approved for this document of yours.",
        )
    profile = recognitions.profiles.get(transfer.destination)
    if now >= transfer.expires_at or profile is None or profile.retired:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "The approval is over, or nothing is recognised for that country any more; ask the"
            " administrator.",
        )
    if purpose != transfer.purpose or purpose not in profile.purposes:
        raise Refused(
            RefusalReason.REFUSAL_REASON_PURPOSE_NOT_ALLOWED,
            "The transfer was approved for another purpose, or the country's list has it not.",
        )
    outside = [
        part.region_item
        for part in parts
        if part.outcome != OUTCOMES[_RECOGNISED] or part.item not in profile.items
    ]
    if outside:
        raise Refused(
            RefusalReason.REFUSAL_REASON_ITEM_NOT_ALLOWED,
            "The document holds items that are not recognised for that country; it goes whole or"
            " not at all.",
            metadata={"items": ",".join(sorted(set(outside)))},
        )
    return transfer


def _graded(record: DisclosedRecord, mapped: MappedGrades) -> RecognitionPart:
    grade = _grade_in(record, mapped.grade_field)
    here = mapped.grades.get(grade, "")
    outcome = _RECOGNISED if here else _GRADE_NOT_MAPPED
    return RecognitionPart(
        region_item=record.item,
        outcome=OUTCOMES[outcome],
        item=mapped.item if here else "",
        record=record.name,
        region_grade=grade[:_MOST_GRADE],
        grade=here,
        records=1,
    )


def _grade_in(record: DisclosedRecord, name: str) -> str:
    """Return the grade in a record's content, "" where it has none as text."""
    content: Any = json.loads(record.content)
    value: object = content.get(name) if isinstance(content, Mapping) else None
    return value if isinstance(value, str) else ""


def _part(
    item: str, outcome: RecognitionOutcome.ValueType, *, item_here: str = "", records: int
) -> RecognitionPart:
    return RecognitionPart(
        region_item=item, outcome=OUTCOMES[outcome], item=item_here, records=records
    )
