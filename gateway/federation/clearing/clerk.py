"""The side that proposes: compares, proposes, and keeps what the other region signed.

What is proposed is durable before it leaves, so that after any crash the same is proposed again;
what the other side has signed and this one does not know yet, is taken from there.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from pydantic import ValidationError

from creditgate.clearing import MOST_DISPUTES, Clearing
from creditgate.reconcile.symbols import coded
from creditgate.refusal import Refused, reason_name
from creditgate.v1 import federation_service_pb2 as pb
from gateway.clock import Clock
from gateway.federation.clearing.agreeing import (
    Differs,
    TooManyDisputes,
    made,
    proposal,
    require_same,
)
from gateway.federation.clearing.calling import ClearingPeers, Differences, PeerRefused
from gateway.federation.clearing.evidence import DisputeEvidence, pieces
from gateway.federation.clearing.own_side import LedgerMoved, OwnSide, OwnSides, TooMany
from gateway.federation.clearing.signing import ClearingKeys, keys_of
from gateway.federation.clearing.store import (
    AgreedOtherwise,
    ClearingRow,
    SqlClearings,
)
from gateway.federation.trust.book import Region
from gateway.federation.witness.peers import PeerLost
from gateway.storage.steps import Steps
from sdk.clearings import verified_clearing, verified_proposal, verify_acceptance
from sdk.documents import DocumentRefused

DIFFERS: Final = "differs"
"""Why a region refuses a clearing that its ledger does not bear out: it is made anew."""
_MOST_ROUNDS: Final = 8
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class NotCleared(Exception):
    """Clearing with a region failed; the message says why, for administrators."""


class ClearingClerk:
    """Clears with other regions, as the one that proposes; one event loop's own."""

    def __init__(
        self,
        clearings: SqlClearings,
        sides: OwnSides,
        evidence: DisputeEvidence,
        peers: ClearingPeers,
        keys: ClearingKeys,
        clock: Clock,
        own: str,
        steps: Steps,
    ) -> None:
        self._clearings = clearings
        self._sides = sides
        self._evidence = evidence
        self._peers = peers
        self._keys = keys
        self._clock = clock
        self._own = own
        self._steps = steps

    async def clear(self, region: Region, until: int) -> ClearingRow:
        """Return the last clearing with ``region`` once it is agreed up to ``until`` (seconds,
        UTC, past by now). Raises NotCleared, and what the stores raise."""
        try:
            for _ in range(_MOST_ROUNDS):
                last = await self._done(region, until)
                if last is not None:
                    return last
        except PeerLost as lost:
            raise NotCleared(f"the region does not answer: {lost}") from None
        except PeerRefused as refused:
            raise NotCleared(f"the region refuses: {refused} {refused.why}".rstrip()) from None
        except DocumentRefused as refused:
            raise NotCleared(f"what the region signed proves nothing: {refused}") from None
        except Refused as refused:
            raise NotCleared(f"this gateway refuses: {reason_name(refused.reason)}") from None
        except (TooMany, TooManyDisputes):
            raise NotCleared(
                f"there are too many entries, or more than {MOST_DISPUTES} of them differ"
            ) from None
        except AgreedOtherwise:
            raise NotCleared("another clearing of the period is agreed already") from None
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
        elements = side.elements
        answer = await self._peers.reconcile(region, opening, partial(coded, elements))
        if isinstance(answer, Differences):
            previous = "" if last is None else last.document
            await self._blocking(self._draw_up, region, side, answer, start, until, previous)
        else:
            await self._adopt(region, start, answer)
        return None

    def _draw_up(
        self,
        region: Region,
        side: OwnSide,
        found: Differences,
        start: int,
        until: int,
        previous: str,
    ) -> None:
        """Keep the clearing that follows from what differs, before it is proposed."""
        try:
            own_only = side.found(found.only_caller)
            clearing = proposal(
                side,
                own_only,
                found.only_other,
                own=self._own,
                other=region.entity_id,
                start=start,
                until=until,
                previous=previous,
                now=self._clock.now(),
            )
            elements = require_same(clearing, side, self._own)
            document = self._keys.sign(clearing)
            verified_proposal(document, self._keys.own(), self._own)
        except LedgerMoved:
            return
        except (ValidationError, Differs):
            raise PeerLost("it shows entries that cannot be") from None
        row = made(
            clearing,
            document,
            "",
            side,
            elements,
            own=self._own,
            made_at=clearing.iat,
            agreed_at=None,
        )
        self._clearings.propose(row, pieces(found.evidence))

    async def _propose(self, region: Region, pending: ClearingRow) -> None:
        """Propose what is kept; keep it as agreed, or forget it where it was refused because the
        ledgers are not what they were."""
        clearing = verified_proposal(pending.document, self._keys.own(), self._own)
        left_out = [each.dispute for each in clearing.disputes]
        entries = [one for each in left_out for one in each.versions]
        shown = await self._blocking(self._evidence.of, region.entity_id, entries)
        request = pb.AgreeClearingRequest(document=pending.document, evidence=shown)
        try:
            answer = await self._peers.agree(region, request)
        except PeerRefused as refused:
            if refused.why != DIFFERS:
                raise
            _log.info("%s has another ledger by now: compared anew", region.entity_id)
            await self._blocking(self._clearings.withdraw, region.entity_id)
            return
        await self._blocking(self._keep, region, pending, answer.acceptance, clearing, shown)

    def _keep(
        self,
        region: Region,
        pending: ClearingRow,
        acceptance: str,
        clearing: Clearing,
        shown: list[pb.ClearingEvidence],
    ) -> None:
        verify_acceptance(acceptance, pending.document, keys_of(region), region.entity_id)
        theirs = self._clearings.evidence(region.entity_id, pending.until)
        evidence = [*shown, *map(pb.ClearingEvidence.FromString, theirs)]
        told = self._evidence.told([each.dispute for each in clearing.disputes], evidence, region)
        self._clearings.agreed(
            pending, acceptance, self._clock.now(), told, pieces(evidence), region.operator_id
        )

    async def _adopt(self, region: Region, start: int, signed: pb.SignedClearing) -> None:
        """Keep what was agreed already, and this side has lost."""
        keys = {self._own: self._keys.own(), region.entity_id: keys_of(region)}
        clearing = verified_clearing(signed.document, signed.acceptance, keys, self._own)
        if clearing.start != start or clearing.other != region.entity_id:
            raise DocumentRefused("It is not the clearing that follows.")

        def keep() -> None:
            side = self._sides.of(region.entity_id, clearing.start, clearing.until)
            elements = require_same(clearing, side, self._own)
            left_out = [each.dispute for each in clearing.disputes]
            shown = self._evidence.of(
                region.entity_id, [one for each in left_out for one in each.versions]
            )
            now = self._clock.now()
            row = made(
                clearing,
                signed.document,
                signed.acceptance,
                side,
                elements,
                own=self._own,
                made_at=clearing.iat,
                agreed_at=now,
            )
            told = self._evidence.told(left_out, shown, region)
            self._clearings.agree(row, told, pieces(shown), region.operator_id)

        try:
            await self._blocking(keep)
        except Differs:
            raise NotCleared(
                "a clearing that this region signed and has lost is not what its ledger says"
            ) from None

    async def _blocking(self, work: Callable[..., _T], *args: object) -> _T:
        return await self._steps.take(work, *args)
