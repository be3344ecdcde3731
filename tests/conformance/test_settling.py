"""Operators come to the stage their findings entail, and a suspension ends as it should."""

from collections.abc import Iterator

import pytest

from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.conformance.model import NONE, RECTIFY, SUSPENDED, THROTTLED, WARNED
from gateway.conformance.settling import Settling
from gateway.conformance.suspension import Suspensions
from operators.suspended import CONFORMANCE
from tests.conformance.enforcing import (
    CONTENT_ALTERED,
    DAY,
    EXPIRED_HELD,
    MISSING,
    Enforced,
    difference,
    enforced_on,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
HALTED = OperatorState.OPERATOR_STATE_SUSPENDED
REVOKED = OperatorState.OPERATOR_STATE_REVOKED
OVERDUE = FindingKind.FINDING_KIND_ATTESTATION_OVERDUE


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request, attestation="P366D") as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """An operator of which nothing is known."""
    shared.newcomer()
    return shared


def suspended(world: Enforced) -> None:
    """Have the operator suspended for a finding."""
    world.attest(difference("r-1", EXPIRED_HELD))
    world.pass_time(12 * DAY)
    assert (world.stage(), world.state()) == (SUSPENDED, HALTED)


@always_on_postgresql
def test_what_is_not_rectified_warns_then_cuts_then_suspends(world: Enforced) -> None:
    world.attest(difference("r-1", EXPIRED_HELD))
    stages = [world.stage()]
    for days in (0, 2, 5, 4):
        world.pass_time(days * DAY)
        stages.append(world.stage())
        assert world.state() == ACTIVE
    world.pass_time(DAY)
    stages.append(world.stage())
    assert stages == [NONE, WARNED, RECTIFY, THROTTLED, THROTTLED, SUSPENDED]
    assert world.state() == HALTED
    changes = world.standings.changes(world.firm, 100)
    assert [each.stage for each in changes] == [SUSPENDED, THROTTLED, RECTIFY, WARNED]
    assert {each.standing for each in changes} == {1}


def test_the_suspension_is_in_the_history_by_its_actor(world: Enforced) -> None:
    suspended(world)
    last = world.log.history(kind="operator", id=world.firm, after=0, limit=100)[-1]
    assert last.changed_by == CONFORMANCE
    assert "conformance" in last.reason


def test_a_clean_attestation_reinstates(world: Enforced) -> None:
    suspended(world)
    world.clock.at += DAY
    world.attest()
    world.step()
    assert (world.stage(), world.state()) == (NONE, ACTIVE)


def test_an_attestation_that_is_not_clean_does_not_reinstate(world: Enforced) -> None:
    suspended(world)
    world.attest(difference("r-2", EXPIRED_HELD))
    world.step()
    assert (world.stage(), world.state()) == (SUSPENDED, HALTED)


def test_contesting_does_not_reinstate_but_being_right_does(world: Enforced) -> None:
    suspended(world)
    finding = world.standing()["r-1", EXPIRED_HELD]
    world.contests.contest(world.firm, finding.finding_id, "no", b"", world.clock.now())
    world.step()
    assert (world.stage(), world.state()) == (SUSPENDED, HALTED)
    world.contests.decide(
        finding.finding_id, dismiss=True, reason="right", decided_by="w", now=world.clock.now()
    )
    world.step()
    assert (world.stage(), world.state()) == (NONE, ACTIVE)


def test_saying_that_a_removal_was_done_does_not_reinstate_without_an_attestation(
    world: Enforced,
) -> None:
    world.findings.open_removal_overdue(world.firm, "r-1", 0, 0, world.clock.now())
    world.pass_time(20 * DAY)
    assert world.state() == HALTED
    world.findings.removal_acknowledged(world.firm, 0, world.clock.now())
    world.step()
    assert world.state() == HALTED
    world.attest()
    world.step()
    assert world.state() == ACTIVE


def test_a_suspension_by_an_administrator_is_not_lifted(world: Enforced) -> None:
    world.attest(difference("r-1"))
    world.decide(HALTED)
    world.pass_time(20 * DAY)
    world.attest()
    world.step()
    assert (world.stage(), world.state()) == (NONE, HALTED)


def test_a_suspension_that_an_administrator_has_joined_is_not_lifted(world: Enforced) -> None:
    suspended(world)
    world.decide(HALTED)
    world.attest()
    world.step()
    assert (world.stage(), world.state()) == (NONE, HALTED)
    world.rename()
    world.pass_time(DAY)
    assert world.state() == HALTED


def test_a_suspension_that_was_joined_is_not_lifted_by_findings_that_come_later(
    world: Enforced,
) -> None:
    suspended(world)
    world.decide(HALTED)
    world.attest()
    world.step()
    world.attest(difference("r-2", EXPIRED_HELD))
    world.pass_time(12 * DAY)
    world.attest()
    world.step()
    assert (world.stage(), world.state()) == (NONE, HALTED)


@always_on_postgresql
def test_who_reinstates_after_joining_a_suspension_pardons_what_led_to_it(world: Enforced) -> None:
    suspended(world)
    world.decide(HALTED)
    world.step()
    world.decide(ACTIVE)
    world.pass_time(50 * DAY)
    assert (world.stage(), world.state()) == (THROTTLED, ACTIVE)


