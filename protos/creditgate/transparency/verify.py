"""Answers verified offline: bytes, proof, and the gateway's signature, by one pinned key. Pure.

Give it what was sent and received, in its very bytes, and the key of the disclosure log
that was pinned. Whatever does not hold is a `ProofInvalid` that tells what.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from creditgate.transparency.answers import request_digest, verify_signature
from creditgate.transparency.completeness import (
    Head,
    ProvedSubject,
    verified_head,
    verify_subject,
)
from creditgate.transparency.facts import NO_END
from creditgate.transparency.inclusion import verify_record
from creditgate.transparency.members import period_of, seconds_of
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import Checkpoint, VerifierKey, open_checkpoint
from creditgate.transparency.strict import strictly
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
    GetRecordRequest,
    GetSubjectRecordsRequest,
    GetSubjectRecordsResponse,
    Receipt,
)
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.disclosure_proof_pb2 import DisclosureProof, ProofKind, SubjectProof
from creditgate.v1.disclosure_service_pb2 import GetSubjectProofResponse

Request = GetSubjectRecordsRequest | BatchGetSubjectRecordsRequest | GetRecordRequest
Answer = GetSubjectRecordsResponse | BatchGetSubjectRecordsResponse

# GetRecordResponse has the very fields of GetSubjectRecordsResponse, and is read as one.
_ASKED_OF: Final[Mapping[type[Answer], tuple[type[Request], ...]]] = MappingProxyType(
    {
        GetSubjectRecordsResponse: (GetSubjectRecordsRequest, GetRecordRequest),
        BatchGetSubjectRecordsResponse: (BatchGetSubjectRecordsRequest,),
    }
)


class VerifiedAnswer(NamedTuple):
    """What an answer proves.

    ``kind`` tells what of ``records`` is proved; ``checkpoint`` is the log's head it is proved
    against, ``head`` the map's, None for INCLUSION; ``subjects`` tells for COMPLETE whose
    records these are, and of which items they are all. ``request`` is the request answered,
    None where it was not given.
    """

    records: tuple[DisclosedRecord, ...]
    receipt: Receipt
    kind: ProofKind.ValueType
    checkpoint: Checkpoint
    head: Head | None
    subjects: tuple[ProvedSubject, ...]
    request: Request | None

    @property
    def complete(self) -> bool:
        """Whether the records are all there are of the items proved: none is withheld, as one of
        a region that the caller's licence does not cover is. Of those in `complete_on_word` it
        is the gateway's word."""
        return self.head is not None and not any(each.withheld for each in self.subjects)

    def complete_on_word(self) -> tuple[tuple[str, str], ...]:
        """Return the subjects and protected items of which the records are all there are as the
        gateway says (`ProvedSubject.on_word`)."""
        return tuple((each.subject, item) for each in self.subjects for item in each.on_word)


def verify_answer(
    request: bytes | None, response: bytes | Sequence[bytes], key: VerifierKey
) -> VerifiedAnswer:
    """Return what ``response`` proves.

    ``request`` are the bytes sent, None where they were not kept: then nothing is known of
    what was asked but for the subjects and items that the proof names. ``response`` are the
    bytes received; for a chunk of a batch that came in several messages, all of them in
    order. ``key`` is the pinned key of the disclosure log. Raises ProofInvalid.
    """
    parts = [response] if isinstance(response, bytes) else list(response)
    answers = _read(parts, key)
    last = answers[-1]
    asked = None if request is None else _asked(request, last)
    receipt, proof = last.receipt, last.proof
    records = tuple(record for answer in answers for record in answer.records)
    _require_receipt(receipt, records)
    head, subjects = None, ()
    if proof.HasField("map_head"):
        kind = ProofKind.PROOF_KIND_COMPLETE
        head, subjects = verify_complete(records, proof, key, seconds_of(receipt.serve_time))
        if head.event_sequence < receipt.disclosure_sequence:
            raise ProofInvalid("the map is older than the disclosure that was answered from")
        checkpoint = head.checkpoint
    else:
        kind = ProofKind.PROOF_KIND_INCLUSION
        checkpoint = verify_disclosed(records, proof, key)
    if asked is not None:
        _require_asked(asked, kind, records, subjects)
        _require_span(asked, last, subjects, records)
    return VerifiedAnswer(records, receipt, kind, checkpoint, head, subjects, asked)


def verify_complete(
    records: Sequence[DisclosedRecord], proof: DisclosureProof, key: VerifierKey, at: int
) -> tuple[Head, tuple[ProvedSubject, ...]]:
    """Return the map's head and what is proved of each subject: that ``records`` are all
    their records of the items named that are disclosed at ``at`` (seconds UTC).

    Raises ProofInvalid.
    """
    if proof.records:
        raise ProofInvalid("a proof of completeness holds proofs of single records")
    head = verified_head(proof.checkpoint, proof.map_head, key)
    if not head.holds_at(at):
        raise ProofInvalid("the map does not hold at the instant of serving")
    by_subject: dict[str, list[DisclosedRecord]] = {each.subject: [] for each in proof.subjects}
    if len(by_subject) != len(proof.subjects):
        raise ProofInvalid("a subject is proved twice")
    for record in records:
        if record.subject not in by_subject:
            raise ProofInvalid("a record is of a subject that has no proof")
        by_subject[record.subject].append(record)
    return head, tuple(
        verify_subject(each, by_subject[each.subject], head, at) for each in proof.subjects
    )


