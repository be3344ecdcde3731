"""ConformanceService: how operators stand, and how they came there."""

from collections.abc import Callable
from typing import Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import EnforcementStage, FindingKind
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.conformance.attested import Attested
from gateway.conformance.certified import Certified
from gateway.conformance.finding_messages import attestation_message, stage_change_message
from gateway.conformance.finding_requests import (
    AttestationsAsked,
    attestations_asked,
    operator_asked,
)
from gateway.conformance.findings import Findings
from gateway.conformance.removals import Owed
from gateway.conformance.standings import Standings
from gateway.conformance.uptime import WakingClock
from gateway.shares import Shares

_MOST_CHANGES: Final = 100


class OwedRemovals(Protocol):
    """What is needed of `gateway.conformance.acknowledgement.RemovalsOwed`."""

    def owed(self, operator_id: str, now: int) -> Owed:
        """Return what an operator has still to acknowledge at ``now``."""
        ...


class Entitled(Protocol):
    """What is needed of `gateway.conformance.holdings.Holdings`."""

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies an operator should hold at ``now``."""
        ...


class StandingService:
    """The methods of ConformanceService about attestations and standing."""

    def __init__(
        self,
        attested: Attested,
        certified: Certified,
        findings: Findings,
        standings: Standings,
        removals: OwedRemovals,
        holdings: Entitled,
        shares: Shares,
        view: Callable[[], AuthorityView],
        clock: WakingClock,
    ) -> None:
        self._attested = attested
        self._certified = certified
        self._findings = findings
        self._standings = standings
        self._removals = removals
        self._holdings = holdings
        self._shares = shares
        self._view = view
        self._clock = clock

    async def list_attestations(
        self, request: pb.ListAttestationsRequest, caller: Caller
    ) -> pb.ListAttestationsResponse:
        """Answer ListAttestations.

        Raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED, RESOURCE_NOT_FOUND, RATE_EXCEEDED.
        """
        operator_id = operator_asked(request.operator_id, caller, self._view())
        asked = attestations_asked(request, operator_id)
        return await self._shares.run(caller.asker, self._page, asked)

    async def get_conformance(
        self, request: pb.GetConformanceRequest, caller: Caller
    ) -> pb.GetConformanceResponse:
        """Answer GetConformance.

        Raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED, RESOURCE_NOT_FOUND, RATE_EXCEEDED.
        """
        operator_id = operator_asked(request.operator_id, caller, self._view())
        return await self._shares.run(caller.asker, self._conformance, operator_id)

    def _page(self, asked: AttestationsAsked) -> pb.ListAttestationsResponse:
        operator_id, page = asked.operator_id, asked.page
        now = self._clock.now()
        rows = self._attested.listed(
            operator_id, asked.from_, asked.until, int(page.before or 0), page.size + 1
        )
        in_force = self._certified.in_force(operator_id, now)
        shown, more = rows[: page.size], len(rows) > page.size
        return pb.ListAttestationsResponse(
            attestations=[
                attestation_message(each, in_force=each.certificate == in_force) for each in shown
            ],
            next_page_token=page.token(str(shown[-1].number)) if more else "",
        )

    def _conformance(self, operator_id: str) -> pb.GetConformanceResponse:
        now = self._clock.now()
        owed = self._removals.owed(operator_id, now)
        certificate = self._certified.in_force(operator_id, now)
        answer = pb.GetConformanceResponse(
            operator_id=operator_id,
            standing=[
                pb.FindingCount(kind=FindingKind.ValueType(kind), standing=count)
                for kind, count in self._findings.counts(operator_id)
            ],
            outstanding_removals=owed.outstanding,
            overdue_removals=owed.overdue,
            entitled_copies=self._holdings.entitled(operator_id, now),
            stage_changes=map(
                stage_change_message, self._standings.changes(operator_id, _MOST_CHANGES)
            ),
            certificate=certificate,
        )
        last = self._attested.last(operator_id)
        if last is not None:
            in_force = last.certificate == certificate
            answer.last_attestation.CopyFrom(attestation_message(last, in_force=in_force))
        standing = self._standings.of(operator_id)
        if standing is not None:
            answer.stage = EnforcementStage.ValueType(standing.stage)
            answer.challenged_copies = standing.challenged
            answer.confirmed_copies = standing.confirmed
            answer.refreshed_copies = standing.refreshed
            if standing.attestation_due:
                answer.next_attestation_due.CopyFrom(Timestamp(seconds=standing.attestation_due))
        return answer
