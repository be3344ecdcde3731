"""Copies served under consents are kept by what the consents have become: longer where another
opens the same, no longer than the operator says that it has any."""

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import pytest

from consent.changing import Act
from consent.model import Actor, Consent, ConsentItem
from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.answered import last_answer
from gateway.conformance.check import check_conformance
from gateway.conformance.classify import Grace, Removal
from gateway.conformance.following import HoldingsSteps
from gateway.conformance.holdings import Holdings
from gateway.conformance.judging import Judge
from gateway.conformance.matching import Matching
from gateway.conformance.outage import Outage
from gateway.conformance.removals import RemovalDuties, Removed
from gateway.conformance.revisions import Ending, revisions_of
from gateway.conformance.said_before import SaidBefore
from gateway.conformance.told_missing import ToldMissing, keep_told_missing
from gateway.conformance.warm import WarmSets
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.removals import RegionRemovals
from gateway.storage.engines import Engines, reading
from tests import consenting
from tests.clock import NOW
from tests.conformance.disclosing import ByDays, Disclosing
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import admitted, company

pytestmark = rarely_on_postgresql

FIRM = "alpha"
DAY = 86_400
LIFE_OVER = FindingKind.FINDING_KIND_CONSENT_LIFE_OVER
CORRECTED = FindingKind.FINDING_KIND_CORRECTED_HELD
ALTERED = FindingKind.FINDING_KIND_CONTENT_ALTERED


@dataclass
class World:
    """An operator that is served a record of which consents open one field."""

    engines: Engines
    disclosing: Disclosing = field(init=False)

    def __post_init__(self) -> None:
        self.disclosing = Disclosing(self.engines)
        self.consents = SqlConsents(self.engines.records)
        self.duties = RemovalDuties(self.engines, Holdings(self.engines), ByDays())

    @property
    def now(self) -> int:
        """The time."""
        return self.disclosing.clock.now()

    @property
    def copy(self) -> Copy:
        """The record as consents open it."""
        return Copy("r", sha256(b'{"about":"x"}').digest(), 0, NO_END)

    def wait(self, days: int) -> None:
        """Let time pass."""
        self.disclosing.clock.at += days * DAY

    def consent(self, days: int) -> Consent:
        """Have a consent given that lets a copy be kept for so many days."""
        opened = [ConsentItem(item="penalty.general", fields=frozenset({"about"}))]
        terms = consenting.terms(opened, data_life_seconds=days * DAY)
        return consenting.given(self.consents, company(1), terms)

    def publish(self) -> int:
        """Publish the record; return the revision."""
        return self.disclosing.publish("r", content=_content(1))

    def correct(self, revision: int = 1, about: str = "x") -> int:
        """Correct what no consent opens, and perhaps what one does; return the new revision."""
        record = admitted("r", content=_content(revision + 1, about))
        return self.disclosing.disclosure.correct(record, revision)

    def serve(self, consent: Consent, sequence: int) -> None:
        """Serve a revision under a consent."""
        self.disclosing.serve(FIRM, sequence, relies_on=consent, served_at=self.now)

    def end(self, consent: Consent) -> None:
        """Take a consent back."""
        act = Act(Actor.SUBJECT, "", "", self.now)
        self.consents.move(consent.consent_id, "revoke", act)

    def say_removed(self, consent: Consent) -> None:
        """Have the operator say that nothing is left of what it was served under a consent."""
        assert self.consents.acknowledge(consent.consent_id, FIRM, self.now, "client", self.now)
        self.duties.settle_consented(FIRM, "client", self.now)

    def found(self, *copies: Copy, read_at: int | None = None) -> set[int]:
        """Return the kinds of what is found where the operator holds copies that it read at
        ``read_at``, and has read of all events."""
        ready, entitlement = WarmSets(self.engines).of(FIRM, self.now)
        matching = Matching(ready, entitlement.cut)
        matching.take_copies(copies)
        removal = ByDays().removal_seconds
        grace = Grace(entitlement.position, removal, self.now, read_at=read_at)
        judged = Judge(
            self.engines, RegionCopies(self.engines, RegionRemovals(self.engines, ByDays()))
        ).judge(FIRM, matching.differing(), grace)
        return {each.kind for each in judged.differences}

    def owed(self) -> int:
        """Return how many removals the operator owes for events."""
        return self.duties.owed(FIRM, self.now).outstanding

    def follow(self) -> None:
        """Let the follower come to the end of all."""
        steps = HoldingsSteps(self.engines)
        while steps.step():
            pass


