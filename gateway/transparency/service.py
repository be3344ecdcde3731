"""DisclosureService, the part every registered client may ask: checkpoints, and proofs against them."""

from creditgate.refusal import Refused, Violation, invalid
from creditgate.transparency.merkle import leaf_hash
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.shares import Shares
from gateway.transparency.event_proofs import EventProofs
from gateway.transparency.log import MerkleLog, SignedCheckpoint


class TransparencyService:
    """Proves the disclosure log to whoever is authenticated."""

    def __init__(self, log: MerkleLog, events: EventProofs, shares: Shares) -> None:
        self._log = log
        self._events = events
        self._shares = shares

    async def get_checkpoint(
        self, request: pb.GetCheckpointRequest, caller: Caller
    ) -> pb.GetCheckpointResponse:
        """Answer GetCheckpoint; raises Refused RATE_EXCEEDED, and TEMPORARILY_UNAVAILABLE before
        the first."""
        del request
        latest = await self._shares.run(caller.asker, self._latest)
        return pb.GetCheckpointResponse(checkpoint=latest.cosigned)

    async def get_inclusion_proof(
        self, request: pb.GetInclusionProofRequest, caller: Caller
    ) -> pb.GetInclusionProofResponse:
        """Answer GetInclusionProof; raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND,
        RATE_EXCEEDED, TEMPORARILY_UNAVAILABLE."""
        return await self._shares.run(caller.asker, self._inclusion, request)

    async def get_consistency_proof(
        self, request: pb.GetConsistencyProofRequest, caller: Caller
    ) -> pb.GetConsistencyProofResponse:
        """Answer GetConsistencyProof; raises Refused INVALID_REQUEST,
        RATE_EXCEEDED, TEMPORARILY_UNAVAILABLE."""
        return await self._shares.run(caller.asker, self._consistency, request)

    def _inclusion(self, request: pb.GetInclusionProofRequest) -> pb.GetInclusionProofResponse:
        if request.event_sequence < 1:
            raise invalid(Violation("event_sequence", "use the number of an event, from 1"))
        size = _size_of("tree_size", request.tree_size, self._latest())
        index = self._events.index_of(request.event_sequence)
        if index >= size:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "The log of that size does not hold the event; ask against a newer checkpoint.",
            )
        (proof,) = self._events.against(size, [index])
        return pb.GetInclusionProofResponse(
            tree_size=size,
            audit_path=proof.audit_path,
            leaf_hash=leaf_hash(proof.entry),
            log_index=index,
            entry=proof.entry,
            checkpoint=self._note_of(size),
        )

    def _consistency(
        self, request: pb.GetConsistencyProofRequest
    ) -> pb.GetConsistencyProofResponse:
        second = _size_of("second_tree_size", request.second_tree_size, self._latest())
        first = request.first_tree_size
        if not 1 <= first <= second:
            raise invalid(
                Violation("first_tree_size", "use a size from 1 to that of the second tree")
            )
        return pb.GetConsistencyProofResponse(
            proof=self._log.consistency(first, second), checkpoint=self._note_of(second)
        )

    def _latest(self) -> SignedCheckpoint:
        latest = self._log.latest()
        if latest is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "The log has no checkpoint yet; try again.",
                retry_after=1,
            )
        return latest

    def _note_of(self, size: int) -> str:
        checkpoint = self._log.checkpoint_of(size)
        return "" if checkpoint is None else checkpoint.cosigned


def _size_of(field: str, asked: int, latest: SignedCheckpoint) -> int:
    if not 0 <= asked <= latest.size:
        raise invalid(Violation(field, "use a size up to that of the latest checkpoint, or 0"))
    return asked or latest.size
