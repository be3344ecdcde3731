"""UsageService, as far as the usage log goes: proofs, leaves, cosignatures."""

import json
from collections.abc import Callable, Sequence
from typing import Final

from joserfc.jwk import KeySet, KeySetSerialization

from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1 import usage_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.clock import Clock
from gateway.settle.whose import operator_asked
from gateway.shares import Shares
from gateway.transparency.links import LogLinks
from gateway.usage.cosigning import Cosignatures, Cosigner
from gateway.usage.duties import AgreementDuties
from gateway.usage.names import use_named
from gateway.usage.proofs import LeafPage, UsageProofs
from operators.authority import Authority

MOST_LEAVES: Final = 1_000
USUAL_LEAVES: Final = 256


class UsageLogService:
    """Shows operators their own usage logs, and administrators any operator's.

    ``authority`` gives the present one and raises Refused without.
    """

    def __init__(
        self,
        proofs: UsageProofs,
        cosignatures: Cosignatures,
        duties: AgreementDuties,
        links: LogLinks,
        reads: Shares,
        authority: Callable[[], Authority],
        clock: Clock,
    ) -> None:
        self._links = links
        self._proofs = proofs
        self._cosignatures = cosignatures
        self._duties = duties
        self._reads = reads
        self._authority = authority
        self._clock = clock

    async def get_usage_proof(
        self, request: pb.GetUsageProofRequest, caller: Caller
    ) -> pb.GetUsageProofResponse:
        """Answer GetUsageProof; raises Refused as `operator_asked`, INVALID_REQUEST,
        RESOURCE_NOT_FOUND, TEMPORARILY_UNAVAILABLE."""
        name = use_named(request.name)
        if name is None:
            raise invalid(
                Violation(
                    "name",
                    "must read operators/{operator_id}/usage/{use}, and may name an entry or a line of it",
                )
            )
        operator_id = operator_asked(name.operator_id, caller, self._authority())
        proof = await self._reads.run(
            caller.client_id, self._proofs.named, operator_id, name.usage_index, name.number
        )
        if proof is None:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "The operator has no use of this name; ListUsage lists them.",
            )
        return pb.GetUsageProofResponse(
            checkpoint=proof.checkpoint.note,
            audit_path=proof.path,
            leaf=proof.logged.leaf,
            usage_index=proof.logged.place,
            detail=proof.logged.detail,
        )

    async def list_usage_leaves(
        self, request: pb.ListUsageLeavesRequest, caller: Caller
    ) -> pb.ListUsageLeavesResponse:
        """Answer ListUsageLeaves; raises Refused as `operator_asked`, INVALID_REQUEST,
        TEMPORARILY_UNAVAILABLE."""
        operator_id = operator_asked(request.operator_id, caller, self._authority())
        if not 0 <= request.page_size <= MOST_LEAVES:
            raise invalid(
                Violation("page_size", f"use 1 to {MOST_LEAVES}, or 0 for {USUAL_LEAVES}")
            )
        page, successions = await self._reads.run(
            caller.client_id,
            self._leaves,
            operator_id,
            request.start_index,
            request.page_size or USUAL_LEAVES,
            request.consistent_with,
        )
        return pb.ListUsageLeavesResponse(
            leaves=page.leaves,
            checkpoint="" if page.checkpoint is None else page.checkpoint.note,
            consistency_proof=page.consistency,
            successions=successions,
        )

    def _leaves(
        self, operator_id: str, start: int, limit: int, known: int
    ) -> tuple[LeafPage, Sequence[str]]:
        return self._proofs.leaves(operator_id, start, limit, known), self._links.notes()

    async def cosign_usage(
        self, request: pb.CosignUsageRequest, caller: Caller
    ) -> pb.CosignUsageResponse:
        """Answer CosignUsage; raises Refused SCOPE_NOT_GRANTED for other than operators,
        INVALID_REQUEST."""
        if not caller.operator_id:
            raise Refused(
                RefusalReason.REFUSAL_REASON_SCOPE_NOT_GRANTED,
                "Only operators agree with their usage logs.",
            )
        jwks: KeySetSerialization = json.loads(self._authority().clients[caller.client_id].jwks)
        size = await self._reads.run(
            caller.client_id,
            self._cosignatures.keep,
            Cosigner(caller.operator_id, caller.client_id, KeySet.import_key_set(jwks)),
            request.checkpoint,
            request.cosignature,
            self._clock.now(),
        )
        return pb.CosignUsageResponse(size=size)

    async def get_usage_cosignature(
        self, request: pb.GetUsageCosignatureRequest, caller: Caller
    ) -> pb.GetUsageCosignatureResponse:
        """Answer GetUsageCosignature; raises Refused as `operator_asked`."""
        operator_id = operator_asked(request.operator_id, caller, self._authority())
        newest = await self._reads.run(caller.client_id, self._cosignatures.newest, operator_id)
        owed = await self._reads.run(caller.client_id, self._duties.of, operator_id)
        told = pb.GetUsageCosignatureResponse(logged_size=owed.logged, required_size=owed.due)
        if owed.since is not None:
            told.unsigned_since.seconds = owed.since
            if owed.refused_from is not None:
                told.refuse_time.seconds = owed.refused_from
        if newest is not None:
            told.MergeFrom(pb.GetUsageCosignatureResponse(**newest._asdict()))
        return told
