"""QueryRecords: what another region asks for one of its operators, served as any batch is.

The passage is that of CreditRecordService: gate, consent, brake, limits, proof and meter hold
for the operator that the region is here. What the asking region says narrows that passage
first, and is asked for again at each chunk (guarantee G10).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, Protocol

from creditgate.federated_query import batch_of
from creditgate.refusal import Refused
from creditgate.transparency.note import taken_apart
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsRequest,
    BatchGetSubjectRecordsResponse,
)
from creditgate.v1.federation_service_pb2 import QueryRecordsRequest, QueryRecordsResponse
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.disclose.frame import field
from gateway.federation.home.bounds import Details, for_ask
from gateway.federation.home.consents import ForeignConsents, ReliedOn
from gateway.federation.home.following import ConsentFollower
from gateway.federation.home.footing import RegionFooting
from gateway.federation.home.licence import Licence, Licences
from gateway.federation.home.metered import MeteredAnswers, Told
from gateway.federation.home.query import require_well_formed
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.witness.quorum import CosignedCheckpoints
from gateway.meter.region_asks import RegionAsk, SqlRegionAsks
from gateway.respond.in_time import now_judged
from gateway.respond.use import use_of
from gateway.storage.together import Together

SCOPE: Final = "federation.records:query"
_CHUNK: Final = QueryRecordsResponse.CHUNK_FIELD_NUMBER
_THREADS: Final = 2


class Regions(RegionBook, Protocol):
    """The book of regions, which also tells who calls."""

    def require_client(self, client_id: str) -> Region:
        """Return the region of that client id. Raises Refused as `RegionBook.region`."""
        ...


class Batches(Protocol):
    """What serves batches of records under `SCOPE`."""

    def batch_get_subject_records(
        self, request: BatchGetSubjectRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer a batch."""
        ...


class _Coming:
    """The chunk of an answer that comes next: where it begins, and what a retry has of it so far."""

    def __init__(self, operator_id: str, request_id: str, first: int) -> None:
        self.operator_id = operator_id
        self.request_id = request_id
        self.begin(first)

    def begin(self, first: int) -> None:
        """Begin another chunk."""
        self.first = first
        self.told: set[Told] = set()

    def take(self, part: BatchGetSubjectRecordsResponse) -> None:
        """Take another part of it."""
        if part.receipt.replayed:
            self.told.update((record.name, record.revision) for record in part.records)


class _Asked(NamedTuple):
    """What another region asks for, as it is asked for here: ``batch`` by ``caller``."""

    region: Region
    licence: Licence
    footing: RegionFooting
    batch: BatchGetSubjectRecordsRequest
    caller: Caller