@pytest.fixture
def world(engines: Engines) -> World:
    """A world on each kind of store."""
    return World(engines)


def _content(number: int, about: str = "x") -> bytes:
    return b'{"about":"%s","aside":"%d"}' % (about.encode(), number)


@pytest.mark.parametrize("followed", [False, True])
def test_what_two_consents_opened_may_be_held_as_long_as_one_of_them_lets_it_be_kept(
    world: World, followed: bool
) -> None:
    lasting, short = world.consent(days=60), world.consent(days=20)
    sequence = world.publish()
    world.serve(lasting, sequence)
    world.serve(short, sequence)
    if followed:
        world.follow()
    for days in (0, 19, 40):
        world.wait(days)
        assert world.found(world.copy) == set()
        assert Holdings(world.engines).entitled(FIRM, world.now) == 1
    world.wait(1)
    assert world.found(world.copy) == {LIFE_OVER}


@pytest.mark.parametrize("followed", [False, True])
def test_a_former_revision_may_be_held_only_while_the_newest_that_is_alike_may(
    world: World, followed: bool
) -> None:
    lasting, short = world.consent(days=60), world.consent(days=20)
    world.serve(lasting, world.publish())
    corrected = world.correct()
    assert world.found(world.copy) == {CORRECTED}
    world.serve(short, corrected)
    if followed:
        world.follow()
    for days in (0, 19):
        world.wait(days)
        assert world.found(world.copy) == set()
        assert Holdings(world.engines).entitled(FIRM, world.now) == 1
    world.wait(1)
    assert world.found(world.copy) == {CORRECTED}
    assert Holdings(world.engines).entitled(FIRM, world.now) == 0


def test_what_is_gone_by_the_operators_word_on_all_it_was_served_is_not_held_again(
    world: World,
) -> None:
    lasting, other = world.consent(days=60), world.consent(days=20)
    world.serve(lasting, world.publish())
    corrected = world.correct()
    world.duties.acknowledge(FIRM, [Removed(corrected, world.now)], "client", world.now)
    world.serve(other, corrected)
    assert world.found(world.copy) == set()
    world.end(other)
    world.say_removed(other)
    assert world.found(world.copy) == {CORRECTED}
    assert Holdings(world.engines).entitled(FIRM, world.now) == 0


def test_a_copy_attested_after_its_removal_was_acknowledged_is_found(world: World) -> None:
    consent, other = world.consent(days=60), world.consent(days=20)
    sequence = world.publish()
    world.serve(consent, sequence)
    world.end(consent)
    # For a day it may still be there.
    assert world.found(world.copy) == set()
    world.say_removed(consent)
    assert world.found(world.copy) == {LIFE_OVER}
    assert world.found() == set()
    # Unless it was served under another consent too.
    world.serve(other, sequence)
    assert world.found(world.copy) == set()


def test_of_what_is_gone_by_the_operators_word_no_event_concerns_it(world: World) -> None:
    consent = world.consent(days=60)
    sequence = world.publish()
    world.serve(consent, sequence)
    world.end(consent)
    world.say_removed(consent)
    world.disclosing.end("r")
    assert Holdings(world.engines).keepers([sequence]) == {sequence: {FIRM: 0}}
    assert Holdings(world.engines).holders([sequence]) == {sequence: {FIRM}}
    assert world.owed() == 0
    world.follow()
    assert not check_conformance(world.engines).faults


def test_of_what_no_consent_lets_it_keep_any_more_no_event_concerns_it(world: World) -> None:
    sequence = world.publish()
    world.serve(world.consent(days=20), sequence)
    assert Holdings(world.engines).keepers([sequence]) == {sequence: {FIRM: NOW + 20 * DAY}}
    # Events of tests are of the time they begin at: it was served that long before.
    world.disclosing.clock.at = NOW - 20 * DAY
    old = world.disclosing.publish("old", content=_content(1))
    world.serve(world.consent(days=20), old)
    world.disclosing.clock.at = NOW
    for record_id in ("r", "old"):
        world.disclosing.end(record_id)
    assert world.owed() == 1


def test_a_word_on_a_consent_is_one_on_events_that_came_before_it(world: World) -> None:
    consent, other = world.consent(days=60), world.consent(days=60)
    both, one = world.publish(), world.disclosing.publish("one", content=_content(1))
    world.serve(consent, both)
    world.serve(consent, one)
    world.serve(other, both)
    for record_id in ("r", "one"):
        world.disclosing.end(record_id)
    world.end(consent)
    assert world.owed() == 2
    world.say_removed(consent)
    # Of one record another consent lets it keep a copy.
    assert world.owed() == 1
    world.follow()
    assert not check_conformance(world.engines).faults


