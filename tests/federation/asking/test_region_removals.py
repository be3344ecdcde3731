"""Copies of other regions' records are judged by what these gave and told since, and what must go
is owed, found and told to them, on both stores (article 8, article 13; guarantee G9)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from consent.model import Consent
from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.acknowledgement import RemovedElsewhere
from gateway.conformance.classify import Grace
from gateway.conformance.due import EntitledAnywhere
from gateway.conformance.finding_messages import finding_message
from gateway.conformance.findings import Findings
from gateway.conformance.holdings import Holdings
from gateway.conformance.judging import Differing, Judge, Judged
from gateway.conformance.model import REMOVAL_OVERDUE, Finding
from gateway.conformance.outage import Outage
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.policy_file import read_policy
from gateway.conformance.putting_off import PuttingOff
from gateway.conformance.removals import Owed
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.event_concerns import Change
from gateway.federation.asking.event_places import place
from gateway.federation.asking.region_events import LATE_SECONDS, SqlRegionEvents
from gateway.federation.asking.removal_tables import REGION_REMOVALS
from gateway.federation.asking.removal_telling import Gone, PastChanges
from gateway.federation.asking.removals import RegionRemovals
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import NOT_PASSED_ON
from gateway.storage.engines import Engines
from tests import consenting
from tests.clock import NOW
from tests.conformance.disclosing import HOUR, ByDays
from tests.federation.asking.test_uses import NORTH, SOUTH, Made, answer, uses
from tests.installation import company

CORRECTED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
DIGEST, OTHER = sha256(b"as given").digest(), sha256(b"altered").digest()
GIVEN = Copy("record-0000", DIGEST, NOW - 10, NOW + 1_000 * HOUR)
TWO_DAYS = 48 * HOUR
"""Until what is of general severity must be gone."""


@dataclass
class World:
    """What a gateway keeps of other regions, and its operator alpha."""

    engines: Engines
    requests: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.kept = RegionUses(self.engines.records)
        self.events = SqlRegionEvents(self.engines.records)
        self.removals = RegionRemovals(self.engines, ByDays())
        self.findings = Findings(self.engines.evidence, read_policy())
        self.judge = Judge(self.engines, RegionCopies(self.engines, self.removals))

    def give(
        self, region: str = NORTH, operator_id: str = "alpha", consent: str = "", **changed: Any
    ) -> None:
        """Give an operator a record, as it is unless ``changed``."""
        whole: dict[str, Any] = {
            "content_digest": DIGEST,
            "disclosed_from": GIVEN.disclosed_from,
            "disclosed_until": GIVEN.disclosed_until,
            "severity": Severity.SEVERITY_GENERAL,
            "cut": False,
        }
        use = uses(1)[0]._replace(**(whole | changed))
        made = Made(region=region, operator_id=operator_id, request_id=f"r-{next(self.requests)}")
        kept = answer(made, 1)._replace(
            consent=consent, opened=None if use.opened is None else int(use.opened)
        )
        self.kept.keep(kept, [use])

    def tell(self, kind: int = REPAIRED, revision: int = 1, sequence: int = 10) -> None:
        """Hear from the region what became of its record."""
        change = Change(sequence, GIVEN.record_id, revision, kind, "xzcf", NOW - 5)
        self.events.take(NORTH, [change], sequence, NOW)

    def judged(self, *copies: Copy, now: int = NOW, read_at: int | None = None) -> Judged:
        """Judge copies that alpha shows, which it read at ``read_at``."""
        differing = Differing([], [], [], [], copies)
        grace = Grace(10**9, ByDays().removal_seconds, now, read_at=read_at)
        return self.judge.judge("alpha", differing, grace)

    def found(
        self, *copies: Copy, now: int = NOW, read_at: int | None = None
    ) -> list[tuple[str, str]]:
        """Return what is found about copies, by kind and region."""
        judged = self.judged(*copies, now=now, read_at=read_at)
        return [
            (
                FindingKind.Name(FindingKind.ValueType(each.kind)).removeprefix("FINDING_KIND_"),
                each.region,
            )
            for each in judged.differences
        ]

    def overdue(self, now: int) -> dict[int, bool]:
        """Bring findings up to ``now``; return those of overdue removals, by event, and whether
        they stand."""
        OverdueRemovals(self.engines.evidence, self.removals, self.findings, REGION_REMOVALS).step(
            now
        )
        found = self.listed()
        assert all((each.kind, each.region) == (REMOVAL_OVERDUE, NORTH) for each in found)
        return {each.event_sequence: not each.closed_at for each in found}

    def listed(self) -> Sequence[Finding]:
        """Return alpha's findings."""
        return self.findings.listed(
            operator_id="alpha", attestation_id="", state=0, before="", limit=100
        )


