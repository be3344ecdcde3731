"""Where much of what a region charges was given to nobody, somebody is told."""

from typing import Any

import pytest
from sqlalchemy import select

from creditgate.v1.alert_service_pb2 import AlertKind
from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.alerts.policy import OwedNotGiven
from gateway.alerts.tables import ALERTS
from gateway.federation.asking.owed import APART_SECONDS, OwedShare
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionUse
from gateway.storage.engines import Engines, reading
from operators.authority import Authority
from tests.clock import NOW, StandingClock
from tests.consent.store import ConsentStore
from tests.consent.world import act
from tests.federation.asking.test_uses import NORTH, Made, answer, uses
from tests.operators.things import authority_of, licence, operator
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
    found = await looked(engines, authority())
    assert found == ([] if told is None else [("region-north", kind, told, day)])


def never_given(count: int) -> list[RegionUse]:
    """Return records that were charged and given to nobody."""
    return [each._replace(subject=NOT_PASSED_ON, own_fee=0) for each in uses(count)]


async def looked(engines: Engines, known: Authority) -> list[tuple[object, ...]]:
    """Return the alerts once what a region charged was looked at twice."""
    clock = StandingClock()
    north = region("north")._replace(entity_id=NORTH, operator_id="region-north")
    owed = OwedShare(engines.records, engines.evidence, POLICY, clock, lambda: known)
    for _ in range(2):
        await owed.look(north)
        clock.at += APART_SECONDS
    query = select(ALERTS.c.operator_id, ALERTS.c.kind, ALERTS.c.counted, ALERTS.c.started_at)
    with reading(engines.evidence) as connection:
        return [tuple(row) for row in connection.execute(query)]


def authority(
    state: OperatorState.ValueType = OperatorState.OPERATOR_STATE_ACTIVE, **changed: Any
) -> Authority:
    """Return what is known of the firm that asked, and of its licence."""
    whole: dict[str, Any] = {"number": "L-ALPHA", "valid_until": NOW + 86_400}
    return authority_of(operator(state=state), licence(**whole | changed))


@pytest.mark.parametrize(
    "known",
    [
        authority(OperatorState.OPERATOR_STATE_SUSPENDED),
        authority(OperatorState.OPERATOR_STATE_REVOKED),
        authority(revoked_at=NOW - 1),
        authority(valid_until=NOW),
        authority_of(),
    ],
    ids=["suspended", "revoked", "licence-revoked", "licence-over", "unknown"],
)
async def test_who_charged_what_this_region_ended_meanwhile_is_not_suspected(
    engines: Engines, known: Authority
) -> None:
    RegionUses(engines.records).keep(answer(Made(), 0), never_given(9))
    assert await looked(engines, known) == []
    # It is once the firm may have it again, and nobody asks.
    assert len(await looked(engines, authority())) == 1


@pytest.mark.parametrize("ended", [False, True], ids=["stands", "revoked"])
async def test_of_a_consent_that_was_taken_back_nothing_is_counted(
    engines: Engines, ended: bool
) -> None:
    consents = ConsentStore(engines.records)
    given = consents.granted()
    lost = answer(Made(), 0)._replace(consent=given.name)
    RegionUses(engines.records).keep(lost, never_given(9))
    if ended:
        consents.move(given.consent_id, "revoke", act(NOW))
    assert len(await looked(engines, authority())) == (not ended)
