"""Answers of a small disclosure of invented companies, honest ones and dishonest ones.

Each dishonest answer is signed by the gateway's own key: only what the log and the map commit
to can tell that it lies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from creditgate.transparency.facts import NO_END
from creditgate.transparency.members import public_member
from creditgate.v1 import credit_record_service_pb2 as pb
from creditgate.v1 import disclosure_proof_pb2 as proof_pb
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.vocabulary_pb2 import Purpose, Severity
from tests.installation import company
from tests.transparency.proving import Answer, Disclosure, Request, cut

INCLUSION: Final = proof_pb.ProofKind.PROOF_KIND_INCLUSION
COMPLETE: Final = proof_pb.ProofKind.PROOF_KIND_COMPLETE
MAPPED: Final = 1_800_000_000
AT: Final = MAPPED + 50
ENDS: Final = MAPPED + 100
PURPOSE: Final = Purpose.PURPOSE_SUPPLIER_CHECK
FULL, CLEAR, OTHER, ABROAD = map(company, range(1, 5))
FINE, HONOUR, TAX, PAY = "fine", "honour", "tax", "wages"


@dataclass(frozen=True)
class Exchange:
    """A request and its answer, in one part or several, not signed yet."""

    request: Request
    answers: tuple[Answer, ...]


def disclosure() -> Disclosure:
    """Return a disclosure of four companies, one of them without any record, signed thrice."""
    made = Disclosure()
    long, short = (MAPPED - 1_000, None), (MAPPED - 500, ENDS)
    made.publish("a-1", FULL, FINE, '{"amount":500,"finding":"late filing"}', short)
    made.publish("a-2", FULL, FINE, '{"finding":"迟报"}', long, severity=Severity.SEVERITY_SERIOUS)
    made.sign(MAPPED - 400)
    made.publish("a-3", FULL, HONOUR, '{"year":2025}', long, severity=Severity.SEVERITY_UNSPECIFIED)
    made.publish("a-4", FULL, TAX, '{"due":false,"paid":120000,"year":2025}', long, protected=True)
    made.publish("a-5", FULL, TAX, '{"paid":90000,"year":2024}', short, protected=True)
    made.publish("a-6", FULL, FINE, '{"finding":"next"}', (ENDS, None))
    made.publish("b-1", OTHER, FINE, '{"finding":"noise"}', long)
    made.publish("c-1", ABROAD, FINE, '{"finding":"dust"}', long, region="330000")
    made.sign(MAPPED - 300)
    made.publish("b-1", OTHER, FINE, '{"finding":"noise at night"}', long, corrects=True)
    made.publish("a-7", FULL, FINE, '{"finding":"repaired"}', long)
    made.repair("a-7")
    made.publish("d-1", OTHER, PAY, '{"arrears":0}', long, protected=True)
    made.sign(MAPPED)
    return made


def receipt(records: list[DisclosedRecord], made: Disclosure, **changed: int) -> pb.Receipt:
    """Return the receipt of an answer."""
    found = pb.Receipt(
        decision_id="d-0001",
        disclosure_sequence=changed.get("sequence", len(made.events)),
        charged_entries=len(records),
        charged_micro_yuan=250_000 * len(records),
    )
    found.serve_time.seconds = changed.get("at", AT)
    until = min((record.disclosed_until.seconds or NO_END for record in records), default=NO_END)
    if until != NO_END:
        found.usable_until.seconds = until
    return found


def unary(
    made: Disclosure,
    subject: str,
    *items: str,
    served: list[DisclosedRecord] | None = None,
    kind: proof_pb.ProofKind.ValueType = COMPLETE,
    proved: tuple[str, ...] = (),
) -> Exchange:
    """Return a call for one subject; where it names no items, every public one is proved, and
    the protected ones ``proved``."""
    if served is None:
        served = [
            record
            for record in made.live(subject, AT, items)
            if items or record.item in proved or not made.is_protected(record.item)
        ]
    records = served
    request = pb.GetSubjectRecordsRequest(
        subject=subject, items=items, purpose=PURPOSE, request_id="r-1", proof=kind
    )
    answer = pb.GetSubjectRecordsResponse(
        records=records,
        receipt=receipt(records, made),
        proof=proof_of(made, kind, [(subject, items or proved, records)], all_public=not items),
    )
    return Exchange(request, (answer,))


def proof_of(
    made: Disclosure,
    kind: proof_pb.ProofKind.ValueType,
    subjects: list[tuple[str, tuple[str, ...], list[DisclosedRecord]]],
    *,
    all_public: bool = False,
) -> proof_pb.DisclosureProof:
    """Return the proof of an answer about subjects: items and records of each, of every public
    item too with ``all_public``."""
    proof = proof_pb.DisclosureProof(checkpoint=made.checkpoint())
    if kind == INCLUSION:
        proof.records.extend(
            made.included(record) for _, _, records in subjects for record in records
        )
        return proof
    opened = any(made.is_protected(item) for _, items, _ in subjects for item in items)
    proof.map_head.CopyFrom(made.head(opened=opened))
    proof.subjects.extend(
        made.subject(subject, items, records, all_public=all_public)
        for subject, items, records in subjects
    )
    return proof


def one_record(made: Disclosure) -> Exchange:
    """Return a call for one record, corrected once."""
    (record,) = made.live(OTHER, AT, [FINE])
    request = pb.GetRecordRequest(
        name=record.name, purpose=PURPOSE, request_id="r-2", proof=INCLUSION
    )
    answer = pb.GetRecordResponse(
        records=[record],
        receipt=receipt([record], made),
        proof=proof_of(made, INCLUSION, [(OTHER, (), [record])]),
    )
    return Exchange(request, (answer,))


def chunk(
    made: Disclosure, kind: proof_pb.ProofKind.ValueType = COMPLETE, parts: int = 2
) -> Exchange:
    """Return the second chunk of a batch, in parts: of the company with records, and of the
    one without."""
    request = pb.BatchGetSubjectRecordsRequest(
        subjects=[OTHER, ABROAD, FULL, CLEAR],
        items=[FINE],
        purpose=PURPOSE,
        request_id="r-3",
        resume_from=2,
        proof=kind,
    )
    records = made.live(FULL, AT, [FINE])
    answers = [
        pb.BatchGetSubjectRecordsResponse(
            records=records[number::parts],
            receipt=receipt(records, made),
            first_subject=2,
            subject_count=2,
        )
        for number in range(parts)
    ]
    for answer in answers[:-1]:
        answer.receipt.charged_entries = answer.receipt.charged_micro_yuan = 0
    answers[-1].chunk_complete = True
    in_order = [record for answer in answers for record in answer.records]
    answers[-1].proof.CopyFrom(
        proof_of(made, kind, [(FULL, (FINE,), in_order), (CLEAR, (FINE,), [])])
    )
    return Exchange(request, tuple(answers))


def _withheld(made: Disclosure) -> Exchange:
    exchange = unary(made, FULL)
    (answer,) = exchange.answers
    hidden = [record for record in answer.records if record.item == HONOUR]
    for record in hidden:
        answer.records.remove(record)
        answer.proof.subjects[0].public_set.withheld.add(
            item=record.item, digest=public_member(record)
        )
    return exchange


HONEST: Final[dict[str, Callable[[Disclosure], Exchange]]] = {
    "complete: two records of an item": lambda made: unary(made, FULL, FINE),
    "complete: no record of an item": lambda made: unary(made, FULL, "blacklist"),
    "complete: a subject without any record": lambda made: unary(made, CLEAR, FINE, HONOUR),
    "complete: items not named": lambda made: unary(made, FULL),
    "complete: items not named, with a consent to one": lambda made: unary(
        made, FULL, proved=(TAX,)
    ),
    "complete: items not named, of one withheld": _withheld,
    "complete: public and protected items": lambda made: unary(made, FULL, FINE, TAX),
    "complete: no record of a protected item": lambda made: unary(made, CLEAR, PAY),
    "complete: protected records cut to a field": lambda made: unary(
        made,
        FULL,
        TAX,
        served=[cut(record, "due", "paid") for record in made.live(FULL, AT, [TAX])],
    ),
    "complete: a chunk in two parts": chunk,
    "inclusion: public and protected records": lambda made: unary(
        made, FULL, FINE, TAX, kind=INCLUSION
    ),
    "inclusion: a protected record cut to a field": lambda made: unary(
        made,
        FULL,
        TAX,
        served=[cut(record, "year") for record in made.live(FULL, AT, [TAX])],
        kind=INCLUSION,
    ),
    "inclusion: no records": lambda made: unary(made, CLEAR, kind=INCLUSION),
    "inclusion: one corrected record": one_record,
    "inclusion: a chunk": lambda made: chunk(made, INCLUSION, parts=1),
}
"""Exchanges that must verify."""
