"""Who attests falsely again and again comes further each time, whatever it lies about and however
fast it mends each: random histories of lies, with an independent model."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.conformance.model import ATTESTATION_FALSE, NONE, RECTIFY, SUSPENDED, THROTTLED
from tests.conformance.enforcing import DAY, Enforced, enforced_on
from tests.conformance.test_challenges import absent, right
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

HOUR = 3_600
RECTIFIED_WITHIN, REPEATED, STAYS, THROTTLED_FOR = 7 * DAY, 30 * DAY, 7 * DAY, 5 * DAY


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request, attestation="P366D") as enforced:
        yield enforced


@dataclass
class Liar:
    """A new operator that lies about one of its copies now and then."""

    world: Enforced
    sequences: dict[str, int] = field(default_factory=dict[str, int])
    left: list[str] = field(default_factory=lambda: [f"n{number}" for number in range(16)])
    missing: set[str] = field(default_factory=set[str])
    lied: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.world.newcomer()
        self.sequences.update(zip(self.left, self.world.serve(*self.left), strict=True))

    def lie(self, hours: int = 1) -> None:
        """Attest a copy that is not held, and be found out some hours later."""
        name = self.left.pop()
        self.attest()
        self.lied.add(name)
        self.world.clock.at += hours * HOUR
        self.answer()
        self.world.step()

    def mend(self) -> None:
        """Say of all that was lied about that it is not held."""
        self.missing |= self.lied
        self.lied.clear()
        self.attest()
        self.answer()
        self.world.step()

    def attest(self) -> None:
        """Attest all copies but those told missing."""
        told = (absent(self.world, each, self.sequences[each]) for each in sorted(self.missing))
        self.world.attest(*told, copies=len(self.sequences) - len(self.missing))

    def answer(self) -> None:
        """Show the copies asked for, but those lied about."""
        lied = {self.world.record(each) for each in self.lied}
        self.world.show(
            *(
                (each.record_id, b"" if each.record_id in lied else right(self.world, each))
                for each in self.world.asked()
            )
        )


def test_who_lies_each_week_about_another_copy_is_suspended(shared: Enforced) -> None:
    liar, stages, states = Liar(shared), list[int](), list[int]()
    for _ in range(3):
        liar.lie(hours=47)
        liar.mend()
        stages.append(shared.stage())
        states.append(shared.state())
        shared.pass_time(7 * DAY)
    assert stages == [RECTIFY, THROTTLED, SUSPENDED]
    active = OperatorState.OPERATOR_STATE_ACTIVE
    assert states == [active, active, OperatorState.OPERATOR_STATE_SUSPENDED]


@always_on_postgresql
def test_an_untruth_long_after_another_has_its_own_time(shared: Enforced) -> None:
    liar = Liar(shared)
    liar.lie()
    liar.mend()
    shared.pass_time(REPEATED)
    liar.lie()
    assert shared.stage() == RECTIFY


def test_an_untruth_after_one_that_was_pardoned_or_dismissed_has_its_own_time(
    shared: Enforced,
) -> None:
    liar = Liar(shared)
    liar.lie()
    (found,) = shared.standing().values()
    shared.contests.decide(
        found.finding_id, dismiss=True, reason="r", decided_by="w", now=shared.clock.now()
    )
    liar.lied.clear()
    shared.pass_time(10 * DAY)
    liar.lie()
    assert shared.stage() == RECTIFY


def test_a_copy_held_again_that_was_told_missing_counts_from_any_earlier_untruth(
    shared: Enforced,
) -> None:
    liar = Liar(shared)
    kept = liar.left.pop()
    liar.lie()
    first = min(each.deadline for each in shared.standing().values())
    liar.missing.add(kept)
    liar.mend()
    shared.pass_time(3 * DAY)
    liar.missing.remove(kept)
    liar.attest()
    found = shared.standing()[shared.record(kept), ATTESTATION_FALSE]
    assert found.deadline == first


@dataclass
class Lie:
    """One untruth as the model has it (seconds, UTC); ``closed`` is when it was mended."""

    deadline: int
    closed: int = 0

    def stage(self, now: int) -> int:
        """Return what it entails."""
        if self.closed and now >= self.closed + STAYS:
            return NONE
        at = self.closed or now
        if at >= self.deadline + THROTTLED_FOR:
            return SUSPENDED
        return THROTTLED if at >= self.deadline else RECTIFY


class Lying(RuleBasedStateMachine):
    """Steps of one liar's history."""

    def __init__(self, world: Enforced) -> None:
        super().__init__()
        self.world = world

    @initialize()
    def begin(self) -> None:
        self.liar = Liar(self.world)
        self.lies = list[Lie]()
        self.suspended_at = 0
        self.clean_at = 0
        self.stage = NONE

    @rule(hours=st.integers(0, 47))
    def lie(self, hours: int) -> None:
        self.settle()
        told = self.world.clock.now()
        if not any(not each.closed for each in self.lies):
            self.clean_at = told
        self.liar.lie(hours)
        now = self.world.clock.now()
        counted = [
            each.deadline for each in self.lies if not each.closed or each.closed > told - REPEATED
        ]
        self.lies.append(Lie(min([now + RECTIFIED_WITHIN, *counted])))
        self.settle()

    @rule()
    def mend(self) -> None:
        self.settle()
        self.liar.mend()
        for each in self.lies:
            each.closed = each.closed or self.world.clock.now()
        self.clean_at = self.world.clock.now()
        self.settle()

    @rule(hours=st.integers(1, 40 * 24))
    def pass_time(self, hours: int) -> None:
        self.world.pass_time(hours * HOUR)
        self.settle()

    @invariant()
    def the_operator_stands_as_the_model_says(self) -> None:
        if hasattr(self, "liar"):
            assert self.world.stage() == self.stage

    def settle(self) -> None:
        """Come to the stage that follows."""
        self.world.step()
        now = self.world.clock.now()
        reached = max((each.stage(now) for each in self.lies), default=NONE)
        stands = any(not each.closed for each in self.lies)
        if self.suspended_at and (stands or self.clean_at < self.suspended_at):
            reached = SUSPENDED
        if reached == SUSPENDED:
            self.suspended_at = self.suspended_at or now
        else:
            self.suspended_at = 0
        self.stage = reached


def test_a_liar_stands_as_an_independent_model_says(shared: Enforced) -> None:
    class Here(Lying):
        def __init__(self) -> None:
            super().__init__(shared)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=4,
            stateful_step_count=12,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            report_multiple_bugs=False,
        ),
    )
