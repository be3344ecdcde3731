"""Clearing with other regions, composed: who is asked, who proposes, and what administrators see."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from gateway.federation.clearing.adopting import LostClearings
from gateway.federation.clearing.amount_store import SqlAmounts
from gateway.federation.clearing.amounts import ClearingAmounts
from gateway.federation.clearing.asked import Asked
from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.calling import ClearingCalls
from gateway.federation.clearing.ceilings import CeilingService
from gateway.federation.clearing.clerk import ClearingClerk
from gateway.federation.clearing.conceded import ConcededUses
from gateway.federation.clearing.desk import ClearingDesk
from gateway.federation.clearing.dispute_service import DisputeService
from gateway.federation.clearing.dispute_store import SqlDisputes
from gateway.federation.clearing.evidence import DisputeEvidence
from gateway.federation.clearing.evidence_store import SqlEvidence
from gateway.federation.clearing.follower import ClearingFollower
from gateway.federation.clearing.giving_back import GivingBack
from gateway.federation.clearing.handing_back import HandingBack
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.own_side import OwnSides
from gateway.federation.clearing.reckoning import Reckoning
from gateway.federation.clearing.reconciling import ClearingComparisons
from gateway.federation.clearing.service import ClearingService
from gateway.federation.clearing.signing import ClearingKeys
from gateway.federation.clearing.store import SqlClearings
from gateway.federation.clearing.time_plans import SqlTimePlans
from gateway.server.asking import Ways
from gateway.server.grounds import Grounds
from gateway.server.line import Line
from gateway.server.settling import crediting
from gateway.server.trust import Trust
from gateway.settlement.region_entries import RegionEntries
from gateway.shares import Shares
from gateway.storage.steps import Steps
from gateway.storage.turn import CLEARING
from gateway.transparency.tables import LogId
from gateway.usage.logs import OperatorLogs
from gateway.usage.proofs import UsageProofs
from operators.regions import region_client_id

_THREADS: Final = 4
_STEP_SECONDS: Final = 900.0
"""How long one step may take: of the uses of a long time that was made up for."""


class _Parts(NamedTuple):
    clearings: SqlClearings
    disputes: SqlDisputes
    kept: SqlEvidence
    attempts: SqlAttempts
    ledger: RegionLedger
    sides: OwnSides
    evidence: DisputeEvidence
    keys: ClearingKeys
    amounts: SqlAmounts
    reckoning: Reckoning
    lost: LostClearings
    handing_back: HandingBack


def _parts(grounds: Grounds) -> _Parts:
    engines, feed = grounds.engines, grounds.feed

    def operator_of(region: str) -> str:
        admissions = feed.current().authority.regions.admissions
        admission = admissions.get(region_client_id(region))
        return "" if admission is None else admission.operator_id

    clearings = SqlClearings(engines.evidence)
    disputes, kept = SqlDisputes(engines.evidence), SqlEvidence(engines.evidence)
    ledger = RegionLedger(engines.records, grounds.issuer, operator_of)
    key = grounds.log_keys.of(LogId.USAGE)
    # A proof of what was not logged a day ago is waited for, and nobody is hurried.
    proofs = UsageProofs(
        engines.records, OperatorLogs(engines.evidence, key), RegionEntries(), lambda: None
    )
    keys = grounds.log_keys.links(LogId.USAGE).keys
    evidence = DisputeEvidence(ledger, proofs, kept, operator_of, grounds.issuer, keys)
    amounts = SqlAmounts(engines.evidence)
    reckoned = ClearingAmounts(
        ledger, clearings, amounts, disputes.ever, feed.current, operator_of, grounds.issuer
    )
    document_keys = ClearingKeys(grounds.keys, feed)
    return _Parts(
        clearings,
        disputes,
        kept,
        SqlAttempts(engines.evidence),
        ledger,
        OwnSides(ledger, clearings, disputes, grounds.issuer),
        evidence,
        document_keys,
        amounts,
        Reckoning(
            reckoned,
            amounts,
            SqlTimePlans(grounds.engines.evidence),
            grounds.clock,
            grounds.issuer,
        ),
        LostClearings(clearings, disputes, evidence, document_keys, grounds.clock, grounds.issuer),
        HandingBack(clearings, disputes, ledger),
    )


def _giving_back(grounds: Grounds, parts: _Parts) -> GivingBack:
    return GivingBack(
        parts.clearings,
        ConcededUses(parts.ledger, parts.clearings, parts.disputes, grounds.issuer),
        crediting(grounds.engines, grounds.log_keys, grounds.clock),
        grounds.feed.current,
    )


def _operators(grounds: Grounds) -> Mapping[str, str]:
    """Return what operator each region is here that was ever known, "" for none."""
    regions = grounds.feed.current().authority.regions
    admitted = regions.admissions
    return {
        known.entity_id: "" if (own := admitted.get(client_id)) is None else own.operator_id
        for client_id, known in regions.known.items()
    }


def clearing_served(
    grounds: Grounds, trust: Trust, line: Line, stack: AsyncExitStack
) -> Mapping[str, Sequence[object]]:
    """Return what serves clearing, by the service's name; its threads end with ``stack``. At the
    other end of ``line`` is who clears.

    Raises as `LogKeys.of`.
    """
    parts = _parts(grounds)
    shares = Shares("clearing")
    stack.callback(shares.close)
    asked = Asked(parts.sides, trust.regions.require_client, shares, grounds.clock, grounds.issuer)
    comparisons = ClearingComparisons(
        asked, parts.clearings, parts.disputes, parts.lost, parts.handing_back
    )
    desk = ClearingDesk(
        asked,
        parts.clearings,
        parts.disputes,
        parts.evidence,
        parts.keys,
        parts.reckoning,
        parts.attempts,
        lambda: line.tell(CLEARING),
    )
    disputes = DisputeService(
        parts.clearings, parts.disputes, parts.kept, parts.amounts, grounds.clock
    )
    service = ClearingService(
        parts.clearings,
        parts.attempts,
        trust.regions,
        grounds.clock,
        grounds.issuer,
        lambda: line.tell(CLEARING),
        parts.amounts,
    )
    ceilings = CeilingService(parts.amounts, trust.regions, grounds.clock)
    return {
        "FederationService": [comparisons, desk],
        "ClearingService": [service, disputes, ceilings],
    }


@asynccontextmanager
async def clearing_kept(
    grounds: Grounds, trust: Trust, ways: Ways, line: Line
) -> AsyncGenerator[ClearingFollower]:
    """Clear each day while the context lasts; give who does. Raises as `LogKeys.of`."""
    async with AsyncExitStack() as stack:
        parts = _parts(grounds)
        steps = Steps(CLEARING.name, _THREADS, _STEP_SECONDS)
        clerk = ClearingClerk(
            parts.clearings,
            parts.disputes,
            parts.sides,
            parts.evidence,
            ClearingCalls(ways.links, ways.tokens),
            parts.keys,
            grounds.clock,
            grounds.issuer,
            steps,
            parts.reckoning,
            parts.lost,
            parts.handing_back,
        )
        follower = ClearingFollower(
            grounds.engines.evidence,
            parts.clearings,
            parts.attempts,
            parts.ledger,
            parts.evidence,
            clerk,
            _giving_back(grounds, parts),
            trust.regions,
            lambda: _operators(grounds),
            grounds.clock,
            grounds.issuer,
            steps,
        )
        await follower.start()
        stack.push_async_callback(follower.stop)
        line.listen(CLEARING, follower.nudge)
        yield follower