@pytest.mark.parametrize("opened", [True, False])
def test_who_owes_for_an_event_is_the_same_whatever_is_served_after_it(
    world: World, opened: bool
) -> None:
    consent, other = world.consent(days=60), world.consent(days=60)
    world.serve(consent, world.publish())
    corrected = world.correct(about="y" if opened else "x")
    assert Holdings(world.engines).keepers([1]) == {1: {FIRM: NOW + 60 * DAY}}
    world.wait(1)
    world.serve(consent, corrected)
    world.serve(other, corrected)
    assert Holdings(world.engines).keepers([1]) == {1: {FIRM: NOW + 60 * DAY}}
    world.end(consent)
    world.say_removed(consent)
    assert Holdings(world.engines).keepers([1]) == {1: {FIRM: 0}}
    assert world.owed() == 0
    world.follow()
    assert not check_conformance(world.engines).faults


@always_on_postgresql
def test_of_what_was_gone_before_an_event_nothing_is_owed_for_what_is_served_after_it(
    world: World,
) -> None:
    consent, other = world.consent(days=60), world.consent(days=60)
    world.serve(consent, world.publish())
    world.end(consent)
    world.say_removed(consent)
    world.serve(other, world.correct())
    # Nobody had looked before.
    assert world.owed() == 0
    world.follow()
    assert not check_conformance(world.engines).faults


def test_a_word_on_a_consent_settles_what_another_let_be_kept_no_longer_by_the_event(
    world: World,
) -> None:
    consent, short = world.consent(days=60), world.consent(days=20)
    # Events of tests are of the time they begin at: it was served that long before.
    world.disclosing.clock.at = NOW - 20 * DAY
    sequence = world.publish()
    world.serve(consent, sequence)
    world.serve(short, sequence)
    world.disclosing.clock.at = NOW
    world.disclosing.end("r")
    assert world.owed() == 1
    world.end(consent)
    world.say_removed(consent)
    assert world.owed() == 0


def test_a_correction_of_what_no_consent_opens_leaves_altered_copies_to_be_found(
    world: World,
) -> None:
    consent = world.consent(days=60)
    world.serve(consent, world.publish())
    world.serve(consent, world.correct())
    altered = world.copy._replace(content_digest=sha256(b"altered").digest())
    for _ in range(2):
        assert ALTERED in world.found(altered)
        world.follow()


def test_what_was_read_before_its_life_was_over_is_excused(world: World) -> None:
    world.serve(world.consent(days=20), world.publish())
    world.wait(20)
    assert world.found(world.copy, read_at=world.now - 1) == set()
    assert world.found(world.copy, read_at=world.now) == {LIFE_OVER}


def test_what_was_read_before_its_removal_was_acknowledged_is_excused(world: World) -> None:
    consent = world.consent(days=60)
    world.serve(consent, world.publish())
    world.end(consent)
    world.wait(1)
    world.say_removed(consent)
    assert world.found(world.copy, read_at=world.now - 1) == set()
    assert world.found(world.copy, read_at=world.now) == {LIFE_OVER}
    assert world.found(world.copy) == {LIFE_OVER}


@always_on_postgresql
@pytest.mark.parametrize("days", [1, 60])
def test_who_said_that_it_holds_no_whole_copy_owes_that_of_what_a_consent_opened_besides(
    world: World, days: int
) -> None:
    sequence = world.publish()
    world.disclosing.serve(FIRM, sequence)
    world.serve(world.consent(days), sequence)
    with reading(world.engines.records) as records:
        told = ToldMissing(np.array([sequence]), last_answer(records, FIRM), world.now + 1)
    with world.engines.evidence.begin() as evidence:
        keep_told_missing(evidence, FIRM, told)
    world.wait(2)
    world.disclosing.end("r")
    SaidBefore(world.engines, world.duties, Holdings(world.engines)).follow()
    assert world.owed() == (days > 2)


def test_a_word_on_a_consent_excuses_nothing_that_was_held_too_long(world: World) -> None:
    consent = world.consent(days=1)
    world.serve(consent, world.publish())
    world.end(consent)
    world.wait(1)
    over = world.now
    world.wait(1)
    world.say_removed(consent)
    assert world.found(world.copy, read_at=over - 1) == set()
    assert world.found(world.copy, read_at=over) == {LIFE_OVER}


