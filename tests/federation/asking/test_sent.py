"""What regions are asked is kept before it is sent, on both stores, many at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from creditgate.refusal import Refused
from creditgate.transparency.merkle import ProofInvalid
from gateway.federation.asking.sending import Attempts, Sending
from gateway.federation.asking.sent import (
    AskedBefore,
    Asking,
    SentPlan,
    SentPlans,
    subject_bits,
    subjects_digest,
)
from tests.clock import NOW, StandingClock

NORTH, SOUTH = "https://north.invalid", "https://south.invalid"


def plan(region: str = NORTH, request_id: str = "r-1", **changed: Any) -> SentPlan:
    subjects = ("91000000DEM000011A", "91000000DEM000022B")
    made = SentPlan(
        operator_id="alpha",
        request_id=request_id,
        region=region,
        region_request_id=f"q-{request_id}",
        subjects=subject_bits((0, 7, 9)),
        subjects_digest=subjects_digest(subjects),
        items='[["penalty", "xzcf"]]',
        mapping_version=3,
        proof=2,
        directory_time=NOW - 60,
        asked_at=NOW,
    )
    return made._replace(**changed)


def test_a_chunk_was_asked_for_before_once_it_was_asked_for_and_no_sooner(
    records_engine: Engine,
) -> None:
    sent = SentPlans(records_engine)

    def asked(first: int, **changed: Any) -> AskedBefore:
        (before,) = sent.keep([Asking(plan(**changed), first)])
        return before

    assert asked(0) == AskedBefore(plan(), before=False, believed=True)
    # What was sent first is what is kept.
    again = asked(0, asked_at=NOW + 60, subjects=subject_bits((0,)))
    assert again == AskedBefore(plan(), before=True, believed=True)
    assert not asked(500).before
    assert asked(500).before
    assert asked(0).before
    assert not asked(1_000).before
    assert not asked(0, region=SOUTH).before
    assert not asked(0, request_id="r-2").before
    assert not asked(0, operator_id="beta").before
    sent.disbelieve(plan(), NOW)
    assert not asked(0).believed
    assert asked(0, region=SOUTH).believed
    assert sent.of("alpha", "r-1") == {NORTH: plan(), SOUTH: plan(SOUTH)}
    assert sent.of("alpha", "r-3") == {}
    assert plan().indexes == (0, 7, 9)
    assert plan().pairs == (("penalty", "xzcf"),)


def test_one_write_keeps_what_many_regions_are_asked(records_engine: Engine) -> None:
    regions = [f"https://region-{number}.invalid" for number in range(30)]
    known = Asking(plan(regions[4]), 0)
    SentPlans(records_engine).keep([known])
    statements: list[str] = []

    @event.listens_for(records_engine, "commit")
    def committed(_: object) -> None:
        statements.append("commit")

    async def ask() -> Sequence[AskedBefore]:
        sending = Sending(SentPlans(records_engine), StandingClock())
        asking = [Asking(plan(region), 0) for region in regions]
        try:
            return await asyncio.gather(*map(sending.keep, asking))
        finally:
            await sending.close()

    before = asyncio.run(ask())
    assert [each.before for each in before] == [region == regions[4] for region in regions]
    assert statements == ["commit"]


@given(st.sets(st.integers(0, 9_999)))
def test_subjects_are_kept_by_their_places(places: set[int]) -> None:
    indexes = tuple(sorted(places))
    assert plan(subjects=subject_bits(indexes)).indexes == indexes


async def test_a_region_is_believed_of_what_it_was_asked_before_and_never_after_it_said_otherwise(
    records_engine: Engine,
) -> None:
    sending = Sending(SentPlans(records_engine), StandingClock())

    async def begun(first: int = 0) -> Attempts:
        attempts = Attempts(sending, Asking(plan(), first))
        await attempts.begin()
        return attempts

    attempts = await begun()
    assert not attempts.asked_before(twice=False)
    # Sent twice, the answer may be of the second.
    assert attempts.asked_before(twice=True)
    # Sent again, where it broke.
    await attempts.begin()
    assert attempts.asked_before(twice=False)
    assert (await begun()).asked_before(twice=False)
    later = await begun(500)
    assert not later.asked_before(twice=False)
    later.require_believed()
    await later.disbelieve()
    for _ in range(2):
        again = await begun(500)
        with pytest.raises(ProofInvalid, match="told before"):
            again.require_believed()
    await sending.close()


async def test_nothing_else_is_sent_under_the_same_id(records_engine: Engine) -> None:
    sending = Sending(SentPlans(records_engine), StandingClock())
    await sending.keep(Asking(plan(), 0))
    await sending.keep(Asking(plan(asked_at=NOW + 60, directory_time=None), 0))
    for other in (plan(subjects=subject_bits((0,))), plan(items="[]"), plan(proof=1)):
        with pytest.raises(Refused):
            await sending.keep(Asking(other, 0))
    await sending.close()
