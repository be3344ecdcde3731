"""CreditRecordService: what is asked for, one record, one subject or many, answered in its form.

How an answer is made is in `gateway.respond.path`.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any, Final

from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
    DeliverSubjectRecordsRequest,
    DeliverSubjectRecordsResponse,
    GetRecordRequest,
    GetSubjectRecordsRequest,
    GetSubjectRecordsResponse,
)
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.disclose.frame import field
from gateway.disclose.lookup import DisclosureLookup
from gateway.meter.delivery import Delivering, DeliveryKey
from gateway.respond.answer import (
    Selection,
    answer_bytes,
)
from gateway.respond.batch import Piece, check_covered, check_subjects, pieces
from gateway.respond.delivery import ChunkParts, Delivery
from gateway.respond.delivery_turns import DeliveryTurns
from gateway.respond.holding import holding, require_same
from gateway.respond.path import AnswerPath, RecordLimits
from gateway.respond.proofs import AnswerProofs
from gateway.respond.receipted import Served
from gateway.respond.request import (
    common_faults,
    record_id_of,
    require_subject,
)
from gateway.respond.under_way import require_under_way
from gateway.respond.use import SCOPE, Part, Use, delivery_use, use_of

# Of GetRecordResponse too, which has the same fields.
_PROOF: Final = GetSubjectRecordsResponse.PROOF_FIELD_NUMBER
_SIGNATURE: Final = GetSubjectRecordsResponse.SIGNATURE_FIELD_NUMBER
_CHUNK_SIGNATURE: Final = BatchGetSubjectRecordsResponse.SIGNATURE_FIELD_NUMBER
_DELIVERED: Final = DeliverSubjectRecordsResponse.CHUNK_FIELD_NUMBER
_UNPROVED: Final = ProofKind.PROOF_KIND_UNSPECIFIED
_Answering = Coroutine[Any, Any, tuple[Selection, Served]]


class CreditRecordService:
    """Serves the records that operators may have, to clients granted ``scope``."""

    def __init__(
        self,
        path: AnswerPath,
        lookup: DisclosureLookup,
        clock: Clock,
        limits: RecordLimits,
        proofs: AnswerProofs,
        turns: DeliveryTurns,
        scope: str = SCOPE,
    ) -> None:
        self._path = path
        self._lookup = lookup
        self._clock = clock
        self._limits = limits
        self._proofs = proofs
        self._turns = turns
        self._scope = scope

    async def get_subject_records(self, request: GetSubjectRecordsRequest, caller: Caller) -> bytes:
        """Answer GetSubjectRecords; raises Refused."""
        # As a list: at its end the message's own iterator makes an exception, words and all.
        subject, items = request.subject, request.items[:]
        require_subject(
            subject,
            common_faults(
                request.request_id, items, request.consent, request.proof, request.regions
            ),
        )
        use = use_of(caller, request, frozenset(items))
        part = Part((subject,), 0, relies=bool(use.consent))
        selection, served = await self._path.serve(
            use, part, partial(self._lookup.of_subject, subject)
        )
        return await self._answered(use, selection, served)

    async def get_record(self, request: GetRecordRequest, caller: Caller) -> bytes:
        """Answer GetRecord; raises Refused, RECORD_NOT_DISCLOSED for all that is not served."""
        record_id = record_id_of(
            request.name,
            common_faults(request.request_id, (), request.consent, request.proof, one_record=True),
        )
        use = use_of(caller, request, frozenset(), answer_may_be_empty=False)
        part = Part(None, 0, relies=bool(use.consent))
        selection, served = await self._path.serve(
            use, part, partial(self._lookup.of_record, record_id)
        )
        return await self._answered(use, selection, served)

    async def batch_get_subject_records(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer BatchGetSubjectRecords chunk by chunk; raises Refused."""
        size = self._limits.chunk_subjects
        start = request.resume_from
        subjects: Sequence[str] = request.subjects
        use, consenting = await self._begun(request, caller, size)
        for first in range(start, len(subjects), size):
            chunk = tuple(subjects[first : first + size])
            read = partial(self._lookup.of_subjects, chunk)
            part = Part(chunk, first // size, relies=consenting in chunk)
            begun_at, stands = self._clock.now(), self._holding(use)
            selection, served = await self._path.serve(use, part, read)
            for piece in pieces(selection, served, first, len(chunk), self._limits.record_bytes):
                require_under_way(begun_at, self._clock.now())
                if not stands():
                    stands = self._holding(use)
                    again, _ = await self._path.serve(use._replace(proof=_UNPROVED), part, read)
                    require_same(again, selection)
                yield await self._signed(use, piece.message)

    async def deliver_subject_records(
        self,
        request: BatchGetSubjectRecordsRequest,
        heard: AsyncIterator[DeliverSubjectRecordsRequest],
        caller: Caller,
    ) -> AsyncGenerator[bytes]:
        """Answer DeliverSubjectRecords, opened by ``request``; raises Refused."""
        size = self._turns.limits.chunk_subjects
        start = request.resume_from
        subjects: Sequence[str] = request.subjects
        use, consenting = await self._begun(request, caller, size)
        use = delivery_use(use, caller.client_id, request, size)

        def part_of(number: int) -> tuple[str, ...]:
            return tuple(subjects[number * size : (number + 1) * size])

        def serve(use: Use, number: int, delivering: Delivering) -> "_Answering":
            chunk = part_of(number)
            part = Part(chunk, number, consenting in chunk, delivering)
            return self._path.serve(use, part, partial(self._lookup.of_subjects, chunk))

        def cut(number: int, selection: Selection, served: Served, most: int) -> Iterator[Piece]:
            count = len(part_of(number))
            return pieces(selection, served, number * size, count, self._limits.record_bytes, most)

        operator_id = await self._path.operator_of(use, part_of(0))
        turn = await self._turns.take_up(DeliveryKey(operator_id, use.request_id), use.digest)
        parts = ChunkParts(
            partial(serve, use),
            partial(serve, use._replace(proof=_UNPROVED)),
            partial(self._path.standing, use),
            cut,
        )
        chunks = range(start // size, -(-len(subjects) // size))
        async with aclosing(
            Delivery(turn, self._turns.limits, self._clock, parts).messages(chunks, heard)
        ) as messages:
            async for message in messages:
                yield field(_DELIVERED, await self._signed(use, message))

    async def _begun(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller, size: int
    ) -> tuple[Use, str]:
        """Return the use that a batch in chunks of ``size`` is, and the subject whose consent it
        names, "" where it names none. Before anything is charged; raises Refused."""
        await check_subjects(
            request.subjects,
            common_faults(
                request.request_id,
                request.items,
                request.consent,
                request.proof,
                request.regions,
                of_region=caller.role == ClientRole.CLIENT_ROLE_REGION,
            ),
            most=self._limits.batch_subjects,
            resume_from=request.resume_from,
            chunk=size,
        )
        await check_covered(request.subjects, caller.details, request.consent)
        use = use_of(caller, request, frozenset(request.items), scope=self._scope, chunk_size=size)
        return use, await self._path.consenting(use, request.subjects)

    def _holding(self, use: Use) -> Callable[[], bool]:
        return holding(self._clock, self._path.standing(use))

    async def _signed(self, use: Use, message: bytes) -> bytes:
        """Return a message of a chunk, with the gateway's signature where a proof is asked for."""
        return (await self._proofs.signed(use, message, _CHUNK_SIGNATURE)) if use.proof else message

    async def _answered(self, use: Use, selection: Selection, served: Served) -> bytes:
        if not use.proof:
            return answer_bytes(selection.frames, served)
        answer = answer_bytes(selection.frames, served, field(_PROOF, selection.proof))
        return await self._proofs.signed(use, answer, _SIGNATURE)
