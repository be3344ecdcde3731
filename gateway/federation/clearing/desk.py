"""RateClearing and AgreeClearing: the side that is asked, and takes nobody's word.

What is proposed is looked for in this region's own ledger once more. What the other side claims of
the answers that differ is kept from the comparison on: where it is lost, all is compared anew.
"""

from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.clearing import Clearing
from creditgate.refusal import Violation, invalid
from creditgate.v1 import federation_service_pb2 as pb
from gateway.authenticate.caller import Caller
from gateway.federation.clearing.agreed_uses import Period
from gateway.federation.clearing.agreeing import (
    Differs,
    acceptance,
    follows,
    made,
    outcome,
    require_same,
)
from gateway.federation.clearing.asked import Asked, agreed_otherwise, conflict
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.ceiling_check import AboveCeiling
from gateway.federation.clearing.clerk import AMOUNTS, DIFFERS, NOT_NEXT
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.evidence import MOST_BYTES, DisputeEvidence
from gateway.federation.clearing.own_side import LedgerMoved
from gateway.federation.clearing.reckoning import AmountsDiffer, Reckoning
from gateway.federation.clearing.signing import ClearingKeys, keys_of
from gateway.federation.clearing.store import (
    AgreedOtherwise,
    ClearingRow,
    Settled,
    SqlClearings,
)
from gateway.federation.trust.book import Region
from sdk.clearings import verified_proposal
from sdk.documents import DocumentRefused, require_past


class ClearingDesk:
    """Serves the methods of FederationService by which regions agree; one event loop's own.
    ``agreed`` tells whoever gives back what was conceded that a clearing was signed."""

    def __init__(
        self,
        asked: Asked,
        clearings: SqlClearings,
        disputes: SqlDisputes,
        evidence: DisputeEvidence,
        keys: ClearingKeys,
        reckoning: Reckoning,
        attempts: SqlAttempts,
        agreed: Callable[[], None],
    ) -> None:
        self._agreed = agreed
        self._asked = asked
        self._reckoning = reckoning
        self._attempts = attempts
        self._clearings = clearings
        self._disputes = disputes
        self._evidence = evidence
        self._keys = keys

    async def rate_clearing(
        self, request: pb.RateClearingRequest, caller: Caller
    ) -> pb.RateClearingResponse:
        """Answer RateClearing.

        Raises Refused INVALID_REQUEST; STATE_CONFLICT where both do not find the same entries
        (``why`` "differs"), or it is this region that proposes.
        """
        region = self._asked.proposing(caller)
        if not 0 <= request.previous_until_seconds < request.until_seconds:
            raise invalid(Violation("until_seconds", "name a period"))
        self._asked.require_until(request.until_seconds)
        return await self._asked.run(caller, self._rate, region, request)

    def _rate(self, region: Region, request: pb.RateClearingRequest) -> pb.RateClearingResponse:
        name, start = region.entity_id, request.previous_until_seconds
        until = request.until_seconds
        if not self._reckoning.may_have_lines(name, start, until):
            ratings = self._reckoning.told(Period(name, start, until, b""))
            return pb.RateClearingResponse(ratings=ratings)
        side = self._asked.side(name, start, until)
        try:
            found = outcome(side, self._disputes.claims(name, until), until, name)
        except LedgerMoved:
            raise conflict("The ledger has changed meanwhile; compare anew.", DIFFERS) from None
        if found.sums.digest != request.entries_digest:
            raise conflict("This region agrees on other entries; compare anew.", DIFFERS)
        ratings = self._reckoning.told(Period(name, start, until, found.elements))
        return pb.RateClearingResponse(ratings=ratings)

    async def agree_clearing(
        self, request: pb.AgreeClearingRequest, caller: Caller
    ) -> pb.AgreeClearingResponse:
        """Answer AgreeClearing.

        Raises Refused INVALID_REQUEST for what the region did not sign or what is no clearing;
        STATE_CONFLICT where it is not what this region's ledger says (``why`` "differs"), does
        not follow on the last one, the period is cleared otherwise ("agreed_otherwise"), an
        amount beyond list prices is not found here ("amounts"), or above a "ceiling";
        TEMPORARILY_UNAVAILABLE without a key to sign with.
        """
        region = self._asked.proposing(caller)
        _require_small(request)
        row = await self._asked.run(caller, self._agree, region, request)
        self._agreed()
        evidence = await self._asked.run(
            caller, self._evidence.shown_with, region.entity_id, row.until
        )
        return pb.AgreeClearingResponse(
            acceptance=row.acceptance,
            agree_time=Timestamp(seconds=row.agreed_at),
            evidence=evidence,
        )

    def _agree(self, region: Region, request: pb.AgreeClearingRequest) -> ClearingRow:
        now = self._asked.now()
        try:
            clearing = verified_proposal(request.document, keys_of(region), region.entity_id)
            require_past(clearing.iat, now)
        except DocumentRefused as refused:
            raise invalid(Violation("document", str(refused))) from None
        if clearing.other != self._asked.own:
            raise invalid(Violation("document", "it is a clearing with another region"))
        before = self._clearings.from_(region.entity_id, clearing.start)
        if before is not None:
            if before.document != request.document:
                raise agreed_otherwise()
            return before
        self._require_follows(region.entity_id, clearing)
        self._asked.require_until(clearing.until)
        return self._sign(region, request, clearing, now)

    def _sign(
        self, region: Region, request: pb.AgreeClearingRequest, clearing: Clearing, now: int
    ) -> ClearingRow:
        side = self._asked.side(region.entity_id, clearing.start, clearing.until)
        claims = self._disputes.claims(region.entity_id, clearing.until)
        try:
            found = outcome(side, claims, clearing.until, clearing.iss)
            require_same(clearing, found)
            period = Period(region.entity_id, clearing.start, clearing.until, found.elements)
            self._reckoning.require_same(region, period, clearing, request.ratings)
        except (Differs, LedgerMoved) as differs:
            raise conflict(
                f"The clearing is not what this ledger says: {differs}.", DIFFERS
            ) from None
        except AmountsDiffer as differ:
            raise conflict(f"This region does not find an amount: {differ}.", AMOUNTS) from None
        except AboveCeiling as above:
            self._attempts.fail(region.entity_id, f"it is above the ceiling: {above}", now)
            raise conflict("It is more than this region's people accept.", "ceiling") from None
        shown = self._evidence.due(region.entity_id, found.found)
        theirs = self._evidence.theirs(region.entity_id, request.evidence, found.found)
        row = made(
            clearing,
            request.document,
            self._keys.sign(acceptance(request.document, self._asked.own, now)),
            self._asked.own,
            found.elements,
            in_ledger=side.in_ledger,
            agreed_at=now,
        )
        settled = Settled(
            self._asked.own,
            found.found,
            found.carried,
            shown._replace(theirs=theirs),
            self._evidence.judge(region),
            region.operator_id,
        )
        try:
            return self._clearings.agree(row, settled)
        except AgreedOtherwise:
            raise agreed_otherwise() from None

    def _require_follows(self, region: str, clearing: Clearing) -> None:
        if not follows(clearing, self._clearings.last(region)):
            raise conflict("The clearing does not follow on the last one.", NOT_NEXT)


def _require_small(request: pb.AgreeClearingRequest) -> None:
    if sum(each.ByteSize() for each in request.evidence) > MOST_BYTES:
        raise invalid(Violation("evidence", f"send at most {MOST_BYTES} bytes of it"))
