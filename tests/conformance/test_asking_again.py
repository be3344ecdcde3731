"""What was caught is asked for again in the end: no copy left unanswered, and nothing found later,
keeps it from that; and who shows what it is asked for is not accused for what it is not asked for."""

from collections.abc import Generator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.conformance.finding_rows import close_findings
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    NONE,
    RECTIFY,
    SUSPENDED,
    Difference,
    Finding,
)
from tests.conformance.enforcing import CONTENT_ALTERED, DAY, MISSING, Enforced, difference
from tests.conformance.enforcing import enforced_on as on_store
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

_COPIES = 60
_AT_ONCE = 8
_HOUR = 3_600
_DRAWN = 12
_SAMPLING = {
    "lied_share": 0.18,
    "caught": 0.9,
    "most": 200,
    "answer": "PT48H",
    "unshown": "PT1H",
    "refreshed_share": 0.02,
}


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator["_Firm"]:
    """An operator with many copies, of which few are asked for again at a time."""
    monkeypatch.setattr("gateway.conformance.drawing._MOST_AGAIN", _AT_ONCE)
    with on_store(request, sampling=_SAMPLING) as enforced:
        firm = _Firm(enforced)
        firm.begin()
        yield firm


class _Firm:
    """An operator that attests all its copies; what is in ``lied`` it never shows."""

    def __init__(self, enforced: Enforced) -> None:
        self.enforced = enforced
        self.sequences = dict[str, int]()
        self.lied = set[str]()

    def begin(self) -> None:
        """Be a new one."""
        self.enforced.newcomer()
        self.lied.clear()
        names = [f"n{number}" for number in range(_COPIES)]
        served = zip(names, self.enforced.serve(*names), strict=True)
        self.sequences = {self.enforced.record(name): sequence for name, sequence in served}
        self.enforced.checkpoint()

    def records(self, first: int, last: int) -> list[str]:
        """Return some of its records."""
        return [*self.sequences][first:last]

    def altered(self, *records: str) -> list[Difference]:
        """Return that copies of records are altered."""
        return [difference(each, revision_sequence=self.sequences[each]) for each in records]

    def missing(self, *records: str) -> list[Difference]:
        """Return that copies of records are missing."""
        return [
            difference(each, MISSING, revision_sequence=self.sequences[each]) for each in records
        ]

    def attest(self, *differences: Difference) -> Any:
        """Attest all copies, with differences."""
        missing = sum(each.kind == MISSING for each in differences)
        return self.enforced.attest(*differences, copies=_COPIES - missing)

    def asked(self) -> set[str]:
        """Return the records it has to show."""
        return {each.record_id for each in self.enforced.asked()}

    def answer(self) -> None:
        """Show all it is asked for, but for what it does not hold."""
        self.enforced.show(
            *(
                (each.record_id, each.copy_digest)
                for each in self.enforced.asked()
                if each.record_id not in self.lied
            )
        )

    def of(self, record: str, kind: int = CONTENT_ALTERED) -> Finding | None:
        """Return what stands of a kind against it, by record."""
        return self.enforced.standing().get((record, kind))

    def false(self) -> list[Finding]:
        """Return the false attestations that stand."""
        standing = self.enforced.standing().values()
        return [each for each in standing if each.kind == ATTESTATION_FALSE]


def test_what_was_altered_is_asked_for_however_many_copies_are_left_unanswered(
    world: _Firm,
) -> None:
    (caught,) = world.records(0, 1)
    for _ in range(10):
        world.attest(*world.altered(caught))
    assert len(world.asked()) > _AT_ONCE + _DRAWN
    attested = world.attest()
    assert (attested.waiting, world.of(caught)) == (0, None)
    assert caught in world.asked()


def test_what_an_attestation_was_false_of_is_asked_for_before_all_that_was_altered(
    world: _Firm,
) -> None:
    (late,) = world.records(0, 1)
    while late not in world.asked():
        world.attest()
    world.enforced.show((late, b""))
    altered = world.records(20, 60)
    world.attest(*world.altered(*altered))
    for _ in range(3):
        world.attest()
        assert late in world.asked()
        world.enforced.show((late, b""))
    assert world.attest().waiting
    world.answer()
    assert not world.of(late, ATTESTATION_FALSE)


@always_on_postgresql
def test_a_policy_that_draws_more_than_are_asked_for_again_leaves_room_for_these(
    world: _Firm,
) -> None:
    (caught,) = world.records(0, 1)
    assert world.enforced.policy.sampling.copies(_COPIES) == _DRAWN > _AT_ONCE
    world.attest(*world.altered(caught))
    world.answer()
    world.attest()
    assert caught in world.asked()