@always_on_postgresql
def test_each_copy_is_judged_by_the_duty_it_belongs_to(world: World) -> None:
    consent, other = world.consent(days=5), world.disclosing
    first, second = world.publish(), other.publish("s", content=b'{"about":"s","aside":"1"}')
    later = Copy("s", sha256(b'{"about":"s"}').digest(), 0, NO_END)
    world.serve(consent, first)
    world.wait(5)
    world.consents.look(consent.consent_id, world.now)
    world.serve(_as_it_is(world, consent), second)
    # Both are owed by the time it says that the first is gone.
    world.wait(5)
    world.consents.look(consent.consent_id, world.now)
    word = world.consents.acknowledge(
        consent.consent_id, FIRM, world.now - 6 * DAY, "client", world.now
    )
    assert word == 1
    assert world.found(later, read_at=world.now - 1) == set()
    assert world.found(world.copy, read_at=world.now - 6 * DAY - 1) == set()
    assert world.found(world.copy, read_at=world.now - 6 * DAY) == {LIFE_OVER}
    assert world.found(later) == {LIFE_OVER}


@always_on_postgresql
def test_what_was_taken_back_while_nobody_could_be_told_is_not_held_before_it_is_to_be_reported(
    world: World,
) -> None:
    consent, short = world.consent(days=60), world.consent(days=5)
    world.serve(consent, world.publish())
    short_lived = world.disclosing.publish("s", content=b'{"about":"s","aside":"1"}')
    world.serve(short, short_lived)
    over = Copy("s", sha256(b'{"about":"s"}').digest(), 0, NO_END)
    for each in (consent, short):
        world.end(each)
    outage = Outage(world.now + 2, world.now + 10 * DAY, grace=0)
    SqlOverdue(world.engines.records).put_off(outage.began, outage.put_off_in)
    world.wait(10)
    # How long it may keep a copy at most it could know.
    assert world.found(world.copy, over) == {LIFE_OVER}
    assert world.found(world.copy) == set()
    (removal,) = world.consents.removals([consent.consent_id]).values()
    world.disclosing.clock.at = removal.report_by - 1
    assert world.found(world.copy) == set()
    world.disclosing.clock.at += 1
    assert world.found(world.copy) == {LIFE_OVER}


def _as_it_is(world: World, consent: Consent) -> Consent:
    found = world.consents.get(consent.consent_id)
    assert found is not None
    return found


def test_a_copy_is_right_after_a_correction_of_the_grade_alone(world: World) -> None:
    first = world.publish()
    world.disclosing.serve(FIRM, first)
    graded = admitted("r", content=_content(1), severity=Severity.SEVERITY_SERIOUS)
    world.disclosing.disclosure.correct(graded, 1)
    with reading(world.engines.records) as records:
        (copy,) = (each.copy for each in revisions_of(records, [first]))
    assert world.found(copy) == set()


def _at_once(_severity: int) -> int:
    return 0


def test_an_event_after_the_copies_were_read_is_excused_whatever_its_deadline() -> None:
    event = Ending(1, DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN, at=5)
    grace = Grace(0, _at_once, now=10, removals={1: Removal(5, 6)}, read_at=4, file_age=6)
    assert grace.covers(event, 0)
    assert not grace._replace(read_at=5).covers(event, 0)
    # Void copies must go: so long alone.
    assert not grace._replace(file_age=5).covers(event, 0)


def test_a_void_copy_is_excused_until_the_deadline_that_the_operator_has() -> None:
    event = Ending(1, DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN, at=5)
    grace = Grace(0, _at_once, now=10, removals={1: Removal(11, None)})
    assert grace.covers(event, 0)
    assert not grace._replace(now=11).covers(event, 0)
    assert not grace._replace(after=1).covers(event, 0)
    assert not grace._replace(removals={}).covers(event, 0)


def test_a_word_that_a_copy_is_gone_since_it_was_read_is_not_worse_than_none() -> None:
    event = Ending(1, DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN, at=5)
    said = Grace(0, _at_once, now=10, removals={1: Removal(20, 8)}, read_at=7)
    silent = said._replace(removals={1: Removal(20, None)})
    for now in (10, 19):
        assert said._replace(now=now).covers(event, 0)
        assert silent._replace(now=now).covers(event, 0)
    assert not silent._replace(now=20).covers(event, 0)
    # Gone in time, it was held rightly when it was read, whenever that is told.
    assert said._replace(now=20).covers(event, 0)
    assert not said._replace(read_at=8).covers(event, 0)
    assert not said._replace(removals={1: Removal(20, 20)}, now=20).covers(event, 0)
