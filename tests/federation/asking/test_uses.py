"""Uses of other regions are kept once, whole, and durably, on both stores."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.usage_log_pb2 import UsageReceipt
from gateway.federation.asking.use_store import RegionUses, ToKeep
from gateway.federation.asking.uses import NOT_PASSED_ON, RegionAnswer, RegionUse
from gateway.storage.together import Together
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


def receipt(leaf: bytes = b"leaf", signature: bytes = b"signature") -> bytes:
    return UsageReceipt(leaf=leaf, signature=signature).SerializeToString(deterministic=True)


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
        receipt=receipt(),
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


async def test_chunks_are_kept_together_and_one_that_cannot_be_keeps_out_no_other(
    records_engine: Engine,
) -> None:
    kept = RegionUses(records_engine)
    commits: list[str] = []

    @event.listens_for(records_engine, "commit")
    def committed(_: object) -> None:
        commits.append("commit")

    made = [answer(Made(request_id=f"r-{number}"), 2) for number in range(5)]
    assert kept.keep_all([ToKeep(each, uses(2)) for each in reversed(made[:3])]) == [True] * 3
    assert commits == ["commit"]
    twice = ToKeep(made[3], [*uses(1), *uses(1)])
    beyond = ToKeep(made[4]._replace(served_at=2**80), uses(2))
    again, new = ToKeep(made[0], uses(2)), ToKeep(made[1]._replace(first_subject=10), uses(3)[2:])
    together = Together("uses", kept.keep_all)
    chunks = (again, twice, beyond, new)
    told = await asyncio.gather(*map(together.written, chunks), return_exceptions=True)
    assert told[::3] == [False, True]
    assert isinstance(told[1], ProofInvalid)
    assert isinstance(told[2], DBAPIError | OverflowError)
    found = kept.answers(NORTH, NOW, NOW + 1)
    assert {(each.request_id, each.first_subject) for each in found} == {
        ("r-0", 0),
        ("r-1", 0),
        ("r-2", 0),
        ("r-1", 10),
    }


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


def whole(count: int) -> list[RegionUse]:
    """Return uses of which it is kept as what they were given."""
    return [
        each._replace(
            content_digest=b"content", disclosed_from=1, disclosed_until=2, severity=1, cut=False
        )
        for each in uses(count)
    ]


@pytest.mark.parametrize(
    ("of_answer", "of_record", "records"),
    [
        pytest.param({"receipt": receipt(b"other")}, {}, 2, id="leaf"),
        pytest.param({"subject_count": 9}, {}, 2, id="border"),
        pytest.param({}, {}, 3, id="more"),
        pytest.param({}, {}, 1, id="untold"),
        pytest.param({}, {"record_id": "another"}, 2, id="record"),
        pytest.param({}, {"revision": 2}, 2, id="revision"),
        pytest.param({}, {"content_digest": b"other"}, 2, id="content"),
        pytest.param({}, {"disclosed_until": 3}, 2, id="period"),
        pytest.param({}, {"severity": 2}, 2, id="severity"),
        pytest.param({}, {"subject": "91000000DEM000022B"}, 2, id="subject"),
        pytest.param({}, {"item": "xzqz"}, 2, id="item"),
        pytest.param({}, {"source": "Another Bureau"}, 2, id="source"),
    ],
)
def test_what_is_given_again_otherwise_is_refused_and_what_was_kept_stays(
    records_engine: Engine,
    of_answer: dict[str, Any],
    of_record: dict[str, Any],
    records: int,
) -> None:
    kept, made = RegionUses(records_engine), answer(Made(), 2)
    kept.keep(made, whole(2))
    first, *rest = whole(records)
    with pytest.raises(ProofInvalid):
        kept.keep(made._replace(**of_answer), [first._replace(**of_record), *rest])
    assert kept.answers(NORTH, NOW, NOW + 1) == [made]
    assert kept.uses(made) == whole(2)


def test_what_is_given_again_may_be_less_at_another_price_and_signed_anew(
    records_engine: Engine,
) -> None:
    kept, made = RegionUses(records_engine), answer(Made(), 2)
    kept.keep(made, whole(2))
    given, ended = whole(2)
    again = made._replace(records=1, own_fee=40, receipt=receipt(signature=b"by the next key"))
    gone = ended._replace(subject=NOT_PASSED_ON, own_item="", own_fee=0)
    assert not kept.keep(again, [given._replace(own_fee=40), gone._replace(content_digest=None)])
    assert kept.answers(NORTH, NOW, NOW + 1) == [made]
    assert kept.uses(made) == whole(2)


def test_a_lost_record_is_not_given_later_as_one_that_was_charged_as_another(
    records_engine: Engine,
) -> None:
    kept, made = RegionUses(records_engine), answer(Made(), 0)
    lost = [each._replace(subject=NOT_PASSED_ON, own_item="", own_fee=0) for each in uses(2)]
    kept.keep(made, lost)
    given = whole(2)[0]._replace(item="xzqz")
    with pytest.raises(ProofInvalid):
        kept.keep(made._replace(records=1), [given, lost[1]])
    assert kept.uses(made) == lost


def test_the_borders_of_a_chunk_that_was_lost_are_those_it_first_comes_with(
    records_engine: Engine,
) -> None:
    kept, made = RegionUses(records_engine), answer(Made(), 0)
    lost = [each._replace(subject=NOT_PASSED_ON, own_item="", own_fee=0) for each in uses(1)]
    kept.keep(made._replace(subject_count=0, checkpoint=""), lost)
    # All of it has ended by then.
    kept.keep(made, lost)
    with pytest.raises(ProofInvalid):
        kept.keep(made._replace(subject_count=1), lost)
    assert kept.answers(NORTH, NOW, NOW + 1) == [made]


@pytest.mark.parametrize("twice", [False, True])
def test_a_record_comes_once_in_an_answer(records_engine: Engine, twice: bool) -> None:
    kept = RegionUses(records_engine)
    kept.keep(answer(Made(), 2), uses(2))
    first, second = uses(2)
    again = answer(Made(first=10, request_id="r-2" if twice else "r-1"), 2)
    with pytest.raises(ProofInvalid):
        kept.keep(again, [first, first if twice else second])
    assert len(kept.answers(NORTH, NOW, NOW + 1)) == 1
