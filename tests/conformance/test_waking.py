"""Whoever is asked first after the gateway was away puts off what is due, whatever it is asked."""

import asyncio
import inspect
from collections.abc import Generator
from datetime import timedelta
from typing import Any, Final

import pytest

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.authenticate.caller import Caller
from gateway.conformance.acknowledgement import RemovalsOwed
from gateway.conformance.finding_service import FindingService
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import Finding
from gateway.conformance.standing_service import StandingService
from gateway.conformance.uptime import WakingClock, outages_since
from gateway.federation.asking.removals import RegionRemovals
from gateway.server.uptime import uptime_of
from gateway.shares import Shares
from gateway.storage.engines import reading
from gateway.usage.policy import AgreementPolicy
from tests.conformance.enforcing import CONTENT_ALTERED, DAY, Enforced, difference, enforced_on
from tests.consent.store import ConsentStore

_AGREEMENT: Final = AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14))
_METHODS: Final = [
    name
    for service in (FindingService, StandingService)
    for name, _ in inspect.getmembers(service, inspect.iscoroutinefunction)
]


class _Asleep:
    """A gateway that was away for days, whose methods are asked before anybody enforces."""

    def __init__(self, world: Enforced) -> None:
        self.world = world
        world.newcomer()
        (sequence,) = world.serve("a")
        world.attest(copies=1)
        altered = difference(world.record("b"), revision_sequence=sequence)
        world.attest(altered, copies=1)
        self.challenge, *_ = world.asked()
        awake = uptime_of(world.engines, world.policy, _AGREEMENT)
        awake.step(world.clock.now())
        self.clock = WakingClock(world.clock, awake)
        self.shares = Shares("waking")
        world.clock.at += 9 * DAY

    @property
    def finding(self) -> Finding:
        """What stands."""
        return self.world.standing()[self.world.record("b"), CONTENT_ALTERED]

    def services(self) -> tuple[FindingService, StandingService]:
        """Return the services."""
        world, view = self.world, self.world.view
        consents = ConsentStore(world.engines.records)
        elsewhere = RegionRemovals(world.engines, world.policy)
        return (
            FindingService(
                world.findings,
                world.contests,
                world.challenges,
                world.policy,
                self.shares,
                view,
                self.clock,
            ),
            StandingService(
                world.attested,
                world.certified,
                world.findings,
                world.standings,
                RemovalsOwed(world.duties, consents, elsewhere),
                Holdings(world.engines),
                self.shares,
                view,
                self.clock,
            ),
        )

    def requests(self) -> dict[str, Any]:
        """Return what is asked of each method."""
        name = f"findings/{self.finding.finding_id}"
        shown = pb.ShownCopy(challenge=f"challenges/{self.challenge.challenge_id}", not_held=True)
        return {
            "list_findings": pb.ListFindingsRequest(),
            "contest_finding": pb.ContestFindingRequest(name=name, statement="ours is right"),
            "decide_finding": pb.DecideFindingRequest(name=name, dismiss=True, reason="right"),
            "list_challenges": pb.ListChallengesRequest(),
            "answer_challenge": pb.AnswerChallengeRequest(copies=[shown]),
            "list_attestations": pb.ListAttestationsRequest(),
            "get_conformance": pb.GetConformanceRequest(),
        }

    def ask(self, method: str) -> Any:
        """Call a method of the services; return its answer."""
        role = ClientRole.CLIENT_ROLE_OPERATOR
        caller = Caller("client", role, self.world.firm, frozenset(), 0, "client")
        (service,) = [each for each in self.services() if hasattr(each, method)]
        return asyncio.run(getattr(service, method)(self.requests()[method], caller))


@pytest.fixture(params=["sqlite"])
def asleep(request: pytest.FixtureRequest) -> Generator[_Asleep]:
    """A gateway that was away."""
    outages = {"silence": "PT5M", "grace": "PT4H"}
    with enforced_on(request, outages=outages) as enforced:
        made = _Asleep(enforced)
        yield made
        made.shares.close()


@pytest.mark.parametrize("method", _METHODS)
def test_every_method_puts_off_first_what_is_due(asleep: _Asleep, method: str) -> None:
    asleep.ask(method)
    with reading(asleep.world.engines.evidence) as evidence:
        outages = outages_since(evidence, 0)
    assert [each.ended for each in outages] == [asleep.world.clock.now()]


def test_what_is_contested_first_after_an_outage_has_the_time_it_had(asleep: _Asleep) -> None:
    before = asleep.finding
    asleep.ask("contest_finding")
    assert asleep.finding.deadline == before.deadline + 9 * DAY
