"""The desk of a witness: logs show checkpoints, by gRPC or over HTTP, and peers compare."""

from typing import Final, NamedTuple

from creditgate.refusal import Refused, invalid
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import origin_of
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.witness_service_pb2 import SplitViewEvidence
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.federation.trust.anew import Anew
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.witness.gossip import MOST_SEEN, MOST_SPLITS, Gossip
from gateway.federation.witness.logs import RegionLog, log_of
from gateway.federation.witness.rules import ShownInvalid
from gateway.federation.witness.splits import SplitViews, evidence_of
from gateway.federation.witness.wire import (
    answered_message,
    evidence_in,
    evidence_message,
    exchange_faults,
    shown_in,
)
from gateway.federation.witness.witness import Answered, Shown, Witness
from gateway.shares import Shares
from gateway.transparency.log import LogReader

_MOST_ORIGIN: Final = 255


class Told(NamedTuple):
    """What one exchange tells the other side beside its cosignatures."""

    seen: list[str]
    splits: list[SplitViewEvidence]


class WitnessDesk:
    """FederationService.ExchangeCheckpoints, and what add-checkpoint shares with it."""

    def __init__(
        self,
        witness: Witness,
        splits: SplitViews,
        gossip: Gossip,
        book: RegionBook,
        own: LogReader,
        shares: Shares,
        clock: Clock,
        anew: Anew,
    ) -> None:
        self._anew = anew
        self._witness = witness
        self._splits = splits
        self._gossip = gossip
        self._book = book
        self._own = own
        self._shares = shares
        self._clock = clock

    async def exchange_checkpoints(
        self, request: pb.ExchangeCheckpointsRequest, caller: Caller
    ) -> pb.ExchangeCheckpointsResponse:
        """Answer ExchangeCheckpoints.

        Raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED for other than regions,
        FEDERATION_UNKNOWN, REGION_NOT_TRUSTED, RATE_EXCEEDED.
        """
        if caller.role != ClientRole.CLIENT_ROLE_REGION:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "Only regions show each other checkpoints.",
            )
        faults = exchange_faults(request)
        if faults:
            raise invalid(*faults)
        region = region_of(self._book, caller.client_id)
        log = log_of(region)
        if log is None or any(
            origin_of(each.checkpoint) != log.key.name for each in request.checkpoints
        ):
            # It may have gone over to another key since its chain was looked at.
            region = await self._anew(region) or region
        return await self._shares.run(caller.asker, self._exchanged, request, region)

    def show(self, log: RegionLog, shown: Shown) -> Answered:
        """Judge a checkpoint of ``log``; what contradicts is kept as evidence, and alarmed.

        Raises as `Witness.show`.
        """
        answered = self._witness.show(log, shown, self._clock.now())
        if answered.split is not None:
            self._gossip.accuse("", [answered.split], self._clock.now())
        return answered

    def told(self, to: str) -> Told:
        """Return what an exchange tells the region of entity id ``to``: what was cosigned last
        of all logs but its own, and the split views that stand. Blocks.

        Of each region the logs that it has now: the former ones of one would crowd others out.
        """
        present = {
            str(log.key)
            for region in self._book.regions()
            if region.entity_id != to and (log := log_of(region)) is not None
        }
        seen = [each.cosigned for each in self._witness.witnessed() if each.log_key in present]
        splits = [evidence_message(evidence_of(row)) for row in self._splits.open_ones(MOST_SPLITS)]
        return Told(seen[:MOST_SEEN], splits)

    def open_splits(self) -> tuple[int, ...]:
        """Return the numbers of the split views that `told` tells of. Blocks."""
        return tuple(row.number for row in self._splits.open_ones(MOST_SPLITS))

    def _exchanged(
        self, request: pb.ExchangeCheckpointsRequest, region: Region
    ) -> pb.ExchangeCheckpointsResponse:
        now = self._clock.now()
        answer = pb.ExchangeCheckpointsResponse(
            witnessed=[self._witnessed(region, each) for each in request.checkpoints]
        )
        self._gossip.accuse(region.entity_id, evidence_in(request.split_views), now)
        self._gossip.seen(region.entity_id, request.seen_checkpoints, now)
        own = self._own.latest()
        if own is not None:
            answer.checkpoints.add(checkpoint=own.cosigned)
        told = self.told(region.entity_id)
        answer.seen_checkpoints[:] = told.seen
        answer.split_views.extend(told.splits)
        return answer

    def _witnessed(self, region: Region, message: pb.CheckpointShown) -> pb.CheckpointWitnessed:
        origin = origin_of(message.checkpoint)
        log = log_of(region)
        if log is None or origin != log.key.name:
            # Each region shows its own log alone: others' are compared, not cosigned.
            return pb.CheckpointWitnessed(
                outcome=pb.WITNESS_OUTCOME_INVALID, origin=origin[:_MOST_ORIGIN]
            )
        try:
            answered = self.show(log, shown_in(message))
        except (ProofInvalid, ShownInvalid):
            last = self._witness.last_of(log.key)
            return pb.CheckpointWitnessed(
                outcome=pb.WITNESS_OUTCOME_INVALID,
                origin=origin,
                cosigned_tree_size=0 if last is None else last.size,
            )
        return answered_message(answered)


def region_of(book: RegionBook, client_id: str) -> Region:
    """Return the region that calls as a client.

    Raises Refused FEDERATION_UNKNOWN, REGION_NOT_TRUSTED.
    """
    for region in book.regions():
        if region.client_id == client_id:
            # Asked by its id, so that what cannot be known is told apart.
            return book.region(region.entity_id)
    return book.region("")
