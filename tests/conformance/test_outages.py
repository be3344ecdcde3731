"""No deadline of an operator runs out while the gateway could not be reached."""

import asyncio
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, literal, select

from consent.overdue import SqlOverdue
from consent.removals import Removal
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord, DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.challenges import Challenges
from gateway.conformance.classify import Grace
from gateway.conformance.model import ATTESTATION_FALSE, RECTIFY, THROTTLED, WARNED
from gateway.conformance.outage import Outage, put_off_by
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.overdue_consents import OverdueConsents
from gateway.conformance.policy_file import read_policy
from gateway.conformance.removals import Removed
from gateway.conformance.revisions import Ending
from gateway.conformance.uptime import outages_since
from gateway.server.grounds import grounds_of
from gateway.server.policies import Policies
from gateway.server.uptime import uptime_of
from gateway.usage.policy import AgreementPolicy
from gateway.usage.tables import AGREEMENT_DUTIES
from tests.clock import NOW, StandingClock
from tests.conformance.acting import Operator, Stage, staged
from tests.conformance.attesting import attest, copy_of
from tests.conformance.enforcing import DAY, ISSUER, Enforced, difference, enforced_on
from tests.conformance.honest import acknowledge, records, show_all, withdraw
from tests.conformance.policies import policy_file
from tests.conformance.test_challenges import absent
from tests.consent.store import ConsentStore
from tests.consent.world import act
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Installation, eventually
from tests.patience import patiently
from tests.stores import SqliteStores

pytestmark = rarely_on_postgresql

HOUR: Final = 3_600
AGREEMENT: Final = AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14))
GRACE: Final = 4 * HOUR
SILENCE: Final = 12 * HOUR
INSTANTS: Final = st.integers(0, 10**10)


@st.composite
def outages(draw: st.DrawFn) -> Outage:
    """Return any outage."""
    began = draw(INSTANTS)
    seconds, grace = draw(st.integers(1, 10**8)), draw(st.integers(0, DAY))
    return Outage(began, began + seconds, grace)


@given(outages(), INSTANTS)
def test_as_much_time_is_left_after_an_outage_as_was_before(outage: Outage, deadline: int) -> None:
    later = outage.put_off(deadline)
    if deadline < outage.began:
        assert later == deadline
    else:
        left = deadline - outage.began
        assert later - outage.ended == max(left, outage.grace)


@given(outages(), INSTANTS, INSTANTS)
def test_what_was_due_sooner_is_never_due_later(outage: Outage, one: int, other: int) -> None:
    first, last = sorted((one, other))
    assert outage.put_off(first) <= outage.put_off(last)


@given(st.lists(outages(), max_size=4), INSTANTS, st.integers(1, 10**7))
def test_a_deadline_that_is_written_nowhere_is_put_off_as_if_it_were(
    all_outages: list[Outage], begun: int, time: int
) -> None:
    ordered = sorted(all_outages, key=lambda each: each.ended)
    written = begun + time
    for each in ordered:
        # What began afterwards, or in it, was not there to be put off by an earlier one.
        written = each.put_off(written) if begun < each.ended else written
    assert put_off_by(ordered, begun, begun + time) == written >= begun + time


@given(outages(), st.integers(0, 10**9))
def test_a_store_puts_off_as_the_rule_does(outage: Outage, left: int) -> None:
    with create_engine("sqlite://").connect() as connection:
        later = connection.execute(select(outage.put_off_in(literal(outage.began + left)))).scalar()
    assert later == outage.put_off(outage.began + left)