@pytest.fixture
def world(engines: Engines) -> World:
    """A world on an empty store."""
    return World(engines)


def test_a_copy_of_another_regions_record_is_judged_as_one_of_this_region_is(world: World) -> None:
    assert world.found(GIVEN) == [("NEVER_SERVED", "")]
    world.give(operator_id="beta")
    world.give(subject=NOT_PASSED_ON)
    assert world.found(GIVEN) == [("NEVER_SERVED", "")]
    world.give()
    assert world.found(GIVEN) == []
    assert world.found(GIVEN._replace(content_digest=OTHER)) == [("CONTENT_ALTERED", NORTH)]
    assert world.found(GIVEN._replace(disclosed_until=NO_END)) == [("PERIOD_ALTERED", NORTH)]
    assert world.found(GIVEN, now=GIVEN.disclosed_until) == [("EXPIRED_HELD", NORTH)]


def test_of_what_was_given_before_it_was_kept_nobody_is_accused(world: World) -> None:
    world.give(content_digest=None, disclosed_from=None, disclosed_until=None, severity=None)
    assert world.found(GIVEN, GIVEN._replace(content_digest=OTHER)) == []


def test_a_copy_that_a_consent_opened_is_kept_as_long_as_one_of_the_consents_lets_it(
    world: World,
) -> None:
    consents = SqlConsents(world.engines.records)

    def given(days: int) -> Consent:
        terms = consenting.terms(["penalty"], data_life_seconds=days * 24 * HOUR)
        return consenting.given(consents, company(1), terms)

    short, lasting = given(10), given(20)
    # Cut or whole: it was opened all the same.
    world.give(consent=short.name, opened=True, cut=True)
    over = [("CONSENT_LIFE_OVER", NORTH)]
    assert world.found(GIVEN, now=NOW + 240 * HOUR - 1) == []
    assert world.found(GIVEN, now=NOW + 240 * HOUR) == over
    world.give(consent=lasting.name, opened=True)
    assert world.found(GIVEN, now=NOW + 480 * HOUR - 1) == []
    assert world.found(GIVEN, now=NOW + 480 * HOUR) == over
    # What the consent did not open is everybody's to have.
    world.give(consent=short.name)
    assert world.found(GIVEN, now=NOW + 480 * HOUR) == []


def test_a_consent_taken_back_ends_copies_of_other_regions_and_so_does_the_firms_word(
    world: World,
) -> None:
    consents = SqlConsents(world.engines.records)
    consent = consenting.given(consents, company(1), consenting.terms(["penalty"]))
    world.give(consent=consent.name, opened=True)
    consenting.moved(consents, consent, "revoke", NOW + 1)
    over = [("CONSENT_LIFE_OVER", NORTH)]
    assert world.found(GIVEN, now=NOW + 24 * HOUR) == []
    assert world.found(GIVEN, now=NOW + 24 * HOUR + 1) == over
    consents.acknowledge(consent.consent_id, "alpha", NOW + 2, "alpha-one", NOW + 3)
    assert world.found(GIVEN, now=NOW + 4) == over


def test_a_copy_given_before_it_was_known_what_a_consent_opened_is_judged_by_its_items(
    world: World,
) -> None:
    consents = SqlConsents(world.engines.records)
    over = [("CONSENT_LIFE_OVER", NORTH)]
    for item, found in (("other", []), ("penalty", over)):
        terms = consenting.terms([item], data_life_seconds=HOUR)
        consent = consenting.given(consents, company(1), terms)
        digest = sha256(item.encode()).digest()
        world.give(consent=consent.name, opened=None, content_digest=digest)
        assert world.found(GIVEN._replace(content_digest=digest), now=NOW + HOUR) == found