def test_a_suspended_operator_that_was_renamed_is_reinstated_all_the_same(
    world: Enforced,
) -> None:
    suspended(world)
    world.rename()
    world.step()
    assert world.state() == HALTED
    world.attest()
    world.step()
    assert world.state() == ACTIVE


def test_what_an_administrator_has_pardoned_does_not_suspend_again(world: Enforced) -> None:
    suspended(world)
    world.decide(ACTIVE)
    world.step()
    assert (world.stage(), world.state()) == (THROTTLED, ACTIVE)
    world.pass_time(50 * DAY)
    assert (world.stage(), world.state()) == (THROTTLED, ACTIVE)
    world.attest(difference("r-1", EXPIRED_HELD), difference("r-2", EXPIRED_HELD))
    world.pass_time(12 * DAY)
    assert (world.stage(), world.state()) == (SUSPENDED, HALTED)


def test_what_is_found_in_the_second_of_a_pardon_is_pardoned_where_it_was_found_before(
    world: Enforced,
) -> None:
    suspended(world)
    find_overdue(world, "before")
    world.decide(ACTIVE)
    world.step()
    find_overdue(world, "after")
    # Another change of authority in that second has all of it looked at again.
    world.decide(HALTED)
    world.step()
    world.decide(ACTIVE)
    world.step()
    pardoned = {record: finding.pardoned for (record, _), finding in world.standing().items()}
    assert (pardoned["before"], pardoned["after"]) == (True, False)
    world.pass_time(12 * DAY - 1)
    assert (world.stage(), world.state()) == (THROTTLED, ACTIVE)
    world.pass_time(1)
    assert (world.stage(), world.state()) == (SUSPENDED, HALTED)


def find_overdue(world: Enforced, record_id: str) -> None:
    """Find that a removal of general severity is overdue."""
    assert world.findings.open_removal_overdue(world.firm, record_id, 0, 2, world.clock.now())


def test_a_revoked_operator_stays_so(world: Enforced) -> None:
    world.attest(difference("r-1"))
    world.decide(REVOKED)
    world.pass_time(20 * DAY)
    world.attest()
    world.step()
    assert world.state() == REVOKED


@always_on_postgresql
def test_a_contested_finding_entails_nothing_and_its_time_is_put_off(world: Enforced) -> None:
    world.attest(difference("r-1"))
    finding = world.standing()["r-1", CONTENT_ALTERED]
    world.contests.contest(world.firm, finding.finding_id, "no", b"", world.clock.now())
    world.pass_time(30 * DAY)
    assert world.stage() == NONE
    world.contests.decide(
        finding.finding_id, dismiss=False, reason="r", decided_by="w", now=world.clock.now()
    )
    world.step()
    assert world.stage() == RECTIFY
    world.pass_time(7 * DAY)
    assert world.stage() == THROTTLED


@always_on_postgresql
def test_another_process_goes_on_where_one_was_cut_off(world: Enforced) -> None:
    world.attest(difference("r-1"))
    world.pass_time(20 * DAY)
    # As if the process had ended between the authority log and the store of evidence.
    world.attest()
    suspensions = Suspensions(world.log)
    present = suspensions.of(world.firm)
    assert present is not None
    assert suspensions.reinstate(present, world.clock.now())
    another = Settling(world.engines.evidence, world.policy, suspensions)
    another.step(world.clock.now())
    assert (world.stage(), world.state()) == (NONE, ACTIVE)


@always_on_postgresql
def test_a_change_that_came_first_is_not_overwritten(world: Enforced) -> None:
    suspensions = Suspensions(world.log)
    before = suspensions.of(world.firm)
    assert before is not None
    world.rename()
    assert not suspensions.suspend(before, world.clock.now())
    assert world.state() == ACTIVE


def test_who_holds_copies_and_does_not_attest_in_time_is_found_once(world: Enforced) -> None:
    world.serve("r-1")
    for _ in range(100):
        world.pass_time(1)
    assert not world.standing()
    world.pass_time(366 * DAY)
    assert world.standing().keys() == {("", OVERDUE)}
    assert world.stage() == WARNED
    finding = world.standing()["", OVERDUE]
    world.contests.decide(
        finding.finding_id, dismiss=True, reason="r", decided_by="w", now=world.clock.now()
    )
    world.pass_time(DAY)
    assert not world.standing()
    world.pass_time(366 * DAY)
    world.attest()
    assert not world.standing()


def test_who_was_served_nothing_need_not_attest(world: Enforced) -> None:
    for _ in range(5):
        world.pass_time(400 * DAY)
    assert not world.standing()


@pytest.mark.parametrize("served", [False, True])
def test_who_attested_that_it_holds_none_owes_no_attestation_unless_it_is_served(
    world: Enforced, *, served: bool
) -> None:
    (sequence,) = world.serve("told-missing")
    missing = difference(world.record("told-missing"), MISSING, revision_sequence=sequence)
    world.attest(missing, copies=0)
    if served:
        world.serve("held")
    world.pass_time(366 * DAY)
    assert (("", OVERDUE) in world.standing()) == served
