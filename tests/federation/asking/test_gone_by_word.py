"""Who has said that what consents opened of other regions' records is gone is told no more of it,
and owes nothing more for it, on both stores (guarantee G9)."""

from typing import Any

import pytest

from consent.model import Consent
from consent.part_names import part_id
from consent.parts import SqlConsentParts
from consent.sql import SqlConsents
from gateway.conformance.due import EntitledAnywhere
from gateway.conformance.holdings import Holdings
from gateway.conformance.removals import Owed
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.region_events import LATE_SECONDS
from gateway.federation.asking.removal_telling import Gone, PastChanges
from gateway.storage.engines import Engines
from tests import consenting
from tests.clock import NOW
from tests.conformance.disclosing import HOUR
from tests.federation.asking.test_region_removals import TWO_DAYS, World
from tests.federation.asking.test_uses import NORTH
from tests.installation import company


class Consenting(World):
    """A world whose records are given under consents."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(engines)
        self.consents = SqlConsents(engines.records)

    def given(self, **terms: Any) -> Consent:
        """Return a consent under which the record was given."""
        agreed = consenting.terms(["penalty"], **terms)
        consent = consenting.given(self.consents, company(1), agreed)
        self.give(consent=consent.name, opened=True)
        return consent

    def revoked(self) -> Consent:
        """Return a consent that was taken back after the record was given under it."""
        return consenting.moved(self.consents, self.given(), "revoke", NOW + 1)

    def said_gone(self, consent_id: str) -> None:
        """Have alpha say that it has removed what it held under a consent."""
        assert self.consents.acknowledge(consent_id, "alpha", NOW + 2, "alpha-one", NOW + 3)

    def told(self) -> int:
        """Return of how many events alpha is told."""
        return len(self.events.after("alpha", 0, 10))


@pytest.fixture
def world(engines: Engines) -> Consenting:
    """A world on an empty store."""
    return Consenting(engines)


def test_of_what_it_said_is_gone_a_firm_is_told_nothing_and_owes_nothing(
    world: Consenting,
) -> None:
    world.said_gone(world.revoked().consent_id)
    world.tell()
    assert world.told() == 0
    assert world.removals.owed("alpha", NOW) == Owed(0, 0, None)
    assert world.overdue(NOW + TWO_DAYS) == {}
    past = PastChanges(world.engines.records, world.removals)
    assert past.gone(NOW + LATE_SECONDS) == {NORTH: [Gone(10, NOW)]}


def test_what_was_taken_back_in_its_region_and_said_to_be_gone_is_told_no_more(
    world: Consenting,
) -> None:
    consent = world.given()
    parts = SqlConsentParts(world.engines.records)
    assert parts.taken_back(consent.consent_id, NORTH, frozenset(), NOW + 1)
    world.said_gone(part_id(consent.consent_id, NORTH))
    world.tell()
    assert world.told() == 0


def test_a_consent_that_is_over_is_no_word_that_the_copies_are_gone(world: Consenting) -> None:
    world.revoked()
    world.tell()
    assert world.told() == 1


@pytest.mark.parametrize("opened", [True, False])
def test_what_may_be_held_by_another_way_is_told_all_the_same(
    world: Consenting, opened: bool
) -> None:
    over, standing = (
        world.revoked(),
        consenting.given(world.consents, company(1), consenting.terms(["penalty"])),
    )
    world.said_gone(over.consent_id)
    world.give(consent=standing.name, opened=opened)
    world.tell()
    assert world.told() == 1


def test_who_was_told_before_owes_what_it_was_told(world: Consenting) -> None:
    consent = world.revoked()
    world.tell()
    world.said_gone(consent.consent_id)
    world.events.tell_late(NOW + 4)
    assert world.told() == 1
    assert world.removals.owed("alpha", NOW).outstanding == 1


def test_a_firm_attests_no_more_once_nothing_may_be_held_under_any_consent(
    world: Consenting,
) -> None:
    due = EntitledAnywhere(Holdings(world.engines), RegionCopies(world.engines, world.removals))
    world.said_gone(world.revoked().consent_id)
    assert due.entitled("alpha", NOW + 4) == 0
    world.given(data_life_seconds=HOUR)
    assert due.entitled("alpha", NOW + HOUR - 1) == 1
    assert due.entitled("alpha", NOW + HOUR) == 0
    world.give()
    assert due.entitled("alpha", NOW + HOUR) == 1
