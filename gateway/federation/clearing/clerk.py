"""The side that proposes: compares, proposes, and keeps what the other region signed.

What is proposed is durable before it leaves, so that after any crash the same is proposed again;
what the other side has signed and this one does not know yet, is taken from there.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from pydantic import ValidationError

from creditgate.clearing import Clearing
from creditgate.clearing_amounts import AmountLine
from creditgate.refusal import Refused, reason_name
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.federation.clearing.adopting import LostClearings
from gateway.federation.clearing.agreed_uses import Period
from gateway.federation.clearing.agreeing import (
    Differs,
    Outcome,
    made,
    outcome,
    proposal,
    require_same,
)
from gateway.federation.clearing.calling import ClearingPeers, PeerRefused
from gateway.federation.clearing.ceiling_check import AboveCeiling
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.evidence import DisputeEvidence
from gateway.federation.clearing.evidence_store import Shown
from gateway.federation.clearing.handing_back import HandedBack, HandingBack, signed
from gateway.federation.clearing.own_side import LedgerMoved, OwnSide, OwnSides, TooMany
from gateway.federation.clearing.reckoning import Reckoning
from gateway.federation.clearing.side_comparing import SideComparing
from gateway.federation.clearing.signing import ClearingKeys, keys_of
from gateway.federation.clearing.store import (
    AgreedOtherwise,
    ClearingRow,
    Settled,
    SqlClearings,
)
from gateway.federation.trust.book import Region
from gateway.federation.witness.peers import PeerLost
from gateway.storage.steps import Steps
from sdk.clearings import verified_proposal, verify_acceptance
from sdk.documents import DocumentRefused

DIFFERS: Final = "differs"
"""Why a region refuses a clearing that its ledger does not bear out: it is made anew."""
OTHERWISE: Final = "agreed_otherwise"
"""Why a region refuses a clearing of a period that it has signed another one of: it hands that
back."""
NOT_NEXT: Final = "does_not_follow"
"""Why a region refuses a clearing that does not follow on the last one it knows."""
AMOUNTS: Final = "amounts"
"""Why a region refuses a clearing whose lines it does not find: it is made anew without them."""
FORGOTTEN: Final = "forgotten"
"""Why a region refuses to compare what follows on a clearing that it has lost: it is handed back."""
_MOST_ROUNDS: Final = 8
_SHORTER: Final = "there are too many entries: clear a shorter period"
_TOO_LARGE: Final = reason_name(RefusalReason.REFUSAL_REASON_ANSWER_TOO_LARGE)
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class NotCleared(Exception):
    """Clearing with a region failed; the message says why, for administrators."""


class TooLong(NotCleared):
    """The period has more entries, here or there, than one clearing takes: clear a part of it."""


class ClearingClerk:
    """Clears with other regions, as the one that proposes; one event loop's own."""

    def __init__(
        self,
        clearings: SqlClearings,
        disputes: SqlDisputes,
        sides: OwnSides,
        evidence: DisputeEvidence,
        peers: ClearingPeers,
        keys: ClearingKeys,
        clock: Clock,
        own: str,
        steps: Steps,
        reckoning: Reckoning,
        lost: LostClearings,
        handing_back: HandingBack,
    ) -> None:
        self._reckoning = reckoning
        self._lost = lost
        self._handing_back = handing_back
        self._clearings = clearings
        self._disputes = disputes
        self._sides = sides
        self._evidence = evidence
        self._peers = peers
        self._keys = keys
        self._clock = clock
        self._own = own
        self._steps = steps
        # What was found for what is proposed, by region: not worked out twice.
        self._drawn: dict[str, tuple[str, Outcome]] = {}

    async def clear(self, region: Region, until: int) -> ClearingRow:
        """Return the last clearing with ``region`` once it is agreed up to ``until`` (seconds,
        UTC, past by now). Raises NotCleared, of it TooLong, and what the stores raise."""
        try:
            for _ in range(_MOST_ROUNDS):
                last = await self._done(region, until)
                if last is not None:
                    return last
        except PeerLost as lost:
            raise NotCleared(f"the region does not answer: {lost}") from None
        except PeerRefused as refused:
            if str(refused) == _TOO_LARGE:
                raise TooLong(_SHORTER) from None
            raise NotCleared(f"the region refuses: {refused} {refused.why}".rstrip()) from None
        except DocumentRefused as refused:
            raise NotCleared(f"what the region signed proves nothing: {refused}") from None
        except Refused as refused:
            raise NotCleared(f"this gateway refuses: {reason_name(refused.reason)}") from None
        except TooMany:
            raise TooLong(_SHORTER) from None
        except AgreedOtherwise:
            raise NotCleared("another clearing of the period is agreed already") from None
        except AboveCeiling as above:
            raise NotCleared(f"it is above the ceiling: {above}") from None
        raise NotCleared("the ledgers change faster than they are compared; it is tried again")

    async def _done(self, region: Region, until: int) -> ClearingRow | None:
        """Go one step; return the last clearing once it reaches ``until``."""
        pending = await self._blocking(self._clearings.proposed, region.entity_id)
        if pending is not None:
            await self._propose(region, pending)
            return None
        last = await self._blocking(self._clearings.last, region.entity_id)
        if last is not None and last.until >= until:
            return last
        start = 0 if last is None else last.until
        side = await self._blocking(self._sides.of, region.entity_id, start, until)
        opening = pb.ClearingOpening(
            until_seconds=until, previous_until_seconds=start, entries=len(side)
        )
        regions = frozenset({self._own, region.entity_id})
        comparing = SideComparing(regions, side, self._steps)
        try:
            answer = await self._peers.reconcile(region, opening, comparing)
            if isinstance(answer, HandedBack):
                await self._blocking(self._lost.take, region, answer)
            else:
                previous = "" if last is None else last.document
                found = await self._blocking(outcome, side, answer, until, self._own)
                amounts = await self._amounts(region, found, start, until)
                await self._blocking(
                    self._draw_up,
                    region.entity_id,
                    side,
                    answer,
                    found,
                    amounts,
                    start,
                    until,
                    previous,
                )
        except LedgerMoved:
            # It is compared anew.
            pass
        except PeerRefused as refused:
            if refused.why == FORGOTTEN and refused.known_until is not None:
                await self._hand_back(region, refused.known_until)
            elif refused.why != DIFFERS:
                raise
        return None

    async def _hand_back(self, region: Region, known_until: int) -> None:
        """Tell a region of all clearings behind the last one that it knows."""
        lost = await self._blocking(self._clearings.since, region.entity_id, known_until)
        for row in lost:
            left_out = await self._blocking(self._handing_back.left_out, row)
            await self._peers.hand_back(region, signed(row), left_out)

    async def _amounts(
        self, region: Region, found: Outcome, start: int, until: int
    ) -> tuple[AmountLine, ...]:
        """Return what months come to beyond list prices, by both regions' statements."""
        request = pb.RateClearingRequest(
            until_seconds=until,
            previous_until_seconds=start,
            entries_digest=found.sums.digest,
        )
        told = await self._peers.rate(region, request)
        period = Period(region.entity_id, start, until, found.elements)
        return await self._blocking(self._reckoning.drawn, region, period, told.ratings)

    def _draw_up(
        self,
        region: str,
        side: OwnSide,
        claims: Claims,
        found: Outcome,
        amounts: tuple[AmountLine, ...],
        start: int,
        until: int,
        previous: str,
    ) -> None:
        """Keep the clearing that follows from what the other claims, before it is proposed."""
        try:
            clearing = proposal(
                found,
                amounts,
                own=self._own,
                other=region,
                start=start,
                until=until,
                previous=previous,
                now=self._clock.now(),
            )
        except ValidationError:
            raise PeerLost("it claims amounts that cannot be") from None
        document = self._keys.sign(clearing)
        verified_proposal(document, self._keys.own(), self._own)
        self._disputes.keep_claims(region, until, claims)
        self._clearings.propose(
            made(
                clearing,
                document,
                "",
                self._own,
                found.elements,
                in_ledger=side.in_ledger,
                agreed_at=None,
            )
        )
        self._drawn[region] = (document, found)

    async def _propose(self, region: Region, pending: ClearingRow) -> None:
        """Propose what is kept; keep it as agreed, or forget it where it was refused because the
        ledgers are not what they were."""
        clearing = verified_proposal(pending.document, self._keys.own(), self._own)
        try:
            found = await self._blocking(self._found, region.entity_id, pending, clearing)
        except (Differs, LedgerMoved):
            # Whether the other has signed it, it tells; else it is compared anew.
            await self._blocking(self._clearings.withdraw, region.entity_id)
            return
        shown = await self._blocking(self._evidence.due, region.entity_id, found.found)
        request = pb.AgreeClearingRequest(
            document=pending.document,
            evidence=[pb.ClearingEvidence.FromString(each.evidence) for each in shown.own],
            ratings=await self._blocking(self._reckoning.shown, region.entity_id, clearing.until),
        )
        try:
            answer = await self._peers.agree(region, request)
        except PeerRefused as refused:
            if refused.why == AMOUNTS:
                self._reckoning.leave_out(region.entity_id)
            elif refused.why not in (DIFFERS, OTHERWISE, NOT_NEXT):
                raise
            _log.info("%s did not sign (%s): compared anew", region.entity_id, refused.why)
            await self._blocking(self._clearings.withdraw, region.entity_id)
            return
        await self._blocking(self._keep, region, pending, answer, found, shown)
        self._reckoning.agreed(region.entity_id)

    def _found(self, region: str, pending: ClearingRow, clearing: Clearing) -> Outcome:
        """Return what this region finds for what it has proposed. Raises Differs, LedgerMoved."""
        drawn = self._drawn.pop(region, None)
        if drawn is not None and drawn[0] == pending.document:
            return drawn[1]
        side = self._sides.of(region, clearing.start, clearing.until)
        claims = self._disputes.claims(region, clearing.until)
        found = outcome(side, claims, clearing.until, self._own)
        require_same(clearing, found)
        return found

    def _keep(
        self,
        region: Region,
        pending: ClearingRow,
        answer: pb.AgreeClearingResponse,
        found: Outcome,
        shown: Shown,
    ) -> None:
        verify_acceptance(answer.acceptance, pending.document, keys_of(region), region.entity_id)
        theirs = self._evidence.theirs(region.entity_id, answer.evidence, found.found)
        self._clearings.agreed(
            pending,
            answer.acceptance,
            self._clock.now(),
            self._settled(region, found, shown._replace(theirs=theirs)),
        )

    def _settled(self, region: Region, found: Outcome, shown: Shown) -> Settled:
        return Settled(
            self._own,
            found.found,
            found.carried,
            shown,
            self._evidence.judge(region),
            region.operator_id,
        )

    async def _blocking(self, work: Callable[..., _T], *args: object) -> _T:
        return await self._steps.take(work, *args)
