"""What was served under a consent that ended is removed by its deadline, or it is a finding."""

from collections.abc import Generator

import pytest

from consent.overdue import SqlOverdue
from creditgate.v1.conformance_service_pb2 import FindingKind
from gateway.conformance.finding_messages import finding_message
from gateway.conformance.overdue_consents import OverdueConsents
from tests.clock import NOW
from tests.conformance.enforcing import DAY, Enforced, difference, enforced_on
from tests.consent.store import ConsentStore
from tests.consent.world import act, terms
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

OVERDUE = FindingKind.FINDING_KIND_REMOVAL_OVERDUE


class World:
    """An operator that was served under consents which were then taken back."""

    def __init__(self, enforced: Enforced) -> None:
        self.enforced = enforced
        self.consents = ConsentStore(enforced.engines.records)
        self.overdue = SqlOverdue(enforced.engines.records)
        self.steps = OverdueConsents(self.overdue, enforced.findings)
        enforced.newcomer()
        self.served = enforced.serve("r-0")

    def taken_back(self) -> str:
        """Return the id of a consent used and revoked now: its removal is due in a day."""
        made = self.consents.granted(operator_id=self.enforced.firm)
        self.consents.use(made, NOW, made.consent_id[-20:], self.served)
        self.consents.move(made.consent_id, "revoke", act(NOW))
        return made.consent_id

    def pass_time(self, seconds: int) -> None:
        """Let time pass, and the enforcer look."""
        self.enforced.clock.at += seconds
        self.steps.step(self.enforced.clock.now())

    def acknowledge(self, consent_id: str) -> None:
        """Have the operator say that the copies are gone."""
        now, firm = self.enforced.clock.now(), self.enforced.firm
        assert self.consents.acknowledge(consent_id, firm, now, "firm-client", now)

    def standing(self) -> set[tuple[str, int]]:
        """Return what stands against the operator."""
        return set(self.enforced.standing())


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Generator[World]:
    """A world on an empty store."""
    with enforced_on(request) as enforced:
        yield World(enforced)


def test_a_removal_for_a_consent_that_is_overdue_is_found_until_it_is_acknowledged(
    world: World,
) -> None:
    consent_id = world.taken_back()
    world.pass_time(DAY - 1)
    assert world.standing() == set()
    world.pass_time(1)
    world.pass_time(0)
    assert world.standing() == {(f"consents/{consent_id}", OVERDUE)}
    ((_, finding),) = world.enforced.standing().items()
    message = finding_message(finding, world.enforced.policy, world.enforced.clock.now())
    assert (message.record, message.consent) == ("", f"consents/{consent_id}")
    world.acknowledge(consent_id)
    world.pass_time(0)
    assert world.standing() == set()
    world.pass_time(DAY)
    assert world.standing() == set()


def test_no_certificate_is_in_force_while_a_removal_for_a_consent_is_overdue(
    world: World,
) -> None:
    enforced = world.enforced
    enforced.checkpoint()
    consent_id = world.taken_back()
    assert enforced.attest().certificate
    assert enforced.certified.in_force(enforced.firm, enforced.clock.now())
    world.pass_time(DAY)
    assert not enforced.certified.in_force(enforced.firm, enforced.clock.now())
    # That its copies are as they should be is not the word that is asked for.
    assert not enforced.attest().certificate
    assert world.standing() == {(f"consents/{consent_id}", OVERDUE)}
    world.acknowledge(consent_id)
    world.pass_time(0)
    assert enforced.attest().certificate


def test_a_word_that_comes_late_leaves_its_trace_and_one_in_time_none(world: World) -> None:
    in_time, late = world.taken_back(), world.taken_back()
    world.acknowledge(in_time)
    world.enforced.clock.at += DAY
    world.acknowledge(late)
    world.pass_time(0)
    found = world.enforced.findings.listed(
        operator_id=world.enforced.firm, attestation_id="", state=0, before="", limit=10
    )
    assert [each.record_id for each in found] == [f"consents/{late}"]
    assert found[0].closed_at


def test_what_was_begun_is_taken_up_and_found_once(world: World) -> None:
    consent_id = world.taken_back()
    enforced = world.enforced
    enforced.clock.at += DAY
    name = f"consents/{consent_id}"
    # The process was killed between finding it and noting so.
    enforced.findings.open_consent_overdue(enforced.firm, name, enforced.clock.now())
    world.pass_time(0)
    assert world.standing() == {(name, OVERDUE)}


def test_the_other_differences_of_an_attestation_do_not_touch_it(world: World) -> None:
    consent_id = world.taken_back()
    world.pass_time(DAY)
    world.enforced.attest(difference("r-1"))
    world.enforced.attest()
    assert world.standing() == {(f"consents/{consent_id}", OVERDUE)}


@always_on_postgresql
def test_a_subject_sees_what_of_it_is_overdue_the_longest_first(world: World) -> None:
    first = world.taken_back()
    consent = world.consents.get(first)
    assert consent is not None
    assert world.overdue.of_subject(consent.subject, NOW + DAY - 1, 9) == []
    (removal,) = world.overdue.of_subject(consent.subject, NOW + DAY, 9)
    assert removal[:3] == (first, world.enforced.firm, NOW + DAY)
    world.acknowledge(first)
    assert world.overdue.of_subject(consent.subject, NOW + DAY, 9) == []


@always_on_postgresql
def test_a_finding_stands_until_all_that_is_overdue_for_its_consent_is_acknowledged(
    world: World,
) -> None:
    enforced, hour = world.enforced, 3_600
    made = world.consents.granted(operator_id=enforced.firm, terms=terms(data_life_seconds=hour))
    for number in range(2):
        at = NOW + number * hour
        live = world.consents.look(made.consent_id, at)
        world.consents.use(live, at, f"{made.consent_id[-20:]}-{number}", world.served)
    world.consents.look(made.consent_id, NOW + 2 * hour)
    world.pass_time(DAY + 2 * hour)
    stands = {(made.name, OVERDUE)}
    assert world.standing() == stands
    now = enforced.clock.now()

    def report(removed_at: int) -> None:
        assert world.consents.acknowledge(made.consent_id, enforced.firm, removed_at, "c", now) == 1
        world.pass_time(0)

    report(NOW + hour - 70)
    assert world.standing() == stands
    report(now)
    assert world.standing() == set()
    found = enforced.findings.listed(
        operator_id=enforced.firm, attestation_id="", state=0, before="", limit=9
    )
    assert len(found) == 1
