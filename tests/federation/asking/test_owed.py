"""Where much of what a region charges was given to nobody, somebody is told."""

import pytest
from sqlalchemy import select

from consent.parts import SqlConsentParts
from consent.regions import SqlConsentRegions
from creditgate.v1.alert_service_pb2 import AlertKind
from gateway.alerts.policy import OwedNotGiven
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.owed import APART_SECONDS, OwedShare
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionUse
from gateway.storage.engines import Engines, reading
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore
from tests.federation.asking.test_uses import NORTH, Made, answer, uses
from tests.witness.world import region

POLICY = OwedNotGiven(records_a_day=5, share=0.5)


@pytest.mark.parametrize(
    ("given", "lost", "told"), [(0, 4, None), (0, 5, 5), (20, 6, None), (6, 6, 6), (7, 6, None)]
)
async def test_records_charged_and_not_given_are_told_of_from_a_number_and_a_share_on(
    engines: Engines, given: int, lost: int, told: int | None
) -> None:
    kept, day = RegionUses(engines.records), NOW - NOW % 86_400
    yesterday = Made(request_id="r-0", served_at=day - 1)
    kept.keep(answer(yesterday, 0), [each._replace(subject=NOT_PASSED_ON) for each in uses(50)])
    kept.keep(answer(Made(request_id="r-1"), given), uses(given))
    kept.keep(answer(Made(request_id="r-2"), 0), never_given(lost))
    kind = AlertKind.ALERT_KIND_OWED_NOT_GIVEN
    found = await looked(engines)
    assert found == ([] if told is None else [("region-north", kind, told, day)])


def never_given(count: int, *, withheld: bool = False) -> list[RegionUse]:
    """Return records that were charged and given to nobody."""
    never = {"subject": NOT_PASSED_ON, "own_fee": 0, "content_digest": None, "withheld": withheld}
    return [each._replace(**never) for each in uses(count)]


async def looked(engines: Engines) -> list[tuple[object, ...]]:
    """Return the alerts once what a region charged was looked at twice."""
    clock = StandingClock()
    north = region("north")._replace(entity_id=NORTH, operator_id="region-north")
    owed = OwedShare(engines.records, engines.evidence, POLICY, clock)
    for _ in range(2):
        await owed.look(north)
        clock.at += APART_SECONDS
    query = select(ALERTS.c.operator_id, ALERTS.c.kind, ALERTS.c.counted, ALERTS.c.started_at)
    with reading(engines.evidence) as connection:
        return [tuple(row) for row in connection.execute(query)]


async def test_what_this_region_kept_back_itself_is_no_ones_suspicion(engines: Engines) -> None:
    kept = RegionUses(engines.records)
    kept.keep(answer(Made(), 0), never_given(9, withheld=True))
    kept.keep(answer(Made(request_id="r-2"), 0), never_given(4))
    assert await looked(engines) == []
    # On the region's word first, and proved then, though it could not be passed on.
    kept.keep(answer(Made(request_id="r-3"), 0), never_given(9))
    kept.keep(answer(Made(request_id="r-3"), 0), never_given(9, withheld=True))
    assert await looked(engines) == []
    kept.keep(answer(Made(request_id="r-4"), 0), never_given(19))
    ((*_, counted, _),) = await looked(engines)
    assert counted == 23


async def test_what_its_subject_took_back_in_the_region_itself_is_not_held_against_it(
    engines: Engines,
) -> None:
    given = ConsentStore(engines.records).granted()
    SqlConsentRegions(engines.records).asking(given.consent_id, NORTH, NOW)
    lost = answer(Made(), 0)._replace(consent=given.name)
    kept = RegionUses(engines.records)
    kept.keep(lost, never_given(9))
    codes = frozenset({"110000"})
    assert SqlConsentParts(engines.records).taken_back(given.consent_id, NORTH, codes, NOW)
    assert len(await looked(engines)) == 1
    kept.keep(lost._replace(request_id="r-2"), never_given(9))
    assert [each.withheld for each in kept.uses(lost._replace(request_id="r-2"))] == [True] * 9
    elsewhere = lost._replace(request_id="r-3", region="https://south.invalid")
    kept.keep(elsewhere, never_given(1))
    assert [each.withheld for each in kept.uses(elsewhere)] == [False]
