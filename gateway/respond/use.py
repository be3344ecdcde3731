"""What stays the same over all chunks of one call."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from consent.relied import Relied
from creditgate.transparency.answers import request_digest
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    DeliverSubjectRecordsRequest,
    GetRecordRequest,
    GetSubjectRecordsRequest,
)
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authenticate.caller import Caller, Footing
from gateway.authorise.bounds import Details, within
from gateway.authorise.gate import Passage
from gateway.authorise.opening import Opening
from gateway.meter.delivery import Delivering
from gateway.meter.licences import Licences
from gateway.meter.model import LineCount
from gateway.respond.request import payload_digest
from operators.rules import Ask

SCOPE: Final = "credit.records:read"


class Use(NamedTuple):
    """What stays the same over all chunks of one call.

    ``details`` are the token's authorization details, within the regions asked for;
    ``revocable`` names what a revocation may stop it by. ``consent`` is the consent named, "" where none is.
    ``answer_may_be_empty`` is False where an answer without records is a refusal,
    ``in_parts`` True where one may come in several messages. ``proof`` is the kind
    of proof asked for, 0 for none; with one, ``request_digest`` is that of the request as it
    was sent. ``footing`` is the caller's.
    """

    ask: Ask
    details: Details
    revocable: frozenset[str]
    request_id: str
    purpose: Purpose.ValueType
    consent: str
    digest: bytes
    answer_may_be_empty: bool
    in_parts: bool
    proof: ProofKind.ValueType
    request_digest: bytes
    footing: Footing | None = None


class Part(NamedTuple):
    """What one answer of a call is about.

    ``subjects`` is None where the record asked for has yet to tell whose it is, ``chunk``
    the number of the chunk, ``relies`` tells whether the consent named is for it;
    ``delivery`` is None but for a chunk of a delivery.
    """

    subjects: tuple[str, ...] | None
    chunk: int
    relies: bool
    delivery: Delivering | None = None


def rests_on(
    use: Use, passage: Passage, opening: Opening, lines: Iterable[LineCount]
) -> tuple[Relied | None, tuple[str, ...]]:
    """Return the consent that an answer with records of ``lines`` rests on, if on any, and the items
    that it looks for under it, in order.

    One about a subject rests on it where items that need consent are in play, found or not:
    that there are none is an answer too. A record asked for by its name tells its item itself, and
    rests on it unless it is public, and so does its absence: a refusal must not tell what exists (G11).
    """
    what = opening.what
    if not what.masks:
        return None, ()
    if use.answer_may_be_empty:
        return opening.relied, what.items
    served = {line.line_no for line in lines}
    is_public = bool(served) and served.isdisjoint(passage.consent_lines)
    return None if is_public else opening.relied, ()


def licences_of(passage: Passage, opening: Opening | None) -> Licences | None:
    """Return the licences that an answer of a passage may rest on, None where that is one.

    Of those that open something of what it looks for some need quota left.
    """
    resting = passage.resting
    if resting is None:
        return None
    opened = resting.needed.keys() - passage.consent_items
    if opening is not None:
        opened |= set(opening.what.items)
    return Licences(
        resting.quotas,
        resting.of_line,
        frozenset[frozenset[str]]().union(*(resting.needed.get(item, ()) for item in opened)),
    )


def delivery_use(
    use: Use, client_id: str, request: BatchGetSubjectRecordsRequest, size: int
) -> Use:
    """Return the use of a batch as that of a delivery: no batch is a retry of one.

    ``request`` is as `use_of` leaves it.
    """
    opened = DeliverSubjectRecordsRequest(open=request)
    return use._replace(digest=payload_digest(client_id, opened, size))


def use_of(
    caller: Caller,
    request: GetSubjectRecordsRequest | BatchGetSubjectRecordsRequest | GetRecordRequest,
    items: frozenset[str],
    *,
    scope: str = SCOPE,
    answer_may_be_empty: bool = True,
    chunk_size: int = 1,
) -> Use:
    """Return the use that ``request`` of ``caller`` asks for under ``scope``, ``items`` by name.

    What is no part of the payload compared for idempotency is taken off ``request``. Raises
    Refused REGION_NOT_ALLOWED for regions that the token's details share none of.
    """
    details = caller.details
    if not isinstance(request, GetRecordRequest) and request.regions:
        details = within(details, request.regions)
    proof, asked = request.proof, b""
    in_parts = isinstance(request, BatchGetSubjectRecordsRequest)
    if proof:
        asked = request_digest(
            request.DESCRIPTOR.full_name, request.SerializeToString(deterministic=True)
        )
        request.ClearField("proof")
    if in_parts:
        request.ClearField("resume_from")
    return Use(
        ask=Ask(
            client_id=caller.client_id,
            scope=scope,
            token_scopes=caller.token_scopes,
            items=items,
            purpose=request.purpose,
        ),
        details=details,
        revocable=caller.revocable,
        request_id=request.request_id,
        purpose=request.purpose,
        consent=request.consent,
        digest=payload_digest(caller.retrier, request, chunk_size),
        answer_may_be_empty=answer_may_be_empty,
        in_parts=in_parts,
        proof=proof,
        request_digest=asked,
        footing=caller.footing,
    )
