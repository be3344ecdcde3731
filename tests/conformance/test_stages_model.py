"""Random histories of findings, contests, decisions and time, with an independent model: an
operator stands as the model says, after every step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from creditgate.v1.operator_service_pb2 import OperatorState
from gateway.conformance.model import (
    MISSING,
    NONE,
    RECTIFY,
    REMOVAL_OVERDUE,
    SUSPENDED,
    THROTTLED,
    WARNED,
)
from tests.conformance.enforcing import (
    CONTENT_ALTERED,
    DAY,
    EXPIRED_HELD,
    Enforced,
    difference,
    enforced_on,
)

ACTIVE = OperatorState.OPERATOR_STATE_ACTIVE
HALTED = OperatorState.OPERATOR_STATE_SUSPENDED
RECORDS = ("r-1", "r-2", "r-3")
COPIES = (b"\x01", b"\x02", b"\x03")
KINDS = (CONTENT_ALTERED, EXPIRED_HELD, MISSING)
Told = tuple[int, str, bytes]
"""Kind and record of a difference, and which copy it is of, b"" for none."""
GENERAL_DAYS = 7
"""How long a finding about a record of general severity may stand, by the policy."""


@dataclass
class Found:
    """One finding as the model has it, of an event or of none; its time counts from ``since``."""

    kind: int
    record: str
    since: int
    event: int = 0
    copy: bytes = b""
    contested_at: int | None = None
    decided: bool = False
    pardoned: bool = False

    @property
    def told(self) -> Told:
        """What it is of."""
        return self.kind, self.record, self.copy

    @property
    def spares(self) -> bool:
        """Whether it is contested, and so counts for its own copy alone."""
        return self.contested_at is not None and self.copy != b""

    def stage(self, now: int) -> int:
        """Return what it entails."""
        if self.kind == MISSING or self.contested_at is not None:
            return NONE
        age = now - self.since
        if age >= (GENERAL_DAYS + 5) * DAY and not self.pardoned:
            return SUSPENDED
        if age >= GENERAL_DAYS * DAY:
            return THROTTLED
        return WARNED if self.kind != CONTENT_ALTERED and age < 2 * DAY else RECTIFY


@dataclass
class Model:
    """One operator: what stands against it, and who has suspended it."""

    now: int
    standing: list[Found] = field(default_factory=list[Found])
    dismissed: set[Told] = field(default_factory=set[Told])
    overdue: int = 0
    halted_by: str = ""
    for_findings: bool = False
    """Whether findings led to the suspension that stands, whoever has joined it since."""
    stage: int = NONE
    mended_since: bool = False
    clean_since: bool = False

    def faults(self) -> list[Found]:
        """Return what stands, information left out."""
        return [each for each in self.standing if each.kind != MISSING]

    def attest(self, differences: set[Told]) -> None:
        """Take an attestation."""
        altered = {record for kind, record, _ in differences if kind == CONTENT_ALTERED}
        held = {record for kind, record, _ in differences if kind != MISSING}
        counted = {
            (kind, record, copy)
            for kind, record, copy in differences - self.dismissed
            if kind != MISSING or record not in altered
        }
        # A contest spares one copy; what stands else is of any copy of its record.
        spared = {each.told for each in self.standing if each.spares}
        told = {(kind, record) for kind, record, _ in counted - spared}
        gone = [each for each in self.standing if self._is_gone(each, held, told, counted)]
        self.standing = [each for each in self.standing if each not in gone]
        known = {(each.kind, each.record) for each in self.standing if not each.spares}
        for kind, record in told - known:
            former = [each.since for each in gone if each.record == record and each.kind != MISSING]
            since = min([self.now, *former]) if kind != MISSING else self.now
            copies = [one for a, b, one in counted - spared if (a, b) == (kind, record)]
            self.standing.append(Found(kind, record, since, copy=self.chosen(copies)))
        self.mended_since |= any(each.kind != MISSING for each in gone)
        uncontested = [each for each in self.faults() if each.contested_at is None]
        self.clean_since |= not uncontested

    def chosen(self, copies: list[bytes]) -> bytes:
        """Return of which of several copies of a record the finding is: all are of the revision
        that their number says."""
        return max(copies)

    def _is_gone(
        self, each: Found, held: set[str], told: set[tuple[int, str]], counted: set[Told]
    ) -> bool:
        if each.kind == REMOVAL_OVERDUE:
            return each.record not in held
        if each.spares:
            return each.told not in counted
        return (each.kind, each.record) not in told

    def settle(self) -> None:
        """Come to the stage that follows."""
        reached = max((each.stage(self.now) for each in self.standing), default=NONE)
        if self.halted_by == "findings":
            if not self.faults() and (self.clean_since or not self.mended_since):
                self.halted_by = ""
                self.for_findings = False
            else:
                reached = SUSPENDED
        if reached == SUSPENDED and not self.halted_by:
            self.halted_by = "findings"
            self.for_findings = True
            self.mended_since = self.clean_since = False
        self.stage = reached


class Histories(RuleBasedStateMachine):
    """Steps of one operator's history."""

    def __init__(self, world: Enforced) -> None:
        super().__init__()
        self.world = world

    @initialize()
    def begin(self) -> None:
        self.world.newcomer()
        self.model = Model(self.world.clock.now())

    @rule(
        told=st.sets(
            st.tuples(st.sampled_from(KINDS), st.sampled_from(RECORDS), st.sampled_from(COPIES)),
            max_size=6,
        )
    )
    def attest(self, told: set[tuple[Any, str, bytes]]) -> None:
        differences = {
            (kind, record, b"" if kind == MISSING else copy) for kind, record, copy in told
        }
        self.world.attest(
            *(
                difference(record, kind, revision_sequence=copy[0], copy=copy)
                if copy
                else difference(record, kind)
                for kind, record, copy in sorted(differences)
            )
        )
        self.model.attest(differences)
        self.settle()

    @rule(hours=st.integers(1, 24 * 6))
    def pass_time(self, hours: int) -> None:
        self.world.clock.at += hours * 3_600
        self.model.now += hours * 3_600
        self.settle()

    @rule(record=st.sampled_from(RECORDS))
    def miss_a_removal(self, record: str) -> None:
        self.model.overdue += 1
        event = -self.model.overdue
        self.world.findings.open_removal_overdue(self.world.firm, record, event, 2, self.model.now)
        self.model.standing.append(Found(REMOVAL_OVERDUE, record, self.model.now, event))
        self.settle()

    @precondition(lambda self: any(_contestable(each) for each in self.model.standing))
    @rule(data=st.data())
    def contest(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from([f for f in self.model.standing if _contestable(f)]))
        self.world.contests.contest(
            self.world.firm, self.finding_id(each), "no", b"", self.model.now
        )
        each.contested_at = self.model.now
        self.settle()

    @precondition(lambda self: any(f.contested_at is not None for f in self.model.standing))
    @rule(data=st.data(), dismiss=st.booleans())
    def decide(self, data: st.DataObject, dismiss: bool) -> None:
        contested = [f for f in self.model.standing if f.contested_at is not None]
        each = data.draw(st.sampled_from(contested))
        assert each.contested_at is not None
        self.world.contests.decide(
            self.finding_id(each), dismiss=dismiss, reason="r", decided_by="w", now=self.model.now
        )
        if dismiss:
            self.model.standing.remove(each)
            if each.kind != REMOVAL_OVERDUE:
                self.model.dismissed.add(each.told)
        else:
            each.since += self.model.now - each.contested_at
            each.contested_at, each.decided = None, True
        self.settle()

    @rule()
    def suspend_or_reinstate_by_hand(self) -> None:
        if self.model.halted_by:
            if self.model.for_findings:
                for each in self.model.faults():
                    each.pardoned = True
            self.world.decide(ACTIVE)
            self.model.halted_by = ""
            self.model.for_findings = False
        else:
            self.world.decide(HALTED)
            self.model.halted_by = "administrator"
        self.settle()

    @precondition(lambda self: self.model.halted_by == "findings")
    @rule()
    def suspend_besides(self) -> None:
        self.world.decide(HALTED)
        self.model.halted_by = "administrator"
        self.settle()

    @invariant()
    def the_operator_stands_as_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        standing = {(*each.told, each.event) for each in self.model.standing}
        assert self.standing().keys() == standing
        assert self.world.stage() == self.model.stage
        assert self.world.state() == (HALTED if self.model.halted_by else ACTIVE)

    def settle(self) -> None:
        self.world.settling.step(self.model.now)
        self.model.settle()

    def standing(self) -> dict[tuple[int, str, bytes, int], str]:
        """Return the ids of what stands, by kind, record, copy and event."""
        found = self.world.findings.listed(
            operator_id=self.world.firm, attestation_id="", state=0, before="", limit=1_000
        )
        return {
            (
                each.kind,
                each.record_id,
                each.copy_digest[:1],
                each.event_sequence,
            ): each.finding_id
            for each in found
            if not each.closed_at
        }

    def finding_id(self, found: Found) -> str:
        """Return the id of a finding of the model."""
        return self.standing()[*found.told, found.event]


def _contestable(found: Found) -> bool:
    return found.kind != MISSING and found.contested_at is None and not found.decided


@pytest.fixture(scope="module", params=["sqlite"])
def world(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation: each history has an operator of its own."""
    with enforced_on(request, attestation="P366D") as enforced:
        yield enforced


def test_an_operator_stands_as_an_independent_model_says(world: Enforced) -> None:
    class Here(Histories):
        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(
        Here,
        # Shrinking takes longer than reading a history does.
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            report_multiple_bugs=False,
        ),
    )
