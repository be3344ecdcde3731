"""Clearing with other regions, composed: who is asked, who proposes, and what administrators see."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NamedTuple

from gateway.federation.clearing.attempts import SqlAttempts
from gateway.federation.clearing.calling import ClearingCalls
from gateway.federation.clearing.clerk import ClearingClerk
from gateway.federation.clearing.desk import ClearingDesk
from gateway.federation.clearing.evidence import DisputeEvidence
from gateway.federation.clearing.follower import ClearingFollower
from gateway.federation.clearing.ledger import RegionLedger
from gateway.federation.clearing.own_side import OwnSides
from gateway.federation.clearing.service import ClearingService
from gateway.federation.clearing.signing import ClearingKeys
from gateway.federation.clearing.store import SqlClearings
from gateway.server.asking import Ways
from gateway.server.grounds import Grounds
from gateway.server.line import Line
from gateway.server.log_keys import log_key
from gateway.server.trust import Trust
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
    attempts: SqlAttempts
    ledger: RegionLedger
    sides: OwnSides
    evidence: DisputeEvidence
    keys: ClearingKeys


def _parts(grounds: Grounds) -> _Parts:
    engines, feed = grounds.engines, grounds.feed

    def operator_of(region: str) -> str:
        admissions = feed.current().authority.regions.admissions
        admission = admissions.get(region_client_id(region))
        return "" if admission is None else admission.operator_id

    clearings = SqlClearings(engines.evidence)
    ledger = RegionLedger(engines.records, grounds.issuer, operator_of)
    key = log_key(grounds.home, engines, LogId.USAGE, grounds.issuer)
    # A proof of what was not logged a day ago is waited for, and nobody is hurried.
    proofs = UsageProofs(engines.records, OperatorLogs(engines.evidence, key), lambda: None)
    evidence = DisputeEvidence(ledger, proofs, operator_of, grounds.issuer, key.verifier)
    return _Parts(
        clearings,
        SqlAttempts(engines.evidence),
        ledger,
        OwnSides(ledger, clearings, grounds.issuer),
        evidence,
        ClearingKeys(grounds.keys, feed),
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

    Raises as `log_key`.
    """
    parts = _parts(grounds)
    shares = Shares("clearing")
    stack.callback(shares.close)
    desk = ClearingDesk(
        parts.clearings,
        parts.sides,
        parts.evidence,
        parts.keys,
        trust.regions.require_client,
        shares,
        grounds.clock,
        grounds.issuer,
    )
    service = ClearingService(
        parts.clearings,
        parts.attempts,
        trust.regions,
        grounds.clock,
        grounds.issuer,
        lambda: line.tell(CLEARING),
    )
    return {"FederationService": [desk], "ClearingService": [service]}


@asynccontextmanager
async def clearing_kept(
    grounds: Grounds, trust: Trust, ways: Ways, line: Line
) -> AsyncGenerator[ClearingFollower]:
    """Clear each day while the context lasts; give who does. Raises as `log_key`."""
    async with AsyncExitStack() as stack:
        parts = _parts(grounds)
        steps = Steps(CLEARING.name, _THREADS, _STEP_SECONDS)
        clerk = ClearingClerk(
            parts.clearings,
            parts.sides,
            parts.evidence,
            ClearingCalls(ways.links, ways.tokens),
            parts.keys,
            grounds.clock,
            grounds.issuer,
            steps,
        )
        follower = ClearingFollower(
            grounds.engines.evidence,
            parts.clearings,
            parts.attempts,
            parts.ledger,
            clerk,
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