def test_what_is_found_later_does_not_put_off_the_turn_of_what_was_found_before(
    world: _Firm,
) -> None:
    first, later = world.records(0, 1), world.records(1, 50)
    world.attest(*world.altered(*first))
    world.enforced.pass_time(_HOUR)
    world.attest(*world.altered(*first, *later))
    world.answer()
    assert world.attest().waiting
    assert {*first} <= world.asked()


def test_what_waits_waits_until_the_next_attestation_is_due(world: _Firm) -> None:
    records = world.records(0, 50)
    world.attest(*world.altered(*records))
    deadline = next(iter(world.enforced.standing().values())).deadline
    world.attest()
    world.answer()
    (waiting, *_) = [each for each in records if world.of(each)]
    due = world.enforced.policy.attestation_seconds
    world.enforced.pass_time(due - 1)
    assert world.enforced.stage() == NONE
    world.enforced.pass_time(1)
    found = world.of(waiting)
    assert found is not None
    assert (found.waits_since, found.deadline) == (0, deadline + due)
    assert world.enforced.stage() == RECTIFY
    for _ in range(20):
        world.enforced.pass_time(DAY)
    assert world.enforced.stage() == SUSPENDED


def test_of_more_false_attestations_than_are_asked_for_again_the_others_wait(
    world: _Firm,
) -> None:
    records = world.records(0, 30)
    world.attest(*world.missing(*records))
    world.answer()
    # It told missing what it holds.
    attested = world.attest()
    asked = {*records} & world.asked()
    assert attested.waiting == 30 - len(asked)
    for _ in range(12):
        world.answer()
        for _ in range(7):
            world.enforced.pass_time(DAY - _HOUR)
            assert world.enforced.stage() in (RECTIFY, NONE)
        if not world.false():
            return
        world.attest()
    raise AssertionError("not all were asked for")


def test_a_false_attestation_that_waited_and_is_rectified_counts_without_that_time(
    world: _Firm,
) -> None:
    records = world.records(0, 30)
    world.attest(*world.missing(*records))
    world.answer()
    world.attest()
    (waiting, *_) = [each for each in world.false() if each.waits_since]
    world.enforced.pass_time(3 * DAY)
    with world.enforced.engines.evidence.begin() as connection:
        close_findings(connection, [waiting.finding_id], world.enforced.clock.now())
    closed = world.enforced.findings.get(waiting.finding_id)
    assert closed is not None
    assert closed.deadline == waiting.deadline + 3 * DAY


_FEW: Final = settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_FEW
@given(data=st.data(), number=st.integers(1, _COPIES))
def test_who_mends_and_shows_in_time_what_it_is_asked_for_is_not_accused(
    world: _Firm, data: st.DataObject, number: int
) -> None:
    world.begin()
    world.attest(*world.altered(*world.records(0, number)))
    world.answer()
    for _ in range(_COPIES // _AT_ONCE + 2):
        world.attest()
        for hours in data.draw(st.lists(st.integers(1, 15), max_size=3)):
            world.enforced.pass_time(hours * _HOUR)
            # Again, before it has shown what it is asked for.
            world.attest()
            assert world.enforced.stage() == NONE
        world.answer()
        for _ in range(data.draw(st.integers(1, 6))):
            world.enforced.pass_time(DAY)
            assert world.enforced.stage() == NONE
    assert not world.attest().waiting
    assert not world.enforced.standing()


@_FEW
@given(data=st.data(), number=st.integers(1, 3 * _AT_ONCE))
def test_who_keeps_an_altered_copy_is_suspended_whatever_it_leaves_unanswered(
    world: _Firm, data: st.DataObject, number: int
) -> None:
    world.begin()
    world.attest(*world.altered(*world.records(0, number)))
    world.answer()
    world.lied.update(world.records(0, 1))
    # In each round as many are asked for again as have room, and then a lie has its time.
    rounds = -(-number // _AT_ONCE) + 4
    for _ in range(rounds):
        others = world.records(number, _COPIES) if data.draw(st.booleans()) else ()
        if others:
            world.attest(*world.altered(*others))
        for _ in range(data.draw(st.integers(1, 3))):
            world.attest()
        world.enforced.pass_time(47 * _HOUR)
        if data.draw(st.booleans()):
            world.attest()
        world.answer()
        for _ in range(data.draw(st.integers(3, 9))):
            world.enforced.pass_time(DAY)
    assert world.enforced.stage() == SUSPENDED