def test_two_regions_may_name_their_records_alike(world: World) -> None:
    world.give()
    world.give(region=SOUTH, content_digest=OTHER)
    other = GIVEN._replace(content_digest=OTHER)
    world.tell()
    assert world.found(GIVEN, other, now=NOW + TWO_DAYS) == [("REPAIRED_HELD", NORTH)]
    assert world.found(GIVEN._replace(disclosed_from=1)) == [("PERIOD_ALTERED", NORTH)]
    assert world.found(other._replace(disclosed_from=1)) == [("PERIOD_ALTERED", SOUTH)]
    nobodys = GIVEN._replace(content_digest=sha256(b"nobody's").digest())
    assert world.found(nobodys) == [("CONTENT_ALTERED", SOUTH)]


def test_what_an_event_made_void_is_excused_until_its_deadline_unless_it_was_said_to_be_gone(
    world: World,
) -> None:
    world.give()
    world.tell(CORRECTED, revision=2)
    corrected = GIVEN._replace(content_digest=OTHER)
    world.give(revision=2, content_digest=OTHER)
    excused = world.judged(GIVEN, corrected)
    assert (excused.differences, excused.excused) == ([], True)
    assert excused.void_elsewhere == {(NORTH, GIVEN.record_id)}
    assert world.judged(corrected).void_elsewhere == frozenset()
    assert world.found(GIVEN, corrected, now=NOW + TWO_DAYS) == [("CORRECTED_HELD", NORTH)]
    world.removals.acknowledge("alpha", [RemovedElsewhere(1, NOW)], "alpha-one", NOW)
    assert world.found(GIVEN, corrected) == [("CORRECTED_HELD", NORTH)]


def test_a_firm_attests_as_long_as_it_may_hold_anything_another_region_gave(world: World) -> None:
    copies = RegionCopies(world.engines, world.removals)
    own = Holdings(world.engines)
    due = EntitledAnywhere(own, copies)
    assert due.entitled("alpha", NOW) == 0
    world.give(subject=NOT_PASSED_ON)
    assert due.entitled("alpha", NOW) == 0
    world.give()
    assert (due.entitled("alpha", NOW), due.entitled("beta", NOW)) == (1, 0)
    assert not copies.holds("alpha", GIVEN.disclosed_until)
    world.tell(CORRECTED, revision=2)
    assert not copies.holds("alpha", NOW)
    world.give(revision=2)
    assert copies.holds("alpha", NOW)
    world.tell(REPAIRED, revision=2, sequence=20)
    assert not copies.holds("alpha", NOW)


def test_a_removal_is_owed_from_when_it_was_told_and_found_when_it_is_late(world: World) -> None:
    world.give()
    assert world.removals.owed("alpha", NOW) == Owed(0, 0, None)
    world.tell()
    deadline = NOW + TWO_DAYS
    assert world.removals.owed("alpha", NOW) == Owed(1, 0, deadline)
    assert world.overdue(deadline - 1) == {}
    assert world.overdue(deadline) == {10: True}
    assert world.removals.owed("alpha", deadline) == Owed(1, 1, deadline)
    # Found once, and rectified by the word.
    assert world.overdue(deadline + 1) == {10: True}
    unknown = [RemovedElsewhere(1, NOW), RemovedElsewhere(2, NOW)]
    assert world.removals.acknowledge("alpha", unknown, "alpha-one", deadline + 2) == (1, 1)
    assert world.overdue(deadline + 3) == {10: False}
    assert world.removals.acknowledge("alpha", unknown[:1], "alpha-one", deadline + 4) == (0, 1)


def test_a_finding_names_the_event_by_its_position_in_the_regions_log(world: World) -> None:
    world.give()
    world.events.begin(NORTH, place(2, 0), anew=True)
    world.tell(sequence=place(2, 10))
    world.overdue(NOW + TWO_DAYS)
    (finding,) = world.listed()
    assert finding_message(finding, read_policy(), NOW + TWO_DAYS).event_sequence == 10


def test_a_word_that_comes_late_leaves_its_trace(world: World) -> None:
    world.give()
    world.tell()
    word = [RemovedElsewhere(1, NOW)]
    assert world.removals.acknowledge("alpha", word, "alpha-one", NOW + TWO_DAYS) == (1, 1)
    assert world.overdue(NOW + TWO_DAYS) == {10: False}


def test_an_attestation_shows_gone_what_was_told_before_the_copies_were_read(world: World) -> None:
    world.give()
    world.tell()

    def attested(read_at: int, held: set[tuple[str, str]]) -> int:
        world.removals.follow("alpha")
        with world.engines.evidence.begin() as connection:
            world.removals.attested_gone(connection, "alpha", read_at, held, "alpha-one", NOW + 9)
        return world.removals.owed("alpha", NOW).outstanding

    assert attested(NOW, set()) == 1
    assert attested(NOW + 1, {(NORTH, GIVEN.record_id)}) == 1
    assert attested(NOW + 1, {(SOUTH, GIVEN.record_id)}) == 0


