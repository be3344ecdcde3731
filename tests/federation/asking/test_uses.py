"""Uses of other regions are kept once, whole, and durably, on both stores."""

from dataclasses import dataclass

from sqlalchemy import Engine

from gateway.federation.asking.uses import NOT_PASSED_ON, RegionAnswer, RegionUse, RegionUses
from tests.clock import NOW

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"
DAY = NOW - NOW % 86_400


@dataclass
class Made:
    """What tells one chunk from another."""

    first: int = 0
    region: str = NORTH
    request_id: str = "r-1"
    served_at: int = NOW
    operator_id: str = "alpha"


def answer(made: Made, records: int) -> RegionAnswer:
    return RegionAnswer(
        operator_id=made.operator_id,
        request_id=made.request_id,
        region=made.region,
        first_subject=made.first,
        region_request_id=f"q-{made.request_id}",
        client_id="alpha-one",
        licence="L-ALPHA",
        purpose=3,
        consent="",
        decision_id="d-1",
        region_decision="e-1",
        mapping_version=1,
        subject_count=10,
        records=records,
        served_at=made.served_at,
        recorded_at=made.served_at,
        region_fee=10 * records,
        own_fee=25 * records,
        receipt=b"receipt",
        checkpoint="note",
    )


def uses(count: int) -> list[RegionUse]:
    return [
        RegionUse(
            record_id=f"record-{number:04}",
            revision=1,
            subject="91000000DEM000011A",
            item="xzcf",
            own_item="penalty",
            source="Invented Bureau",
            region_code="110000",
            fee=10,
            own_fee=25,
        )
        for number in range(count)
    ]


def test_a_chunk_is_kept_once_however_often_it_comes(records_engine: Engine) -> None:
    kept = RegionUses(records_engine)
    made = answer(Made(), 1_200)
    assert kept.keep(made, uses(1_200))
    assert not kept.keep(made._replace(decision_id="another", own_fee=0), uses(1_200))
    assert kept.answers(NORTH, NOW, NOW + 1) == [made]
    assert kept.uses(made) == uses(1_200)
    assert kept.keep(answer(Made(first=500), 0), [])
    assert kept.keep(answer(Made(region=SOUTH), 2), uses(2))


def test_clearing_finds_the_uses_of_a_region_by_when_it_served_them(
    records_engine: Engine,
) -> None:
    kept = RegionUses(records_engine)
    for number, at in enumerate((DAY - 1, DAY, DAY + 86_399, DAY + 86_400)):
        kept.keep(answer(Made(request_id=f"r-{number}", served_at=at), 1), uses(1))
    found = kept.answers(NORTH, DAY, DAY + 86_400)
    assert [each.served_at for each in found] == [DAY, DAY + 86_399]
    assert kept.answers(SOUTH, DAY, DAY + 86_400) == []


def test_what_was_not_passed_on_is_kept_as_given_once_it_is(records_engine: Engine) -> None:
    kept = RegionUses(records_engine)
    lost = [each._replace(subject=NOT_PASSED_ON, own_item="", own_fee=0) for each in uses(3)]
    assert kept.keep(answer(Made(), 0)._replace(own_fee=0, region_fee=30, subject_count=0), lost)
    assert not any(each.passed_on for each in kept.uses(answer(Made(), 0)))
    for _ in range(2):
        # The third has ended meanwhile.
        assert not kept.keep(answer(Made(), 2), [*uses(2), lost[2]])
        found = kept.uses(answer(Made(), 0))
        assert found == [*uses(2), lost[2]]
        (now,) = kept.answers(NORTH, NOW, NOW + 1)
        assert (now.records, now.own_fee, now.region_fee, now.subject_count) == (2, 50, 30, 10)