def verify_disclosed(
    records: Sequence[DisclosedRecord], proof: DisclosureProof, key: VerifierKey
) -> Checkpoint:
    """Return the checkpoint of the log in which each of ``records`` is proved to have been
    disclosed. Raises ProofInvalid."""
    if proof.subjects:
        raise ProofInvalid("a proof of single records holds proofs of completeness")
    if len({record.name for record in records}) != len(records):
        raise ProofInvalid("a record is shown twice")
    checkpoint = open_checkpoint(proof.checkpoint, key)
    if len(proof.records) != len(records):
        raise ProofInvalid("the proofs are not those of the records")
    for record, each in zip(records, proof.records, strict=True):
        verify_record(record, each, checkpoint)
    return checkpoint


def verify_subject_proof(
    response: GetSubjectProofResponse, subject: str, key: VerifierKey
) -> tuple[Head, ProvedSubject]:
    """Return the map's head and what it holds of ``subject``, of all public items.

    The members of its sets are told by digest and period alone: ``unserved``. Raises
    ProofInvalid.
    """
    head = verified_head(response.checkpoint, response.map_head, key)
    proof = strictly(SubjectProof, response.proof)
    if proof.subject != subject or not proof.all_public:
        raise ProofInvalid("the proof is not of all public items of the subject")
    return head, verify_subject(proof, (), head, None)


def _read(parts: Sequence[bytes], key: VerifierKey) -> list[Answer]:
    """Return the parts of an answer, each strictly read and its signature checked."""
    answers = [answer_of(part) for part in parts]
    if not answers:
        raise ProofInvalid("there is no answer")
    for answer, part in zip(answers, parts, strict=True):
        # The last field of a part that was read strictly, so these are its last bytes.
        signature = type(answer)(signature=answer.signature).ByteSize()
        verify_signature(answer.signature, part[: len(part) - signature], key)
    *former, last = answers
    if not last.HasField("proof"):
        raise ProofInvalid("the answer has no proof")
    if isinstance(last, BatchGetSubjectRecordsResponse) and not last.chunk_complete:
        raise ProofInvalid("the last part of the chunk is missing")
    for answer in former:
        if not _goes_before(answer, last):
            raise ProofInvalid("the parts are not of one chunk")
    return answers


def answer_of(part: bytes) -> Answer:
    """Return the answer in bytes received, or the part of a chunk; nothing of it is verified.

    Raises ProofInvalid.
    """
    try:
        return strictly(GetSubjectRecordsResponse, part)
    except ProofInvalid:
        # Nothing in the bytes tells which message they are; the two differ in every field
        # after the second.
        try:
            return strictly(BatchGetSubjectRecordsResponse, part)
        except ProofInvalid:
            raise ProofInvalid(
                "the bytes are not those a gateway writes an answer in: they are cut off, altered,"
                " or a newer one wrote them"
            ) from None


def _goes_before(part: Answer, last: Answer) -> bool:
    return (
        isinstance(part, BatchGetSubjectRecordsResponse)
        and isinstance(last, BatchGetSubjectRecordsResponse)
        and not part.chunk_complete
        and not part.HasField("proof")
        and part.signature.request_digest == last.signature.request_digest
        and part.receipt.decision_id == last.receipt.decision_id
        and (part.first_subject, part.subject_count) == (last.first_subject, last.subject_count)
    )


def _asked(request: bytes, answer: Answer) -> Request:
    """Return the request that was answered, if ``request`` is it."""
    digest = answer.signature.request_digest
    for kind in _ASKED_OF[type(answer)]:
        if digest == request_digest(kind.DESCRIPTOR.full_name, request):
            return strictly(kind, request)
    raise ProofInvalid("the answer is to another request")


def _require_receipt(receipt: Receipt, records: Sequence[DisclosedRecord]) -> None:
    at = seconds_of(receipt.serve_time)
    usable_until = NO_END
    for record in records:
        from_, until = period_of(record)
        if not from_ <= at < until:
            raise ProofInvalid("a record was served outside its period")
        usable_until = min(usable_until, until)
    told = seconds_of(receipt.usable_until) if receipt.HasField("usable_until") else NO_END
    if told != usable_until:
        raise ProofInvalid("the receipt tells of another end of use than the records")


def _require_asked(
    request: Request,
    kind: ProofKind.ValueType,
    records: Sequence[DisclosedRecord],
    subjects: Sequence[ProvedSubject],
) -> None:
    if request.proof != kind:
        raise ProofInvalid("the proof is not of the kind asked for")
    if isinstance(request, GetRecordRequest):
        if [record.name for record in records] != [request.name]:
            raise ProofInvalid("the answer is not the record asked for")
        return
    items = set(request.items)
    if items and any(record.item not in items for record in records):
        raise ProofInvalid("a record is of an item that was not asked for")
    if not items and not all(proved.all_public for proved in subjects):
        raise ProofInvalid("the proof is not of all public items")
    if items and any(items != set(proved.items) or proved.all_public for proved in subjects):
        raise ProofInvalid("the items proved are not those asked for")


def _require_span(
    request: Request,
    answer: Answer,
    subjects: Sequence[ProvedSubject],
    records: Sequence[DisclosedRecord],
) -> None:
    """Check that an answer is about the subjects asked for: of a batch, those of its chunk."""
    if isinstance(request, GetRecordRequest):
        return
    if isinstance(request, GetSubjectRecordsRequest):
        span = [request.subject]
    else:
        assert isinstance(answer, BatchGetSubjectRecordsResponse)
        first, count = answer.first_subject, answer.subject_count
        if not (request.resume_from <= first < first + count <= len(request.subjects)):
            raise ProofInvalid("the chunk is not one of the batch asked for")
        span = list(request.subjects[first : first + count])
    about = [proved.subject for proved in subjects]
    if request.proof == ProofKind.PROOF_KIND_COMPLETE and about != span:
        raise ProofInvalid("the subjects proved are not those asked for")
    if not {record.subject for record in records} <= set(span):
        raise ProofInvalid("a record is of a subject that was not asked for")
