"""Documents of another region, verified by the keys of its trust chain. Blocks for a while."""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from hashlib import sha256
from typing import Any, Final, NamedTuple

from creditgate.credit_report import CreditReport
from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.linked import Pinned, signing
from creditgate.transparency.members import public_member, seconds_of, unserved_member
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.verify import answer_of, verify_answer, verify_subject_proof
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.disclosure_service_pb2 import GetSubjectProofResponse
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.recognition.rules import Document
from gateway.federation.trust.book import Region
from sdk.documents import DocumentRefused, require_past
from sdk.reports import verified_report, verified_status

STATUS_SECONDS: Final = 60
"""How old a report's status may be when the report is recognised."""
PROTECTED_SECONDS: Final = 3_600
"""How old an answer with records of protected items may be: nobody else can be asked of them."""

_CURRENT: Final = "CURRENT"
_PUBLIC: Final = "PUBLIC"
_SUBJECT: Final = "SUBJECT"


class Verified(NamedTuple):
    """A document that verified, and the checkpoint it is proved by."""

    document: Document
    checkpoint: Checkpoint


class VerifiedReport(NamedTuple):
    """A report that verified: ``report`` is what it states."""

    verified: Verified
    report: CreditReport


PublicSets = Mapping[str, frozenset[bytes]]
"""The digests of all members of a public item's set, by item (`creditgate.transparency.members`)."""


class VerifiedGrades(NamedTuple):
    """An answer that verified; ``public`` is what it proves of each public item that it is about, of
    members that it withholds too."""

    verified: Verified
    public: PublicSets


def report_of(text: str, region: Region, log: Pinned, now: int) -> VerifiedReport:
    """Return what a report of ``region`` states. Raises Refused INVALID_REQUEST for what is none
    of the region's, or is not valid at ``now``."""
    try:
        found = verified_report(text, document_keys(region), region.issuer, log)
        require_past(found.report.iat, now)
    except DocumentRefused as refused:
        raise invalid(Violation("document", str(refused))) from None
    report = found.report
    if not found.holds_at(now):
        raise over("The report is not valid any more.")
    document = Document(
        sha256(text.encode()).hexdigest(),
        report.subject,
        tuple(each.item for each in report.items),
        tuple(each.as_record(report.subject) for each in report.records),
        report.iat,
        report.exp,
        # What it had issued for itself a subject hands on itself.
        frozenset()
        if report.requester.kind == _SUBJECT
        else frozenset(each.item for each in report.items if each.openness != _PUBLIC),
    )
    return VerifiedReport(Verified(document, found.proved.head.checkpoint), report)


def require_current(status: str, text: str, region: Region, now: int) -> None:
    """Check that a signed status says that a report holds.

    Raises Refused STATE_CONFLICT where it does not, TEMPORARILY_UNAVAILABLE for a status that
    tells nothing.
    """
    try:
        told = verified_status(
            status, text, document_keys(region), region.issuer, now, STATUS_SECONDS
        )
    except DocumentRefused:
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "The region does not tell whether the report holds; try again.",
            retry_after=5,
        ) from None
    if told.state != _CURRENT:
        raise over("The report does not hold any more: its region says so.")


def grades_of(parts: Sequence[bytes], request: bytes, log: Pinned, now: int) -> VerifiedGrades:
    """Return what an answer about one subject states. Raises Refused INVALID_REQUEST for what
    is none, STATE_CONFLICT for what is too old."""
    try:
        note = answer_of(parts[-1]).proof.checkpoint
        found = verify_answer(request, parts, signing(note, log))
    except ProofInvalid as fault:
        raise invalid(Violation("answer", f"it proves nothing: {fault}")) from None
    if found.kind != ProofKind.PROOF_KIND_COMPLETE or len(found.subjects) != 1:
        raise invalid(
            Violation("answer", "give one about one subject, with a proof that it is complete")
        )
    assert found.head is not None
    (proved,) = found.subjects
    served_at = seconds_of(found.receipt.serve_time)
    try:
        require_past(served_at, now)
    except DocumentRefused as refused:
        raise invalid(Violation("answer", str(refused))) from None
    if proved.protected and served_at < now - PROTECTED_SECONDS:
        raise over("The answer is too old to tell whether its records are disclosed still.")
    items = sorted({*proved.items, *(record.item for record in found.records)})
    document = Document(
        sha256(b"".join(parts)).hexdigest(),
        proved.subject,
        tuple(items),
        found.records,
        served_at,
        # The records' own disclosure ends it.
        (1 << 53) - 1,
        frozenset(proved.protected),
    )
    members = [
        *(
            (record.item, public_member(record))
            for record in found.records
            if record.item not in proved.protected
        ),
        *((each.item, each.digest) for each in proved.hidden),
    ]
    public = _sets({*items} - proved.protected, members)
    return VerifiedGrades(Verified(document, found.checkpoint), public)


def require_disclosed(
    public: PublicSets,
    proof: GetSubjectProofResponse,
    subject: str,
    log: Pinned,
    now: int,
) -> None:
    """Check that what the region discloses of a subject is, of ``public`` items, what it was, by its
    proof: nothing less, and nothing more.

    Raises Refused STATE_CONFLICT where it does not, TEMPORARILY_UNAVAILABLE for a proof that
    proves nothing now.
    """
    try:
        head, proved = verify_subject_proof(proof, subject, signing(proof.checkpoint, log))
        if not head.holds_at(now):
            raise ProofInvalid("it is not of now")
    except ProofInvalid:
        raise Refused(
            RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
            "The region does not prove what it discloses now; try again.",
            retry_after=1,
        ) from None
    members = [
        *((each.item, unserved_member(each, protected=False)) for each in proved.unserved),
        *((each.item, each.digest) for each in proved.hidden),
    ]
    there = _sets(public.keys() - head.protected_items, members)
    if there != public:
        raise over(
            "A record was published, corrected, repaired, withdrawn or expired since; ask the region"
            " anew."
        )


def _sets(items: Set[str], members: Iterable[tuple[str, bytes]]) -> PublicSets:
    """Return the members of each of some items."""
    sets: dict[str, set[bytes]] = {item: set() for item in items}
    for item, digest in members:
        if item in sets:
            sets[item].add(digest)
    return {item: frozenset(digests) for item, digests in sets.items()}


def document_keys(region: Region) -> dict[str, Any]:
    """Return the keys of a region's documents (JWK Set)."""
    keys: dict[str, Any] = json.loads(region.document_keys)
    return keys


def over(what: str) -> Refused:
    """Return the refusal of a document that does not hold any more."""
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, what)
