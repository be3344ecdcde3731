"""SettlementService, the method that gives back what was proven to be overcharged."""

from hashlib import sha256

from creditgate.refusal import Refused
from creditgate.v1 import settlement_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.authenticate.caller import Caller
from gateway.settle.views import SettlementFeed
from gateway.settlement.crediting import Crediting, NoteAsked
from gateway.settlement.request import require_credit
from gateway.shares import Shares


class CreditService:
    """Gives back what was proven to be overcharged."""

    def __init__(self, crediting: Crediting, feed: SettlementFeed, shares: Shares) -> None:
        self._crediting = crediting
        self._feed = feed
        self._shares = shares

    async def create_credit_note(
        self, request: pb.CreateCreditNoteRequest, caller: Caller
    ) -> pb.CreateCreditNoteResponse:
        """Answer CreateCreditNote.

        Raises Refused RESOURCE_NOT_FOUND, and as `Crediting.proven`.
        """
        require_credit(request)
        view = await self._feed.refresh()
        if request.operator_id not in view.authority.operators:
            raise Refused(
                RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
                "No operator has this operator_id; ListOperators lists them.",
            )
        by = caller.principal or caller.client_id
        note = await self._shares.run(by, self._crediting.proven, _asked(request, by), view)
        return pb.CreateCreditNoteResponse(credit_note=note)


def _asked(request: pb.CreateCreditNoteRequest, by: str) -> NoteAsked:
    named = "\n".join((by, request.operator_id, request.request_id))
    return NoteAsked(
        operator_id=request.operator_id,
        note_id=sha256(named.encode()).hexdigest()[:32],
        digest=sha256(request.SerializeToString(deterministic=True)).digest(),
        evidence=request.evidence,
        reason=request.reason,
        by=by,
    )