class World:
    """An operator before a gateway that may be away."""

    def __init__(self, enforced: Enforced) -> None:
        self.enforced = enforced
        engines, findings = enforced.engines, enforced.findings
        self.consents = ConsentStore(engines.records)
        self.removals = OverdueRemovals(engines.evidence, enforced.duties, findings)
        self.late_consents = OverdueConsents(SqlOverdue(engines.records), findings)
        self.firm = enforced.newcomer()
        self.begin()

    def begin(self) -> None:
        """Start the gateway's processes."""
        self.uptime = uptime_of(self.enforced.engines, self.enforced.policy, AGREEMENT)
        self.uptime.step(self.enforced.clock.now())

    def stay_up(self, seconds: int) -> None:
        """Let time pass while the gateway is up, and work."""
        clock = self.enforced.clock
        until = clock.now() + seconds
        while clock.now() < until:
            clock.at = min(clock.at + SILENCE - 1, until)
            self.uptime.step(clock.now())
        self.work()

    def be_away(self, seconds: int) -> None:
        """Let time pass while the gateway is down; then it starts and works."""
        self.enforced.clock.at += seconds
        self.begin()
        self.work()

    def work(self) -> None:
        """Have the enforcer do what there is to do."""
        now = self.enforced.clock.now()
        self.removals.step(now)
        self.late_consents.step(now)
        self.enforced.step()

    def removal(self, consent_id: str) -> Removal:
        """Return what the operator owes for a consent."""
        return self.consents.removals([consent_id])[consent_id]

    def left(self) -> int:
        """Return how long the operator has for the removal it owes next."""
        now = self.enforced.clock.now()
        deadline = self.enforced.duties.owed(self.firm, now).next_deadline
        assert deadline is not None
        return deadline - now

    def found(self) -> set[str]:
        """Return the kinds of what stands."""
        return {
            FindingKind.Name(FindingKind.ValueType(kind)).removeprefix("FINDING_KIND_")
            for _, kind in self.enforced.standing()
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Generator[World]:
    """A world on an empty store."""
    with enforced_on(request, outages={"silence": SILENCE, "grace": GRACE}) as enforced:
        yield World(enforced)


def test_a_removal_that_fell_due_while_the_gateway_was_away_is_due_after_it(world: World) -> None:
    world.enforced.serve("one")
    event = world.enforced.disclosing.end(world.enforced.record("one"))
    world.stay_up(HOUR)
    left = world.left()
    world.be_away(10 * DAY)
    assert world.found() == set()
    assert world.left() == left
    world.stay_up(left - 1)
    assert world.found() == set()
    now = world.enforced.clock.now()
    world.enforced.duties.acknowledge(world.firm, [Removed(event, now)], "firm-client", now)
    world.stay_up(HOUR)
    assert world.found() == set()


def test_a_removal_nobody_had_written_down_before_the_outage_is_put_off_too(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    world.be_away(10 * DAY)
    assert world.found() == set()


def test_who_has_time_again_and_lets_it_pass_is_found(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    world.stay_up(HOUR)
    world.be_away(10 * DAY)
    world.stay_up(world.left())
    assert world.found() == {"REMOVAL_OVERDUE"}


@always_on_postgresql
def test_a_report_on_a_consent_is_put_off_and_when_copies_must_be_gone_is_not(
    world: World,
) -> None:
    made = world.consents.granted(operator_id=world.firm)
    served = world.enforced.serve("one")
    world.consents.use(made, NOW, made.consent_id[-20:], served)
    world.consents.move(made.consent_id, "revoke", act(NOW))
    before = world.removal(made.consent_id)
    world.stay_up(HOUR)
    world.be_away(10 * DAY)
    assert world.found() == set()
    after = world.removal(made.consent_id)
    assert after.deadline == before.deadline
    assert after.report_by == before.report_by + 10 * DAY
    world.stay_up(after.report_by - world.enforced.clock.now())
    assert world.found() == {"REMOVAL_OVERDUE"}


def test_copies_to_be_shown_and_attestations_due_are_put_off(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.attest(copies=1)
    (asked,) = world.enforced.asked()
    world.be_away(30 * DAY)
    assert world.found() == set()
    (again,) = world.enforced.asked()
    assert again.deadline == asked.deadline + 30 * DAY
    judged = world.enforced.show((asked.record_id, asked.copy_digest))
    assert judged.confirmed == 1
    assert world.found() == set()


@always_on_postgresql
def test_who_serves_puts_off_before_it_compares_a_deadline(world: World) -> None:
    enforced, clock = world.enforced, world.enforced.clock
    enforced.serve("one", "two")
    enforced.attest(copies=2)
    asked, _ = enforced.asked()
    event = enforced.disclosing.end(enforced.record("two"))
    world.stay_up(HOUR)
    left = world.left()
    # A process that serves, on a host that wakes up before anybody enforces.
    serving = uptime_of(enforced.engines, enforced.policy, AGREEMENT)
    clock.at += 10 * DAY
    for _ in range(2):
        serving.wake(clock.now())
        assert world.left() == left
    enforced.duties.acknowledge(
        world.firm, [Removed(event, clock.now())], "firm-client", clock.now()
    )
    assert enforced.show((asked.record_id, asked.copy_digest)).finding_ids == []
    world.work()
    assert world.found() == set()


def test_a_short_silence_is_no_outage_to_who_serves(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    owed = world.enforced.duties.owed(world.firm, NOW)
    world.uptime.wake(NOW + SILENCE - 1)
    # It tells nobody that the gateway is up: it could serve while nobody enforces.
    world.uptime.wake(NOW + SILENCE)
    assert owed.next_deadline is not None
    again = world.enforced.duties.owed(world.firm, NOW)
    assert again.next_deadline == owed.next_deadline + SILENCE


@always_on_postgresql
def test_a_copy_of_which_no_removal_is_written_down_is_excused_for_an_outage(
    world: World,
) -> None:
    enforced, evidence = world.enforced, world.enforced.engines.evidence
    ending = Ending(1, DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN, enforced.clock.now())
    world.stay_up(HOUR)
    world.be_away(10 * DAY)
    with evidence.begin() as connection:
        kept = outages_since(connection, ending.at)
    now = enforced.clock.now()
    grace = Grace(0, _a_day, now, outages=kept)
    assert grace.covers(ending, 0)
    assert grace._replace(now=now + DAY - HOUR - 1).covers(ending, 0)
    assert not grace._replace(now=now + DAY - HOUR + 60).covers(ending, 0)
    assert not grace._replace(outages=()).covers(ending, 0)


@always_on_postgresql
def test_refusing_for_use_that_is_not_agreed_with_is_put_off(world: World) -> None:
    evidence, since = world.enforced.engines.evidence, world.enforced.clock.now()
    owed = {"operator_id": world.firm, "agreed": 0, "since": since, "reminded": True, "due": 0}
    with evidence.begin() as connection:
        connection.execute(insert(AGREEMENT_DUTIES).values(owed))
    world.be_away(30 * DAY)
    with evidence.begin() as connection:
        spared = connection.execute(select(AGREEMENT_DUTIES.c.spared_until)).scalar_one()
    assert spared == since + (21 + 30) * DAY


def test_a_finding_comes_no_further_while_the_gateway_is_away(world: World) -> None:
    policy = world.enforced.policy
    world.enforced.attest(difference("one", FindingKind.FINDING_KIND_EXPIRED_HELD))
    world.work()
    assert world.enforced.stage() == WARNED
    world.be_away(100 * DAY)
    assert world.enforced.stage() == WARNED
    world.stay_up(policy.warned_seconds + SILENCE)
    assert world.enforced.stage() == RECTIFY
    ((_, finding),) = world.enforced.standing().items()
    world.enforced.attest(difference("one", FindingKind.FINDING_KIND_EXPIRED_HELD))
    world.be_away(100 * DAY)
    assert world.enforced.stage() == RECTIFY
    left = finding.deadline + 100 * DAY - world.enforced.clock.now()
    assert left == policy.rectify_seconds(finding.severity) - policy.warned_seconds - SILENCE


def test_a_certificate_counts_on_while_the_gateway_is_away(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.checkpoint()
    attested = world.enforced.attest(copies=1).attestation_id

    def status() -> str | None:
        return world.enforced.certified.status(attested, world.enforced.clock.now())

    world.stay_up(HOUR // 2)
    world.be_away(3 * DAY)
    assert status() == "valid"
    world.stay_up(GRACE - 1)
    assert status() == "valid"
    assert world.enforced.attest(copies=1).certificate
    world.stay_up(1)
    assert status() == "superseded"
    assert not world.enforced.attest(copies=1).certificate


@always_on_postgresql
@pytest.mark.parametrize("away", [0, 3 * DAY])
def test_the_time_of_a_false_attestation_goes_on_in_another_but_for_an_outage(
    world: World, away: int
) -> None:
    enforced = world.enforced
    sequences = dict(zip("ab", enforced.serve("a", "b"), strict=True))

    def lie(name: str) -> int:
        """Have a lie about a copy found out; return its deadline, and mend it."""
        enforced.attest(copies=2)
        enforced.show((enforced.record(name), b""))
        deadline = enforced.standing()[enforced.record(name), ATTESTATION_FALSE].deadline
        enforced.attest(absent(enforced, name, sequences[name]), copies=1)
        return deadline

    first = lie("a")
    world.stay_up(DAY)
    if away:
        world.be_away(away)
    # The last beat is a minute old at most.
    assert 0 <= lie("b") - (first + away) <= min(away, 60)


def test_the_stage_of_a_false_attestation_that_was_rectified_stays_after_an_outage(
    world: World,
) -> None:
    enforced = world.enforced
    (sequence,) = enforced.serve("a")
    enforced.attest(copies=1)
    enforced.show((enforced.record("a"), b""))
    world.stay_up(enforced.policy.rectify_seconds(Severity.SEVERITY_GENERAL) + HOUR)
    assert enforced.stage() == THROTTLED
    enforced.attest(absent(enforced, "a", sequence), copies=0)
    world.be_away(3 * DAY)
    assert enforced.stage() == THROTTLED


def test_at_the_least_a_grace_is_left(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    world.stay_up(world.left() - 1)
    world.be_away(DAY)
    world.stay_up(GRACE - 1)
    assert world.found() == set()
    world.stay_up(1)
    assert world.found() == {"REMOVAL_OVERDUE"}


def test_a_short_silence_or_a_clock_set_back_puts_nothing_off(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    owed = world.enforced.duties.owed(world.firm, NOW)
    world.be_away(world.enforced.policy.silence_seconds - 1)
    world.enforced.clock.at -= DAY
    world.begin()
    world.be_away(world.enforced.policy.silence_seconds - 1)
    assert world.enforced.duties.owed(world.firm, NOW) == owed


@always_on_postgresql
def test_processes_that_start_together_put_off_once(world: World) -> None:
    world.enforced.serve("one")
    world.enforced.disclosing.end(world.enforced.record("one"))
    owed = world.enforced.duties.owed(world.firm, NOW)
    world.be_away(DAY)
    world.begin()
    world.uptime.step(world.enforced.clock.now() + 100)
    again = world.enforced.duties.owed(world.firm, NOW)
    assert owed.next_deadline is not None
    assert again.next_deadline == owed.next_deadline + DAY


@pytest.mark.asyncio
async def test_a_host_that_was_suspended_and_a_gateway_that_was_down_accuse_nobody(
    sqlite_stores: SqliteStores, tmp_path: Path
) -> None:
    clock = StandingClock(int(time.time()))
    policy = policy_file(tmp_path, outages={"silence": "PT5M", "grace": "PT4H"})
    settings = {"conformance_policy": policy}
    with sqlite_stores.database() as store:
        installation = Installation(*store, clock=clock, settings=settings)
        installation.furnish()
        async with (
            staged(installation, tmp_path) as stage,
            stage.operators(1) as (operator,),
        ):
            held, withdrawn = await _owing(stage, operator)
            copies = [copy_of(each) for each in held]
            # At once, before anybody who enforces has woken up.
            clock.at += 10 * DAY
            attestation = await patiently(lambda: attest(operator.channel, copies))
            assert attestation.standing_findings == 0
            clock.at += 10 * DAY
            await patiently(lambda: show_all(operator, held, tmp_path))
            clock.at += 10 * DAY
            await patiently(lambda: attest(operator.channel, copies))
            await eventually(lambda: _has_time(operator), seconds=20)
            assert await operator.findings() == []
            # Nor for what it holds within the deadline it is told.
            clock.at += 10 * DAY
            (told,) = await operator.told_after(0, 1)
            assert told.removal_deadline.seconds > clock.at
            clock.at += 10 * DAY
            await patiently(lambda: acknowledge(operator, withdrawn, clock.at))
            # Nor is it on record that it was late.
            await asyncio.sleep(1.5)
            every = await operator.conformance.ListFindings(pb.ListFindingsRequest())
            assert not every.findings
            await attest(operator.channel, copies[:1])
        clock.at += 10 * DAY
        config = installation.config.model_copy(update=settings)
        # Whoever serves or works begins so.
        async with grounds_of(config, Policies.read(config), ISSUER, clock):
            challenges = Challenges(installation.engines, read_policy())
            assert challenges.listed(operator.operator_id, "", clock.now(), 10)
        installation.close()


def _a_day(severity: int) -> int:
    """Return how long any removal has."""
    assert severity >= 0
    return DAY


async def _has_time(operator: Operator) -> bool:
    """Tell whether the operator can still do all it owes in time."""
    told: pb.GetConformanceResponse = await patiently(
        lambda: operator.conformance.GetConformance(pb.GetConformanceRequest())
    )
    asked: pb.ListChallengesResponse = await patiently(
        lambda: operator.conformance.ListChallenges(pb.ListChallengesRequest())
    )
    due = told.next_attestation_due.seconds
    assert told.outstanding_removals == 1
    return not told.overdue_removals and len(asked.challenges) > 0 and due > 0


async def _owing(stage: Stage, operator: Operator) -> tuple[list[DisclosedRecord], int]:
    """Have an operator attest two copies, and one be withdrawn; return them, and the event."""
    held = [*await records(stage, operator), *await records(stage, operator)]
    await attest(operator.channel, [copy_of(each) for each in held])
    return held, await withdraw(stage, copy_of(held[1]))