class FederatedRecords:
    """Serves QueryRecords.

    ``counterparts`` gives, for a region's entity identifier, this region's item for each of
    that one's that is mapped; ``chunk_subjects`` is the size of chunks of ``batches``.
    """

    def __init__(
        self,
        *,
        book: Regions,
        licences: Licences,
        consents: ForeignConsents,
        follower: ConsentFollower,
        asks: SqlRegionAsks,
        batches: Batches,
        counterparts: Callable[[str], Mapping[str, str]],
        chunk_subjects: int,
        clock: Clock,
        witnessed: CosignedCheckpoints,
        metered: MeteredAnswers,
    ) -> None:
        self._book = book
        self._licences = licences
        self._consents = consents
        self._follower = follower
        self._batches = batches
        self._counterparts = counterparts
        self._chunk_subjects = chunk_subjects
        self._clock = clock
        self._witnessed = witnessed
        self._metered = metered
        # Threads of their own: an ask never waits for what else the process is asked for.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="region-asks")
        self._asks = Together[RegionAsk, None]("region-asks", asks.keep, self._threads)

    def close(self) -> None:
        """Write what is under way, and take no more."""
        self._threads.shutdown()

    async def query_records(
        self, request: QueryRecordsRequest, caller: Caller
    ) -> AsyncIterator[bytes]:
        """Answer QueryRecords chunk by chunk; raises Refused."""
        region = self._book.require_client(caller.client_id)
        require_well_formed(request, region.entity_id)
        coming = _Coming(caller.operator_id, request.request_id, request.resume_from)
        wanted = request.most_chunks or len(request.subjects)
        try:
            asked = await self._asked(request, caller, region)
            await self._keep(request, asked)
            async for message in self._batches.batch_get_subject_records(asked.batch, asked.caller):
                chunk = BatchGetSubjectRecordsResponse.FromString(message)
                coming.take(chunk)
                again = chunk.chunk_complete and chunk.receipt.replayed
                if again and (before := await self._before(coming, coming.told)):
                    yield before
                yield await self._answer(message, chunk, asked.footing)
                if chunk.chunk_complete:
                    coming.begin(chunk.first_subject + chunk.subject_count)
                    wanted -= 1
                if not wanted:
                    # The next one would be metered.
                    return
        except Refused as refused:
            # What passes by itself is asked for again, and who is cut off is told nothing.
            lost = refused.retry_after is None and self._book.stands(region.entity_id)
            if lost and (before := await self._before(coming, ())):
                yield before
            raise

    async def _asked(self, request: QueryRecordsRequest, caller: Caller, region: Region) -> _Asked:
        """Return what is asked for. Raises Refused where the region may not ask for it."""
        licence = self._licences.shown(request.licence_credential, region)
        _require_own_token(caller, licence)
        items = frozenset(request.items)
        bound = licence.bound(self._counterparts(region.entity_id))
        consent = await self._relied_on(request, region, licence)
        footing = RegionFooting(
            self._book,
            self._licences,
            region.entity_id,
            request.licence_credential,
            consent,
        )
        asking = caller._replace(
            details=for_ask(_named_here(caller.details, consent), bound, items),
            footing=footing,
        )
        batch = batch_of(request, consent.name if consent else "")
        return _Asked(region, licence, footing, batch, asking)

    async def _before(self, coming: _Coming, told: Collection[Told]) -> bytes:
        """Return what tells of a chunk that it was charged for more than ``told``, b"" where it was
        not."""
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(
            self._threads,
            self._metered.before,
            coming.operator_id,
            coming.request_id,
            coming.first // self._chunk_subjects,
            told,
        )
        if before is None:
            return b""
        return QueryRecordsResponse(metered_before=before).SerializeToString(deterministic=True)

    async def _relied_on(
        self, request: QueryRecordsRequest, region: Region, licence: Licence
    ) -> ReliedOn | None:
        if not request.consent_receipt:
            return None
        return await self._consents.relied_on(
            self._follower,
            request.consent_receipt,
            region,
            licence.operator_id,
            request.items,
        )

    async def _keep(self, request: QueryRecordsRequest, asked: _Asked) -> None:
        """Make durable for whom it is asked, before anything is metered for it."""
        alike = BatchGetSubjectRecordsRequest()
        alike.CopyFrom(asked.batch)
        use = use_of(asked.caller, alike, frozenset(), chunk_size=self._chunk_subjects)
        ask = RegionAsk(
            operator_id=asked.caller.operator_id,
            payload_digest=use.digest,
            request_id=request.request_id,
            region=asked.region.entity_id,
            asking_operator=asked.licence.operator_id,
            asking_licence=asked.licence.number,
            asking_decision=request.asking_decision_id,
            mapping_version=request.mapping_version,
            credential=request.licence_credential,
            asked_at=self._clock.now(),
        )
        await self._asks.written(ask)

    async def _answer(
        self, message: bytes, chunk: BatchGetSubjectRecordsResponse, footing: RegionFooting
    ) -> bytes:
        answer = field(_CHUNK, message)
        if not chunk.proof.checkpoint:
            # A part before the last: the proof comes with that.
            return answer
        size = _size_of(chunk.proof.checkpoint)
        state = await self._witnessed.cosigned(size, footing.require)
        # That has just asked once more whether it may be had; cosignatures take a second or two.
        now_judged()
        behind = QueryRecordsResponse(
            cosigned_checkpoint=state.note, consistency_proof=state.consistency_proof
        )
        return answer + behind.SerializeToString()


def _size_of(checkpoint: str) -> int:
    """Return the size of the log in a note that this gateway itself has made."""
    text, _ = taken_apart(checkpoint)
    return int(text.split("\n")[1])


def _require_own_token(caller: Caller, licence: Licence) -> None:
    """Raise Refused unless the token was exchanged for this very licence."""
    if caller.principal != licence.principal:
        raise Refused(
            RefusalReason.REFUSAL_REASON_LICENCE_CREDENTIAL_INVALID,
            "The access token was not exchanged for the licence of this credential; exchange it"
            " and use the token it gives.",
        )


def _named_here(details: Details, consent: ReliedOn | None) -> Details:
    """Return a token's details, the consent that is relied on named as it is here."""
    if consent is None:
        return details
    return tuple(
        detail.model_copy(update={"consent": consent.name})
        if detail.consent == consent.there
        else detail
        for detail in details
    )