def test_a_region_is_told_once_nobody_holds_what_it_ended_and_no_answer_may_come_any_more(
    world: World,
) -> None:
    past = PastChanges(world.engines.records, world.removals)
    world.give()
    world.give(operator_id="beta")
    world.tell()
    # An event for which nobody here was given anything is told too: the region waits for a word.
    other = Change(20, "nobody-has-it", 1, REPAIRED, "xzcf", NOW)
    world.events.take(NORTH, [other], 20, NOW + 3)
    late = NOW + LATE_SECONDS
    assert past.gone(late - 1) == {}
    world.removals.acknowledge("alpha", [RemovedElsewhere(1, NOW + 4)], "a", NOW + 5)
    assert past.gone(late + 3) == {NORTH: [Gone(20, NOW + 3)]}
    world.removals.follow("beta")
    world.removals.acknowledge("beta", [RemovedElsewhere(1, NOW + 6)], "b", NOW + 7)
    assert past.gone(late) == {NORTH: [Gone(10, NOW + 6)]}
    assert past.gone(late + 3) == {NORTH: [Gone(10, NOW + 6), Gone(20, NOW + 3)]}
    past.told(NORTH, [Gone(10, NOW + 6)], [], late)
    assert past.gone(late + 3) == {NORTH: [Gone(20, NOW + 3)]}


def test_a_region_that_begins_its_log_anew_is_told_by_that_what_was_told_by_the_former(
    world: World,
) -> None:
    past = PastChanges(world.engines.records, world.removals)
    former, present = place(1, 10), place(2, 10)
    world.give()
    for sequence in (former, present):
        world.events.begin(NORTH, sequence - 1, anew=True)
        world.tell(sequence=sequence)
    late = NOW + LATE_SECONDS
    assert past.gone(late) == {}
    world.removals.acknowledge("alpha", [RemovedElsewhere(1, NOW + 4)], "a", NOW + 5)
    gone = {Gone(each, NOW + 4) for each in (former, present)}
    assert set(past.gone(late)[NORTH]) == gone
    assert world.removals.owed("alpha", NOW).outstanding == 0


def test_a_void_copy_of_another_regions_record_is_excused_until_the_deadline_it_has(
    world: World,
) -> None:
    world.give()
    world.tell()
    world.removals.follow("alpha")
    outage = Outage(NOW, NOW + 10 * TWO_DAYS, 0)
    with world.engines.evidence.begin() as connection:
        duties = [(world.removals, REGION_REMOVALS)]
        PuttingOff(SqlOverdue(world.engines.records), duties, 0).put_off(connection, outage)
    deadline = outage.ended + TWO_DAYS
    assert world.found(GIVEN, now=deadline - 1) == []
    assert world.found(GIVEN, now=deadline) == [("REPAIRED_HELD", NORTH)]


def test_a_word_that_another_regions_record_is_gone_is_not_worse_than_none(world: World) -> None:
    world.give()
    world.tell()
    (event,) = world.events.after("alpha", 0, 10)
    gone = NOW + HOUR
    world.removals.acknowledge("alpha", [RemovedElsewhere(event.number, gone)], "one", gone)
    now = gone + HOUR
    assert world.judged(GIVEN, now=now, read_at=gone - 1).excused
    assert world.found(GIVEN, now=now, read_at=gone - 1) == []
    assert world.found(GIVEN, now=now, read_at=gone) == [("REPAIRED_HELD", NORTH)]
    # Gone in time, it was held rightly when it was read.
    assert world.found(GIVEN, now=NOW + TWO_DAYS, read_at=gone - 1) == []


def test_a_word_that_another_regions_record_was_gone_too_late_excuses_nothing(world: World) -> None:
    world.give()
    world.tell()
    (event,) = world.events.after("alpha", 0, 10)
    gone = NOW + TWO_DAYS
    world.removals.acknowledge("alpha", [RemovedElsewhere(event.number, gone)], "one", gone)
    assert world.found(GIVEN, now=gone + HOUR, read_at=gone - 1) == [("REPAIRED_HELD", NORTH)]
