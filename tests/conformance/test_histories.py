"""G1, G2 and G9 as a whole: whatever is published, corrected, repaired, withdrawn, expires, is
served, held, acknowledged and attested, a gateway does what a plain model of it does."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from creditgate.v1.vocabulary_pb2 import Severity
from tests.clock import StandingClock
from tests.conformance.acting import Operator, Stage, policy_in, staged
from tests.conformance.plain_history import (
    CORRECTED,
    HOUR,
    PUBLISHED,
    REPAIRED,
    WITHDRAWN,
    Event,
    Firm,
    Held,
    History,
    Record,
    Revision,
    records_of,
)
from tests.consents.counter import new_subject
from tests.examples import rarely_on_postgresql
from tests.installation import Installation, content, eventually
from tests.patience import patiently
from tests.server.calls import draft

FIRMS: Final = 2
SUBJECTS: Final = 2
MOST_RECORDS: Final = 5
DAY: Final = 24 * HOUR
GENERAL: Final = Severity.SEVERITY_GENERAL
SERIOUS: Final = Severity.SEVERITY_SERIOUS
_LENGTH: Final = {GENERAL: 100 * DAY, SERIOUS: 400 * DAY}
_OVERDUE: Final = FindingKind.FINDING_KIND_REMOVAL_OVERDUE
_MISSING: Final = FindingKind.FINDING_KIND_MISSING
_FALSE: Final = FindingKind.FINDING_KIND_ATTESTATION_FALSE
PICK: Final = st.integers(0, 1_000)
FIRM: Final = st.integers(0, FIRMS - 1)
GRADE: Final = st.sampled_from((GENERAL, SERIOUS))
LASTS: Final = st.sampled_from((6, 30, 24 * 60))
PROOF: Final = st.sampled_from(
    (
        ProofKind.PROOF_KIND_UNSPECIFIED,
        ProofKind.PROOF_KIND_INCLUSION,
        ProofKind.PROOF_KIND_COMPLETE,
    )
)
_T = TypeVar("_T")


class Loop:
    """An event loop in a thread of its own, so that the gateway lives on between two steps."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Loop":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, doing: Coroutine[Any, Any, _T]) -> _T:
        """Return what is done on the loop."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(60)


class Histories(RuleBasedStateMachine):
    """Two operators, the publisher and time; each run has subjects and operators of its own on
    one gateway."""

    stage: ClassVar[Stage]
    loop: ClassVar[Loop]
    numbers: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.firms = [Firm() for _ in range(FIRMS)]
        self.subjects = [new_subject() for _ in range(SUBJECTS)]
        self.parties = AsyncExitStack()
        self.operators: list[Operator] = self.run(
            self.parties.enter_async_context(self.stage.operators(FIRMS))
        )
        self.began = self.head = self.run(self.stage.head())

    def run(self, doing: Coroutine[Any, Any, _T]) -> _T:
        """Let the gateway run until something is done."""
        return self.loop.run(doing)

    @property
    def now(self) -> int:
        """The gateway's time."""
        return self.stage.clock.at

    @property
    def live(self) -> list[Record]:
        """Records whose disclosure was not ended."""
        return [each for each in self.history.records.values() if each.live]

    @initialize()
    def begin_with_records_served_to_all(self) -> None:
        """Begin where something can go wrong: with records that last hours, days and weeks."""
        for grade, lasts in ((SERIOUS, 6), (GENERAL, 30), (GENERAL, 24 * 60)):
            self.publish(0, grade, lasts, 0)
        for firm in range(FIRMS):
            self.ask(firm, 0, ProofKind.PROOF_KIND_COMPLETE)

    @precondition(lambda self: len(self.history.records) < MOST_RECORDS)
    @rule(subject=PICK, grade=GRADE, lasts=LASTS, begins=st.sampled_from((0, 0, 5)))
    def publish(self, subject: int, grade: Severity.ValueType, lasts: int, begins: int) -> None:
        """Publish a record that ends, and perhaps begins, in some hours."""
        record_id = f"history-{next(self.numbers)}"
        made = draft(record_id, self.subjects[subject % SUBJECTS])
        self._set(made, grade, lasts, begins)
        record = Record(record_id, made.subject)
        self.head = self.run(self.stage.publish(made))
        self._fixed(record, PUBLISHED, made.content, made)
        self.history.records[record_id] = record

    @precondition(lambda self: self.live)
    @rule(which=PICK, grade=GRADE, lasts=LASTS, text=st.sampled_from(("a", "b")))
    def correct(self, which: int, grade: Severity.ValueType, lasts: int, text: str) -> None:
        """Correct a record; perhaps back to what it was."""
        record = self.live[which % len(self.live)]
        if record.newest.copy.disclosed_until <= self.now:
            # None is disclosed again by a correction.
            return
        if any(each.severity == SERIOUS for each in record.revisions):
            # What began so long ago a lesser grade lets be disclosed no longer.
            grade = SERIOUS
        made = draft(record.record_id, record.subject)
        self._set(made, grade, lasts, 0)
        made.content = content(text)
        period = made.disclosed_from.seconds, made.disclosed_until.seconds
        if Held(record.record_id, made.content, *period) == record.newest.copy:
            return
        request = disclosure_pb.CorrectRecordRequest(
            name=f"records/{record.record_id}",
            expected_revision=record.newest.number,
            content=made.content,
            severity=made.severity,
            disclosed_from=made.disclosed_from,
            disclosed_until=made.disclosed_until,
            reason="typing error",
        )
        answer = self.run(patiently(lambda: self.stage.disclosure.CorrectRecord(request)))
        self.head = answer.record.event_sequence
        self._fixed(record, CORRECTED, made.content, made)
        for firm in self.firms:
            self.history.note_said(firm, record.events[-1])
            self.history.drop_restored(firm)

    @precondition(lambda self: self.live)
    @rule(which=PICK, kind=st.sampled_from((REPAIRED, WITHDRAWN)))
    def end(self, which: int, kind: DisclosureEventKind.ValueType) -> None:
        """Repair or withdraw a record."""
        record = self.live[which % len(self.live)]
        name, revision = f"records/{record.record_id}", record.newest.number
        disclosure = self.stage.disclosure
        repair = disclosure_pb.RepairRecordRequest(
            name=name, expected_revision=revision, decision_reference="decision 7"
        )
        withdrawal = disclosure_pb.WithdrawRecordRequest(
            name=name, expected_revision=revision, reason="published in error"
        )

        def call() -> Any:
            if kind == REPAIRED:
                return disclosure.RepairRecord(repair)
            return disclosure.WithdrawRecord(withdrawal)

        self.head = self.run(patiently(call)).event_sequence
        record.events.append(Event(self.head, kind, self.now, record.record_id, revision))
        for firm in self.firms:
            self.history.note_said(firm, record.events[-1])

    @rule(hours=st.sampled_from((1, 9, 31)))
    def pass_time(self, hours: int) -> None:
        """Let time pass: records begin and expire, removals fall due."""
        self.stage.clock.at += hours * HOUR
        for firm in self.firms:
            self.history.pass_time(firm, self.now)

    @rule(firm=FIRM, subject=PICK, proof=PROOF)
    def ask(self, firm: int, subject: int, proof: ProofKind.ValueType) -> None:
        """Ask for a subject: all that is disclosed now is served, and nothing else."""
        code = self.subjects[subject % SUBJECTS]
        answer = self.run(self.operators[firm].ask(code, self.stage.key, proof))
        expected = self.history.of_subject(code, self.now)
        served = {each.name.removeprefix("records/"): each for each in answer.records}
        assert len(served) == len(answer.records)
        assert served.keys() == expected.keys()
        for record_id, revision in expected.items():
            got, copy = served[record_id], revision.copy
            assert got.content == copy.content
            assert got.content_digest == copy.digest
            assert (got.revision, got.event_sequence) == (revision.number, revision.sequence)
            period = got.disclosed_from.seconds, got.disclosed_until.seconds
            assert period == (copy.disclosed_from, copy.disclosed_until)
            self.firms[firm].served[revision.sequence] = revision
            self.firms[firm].served_at[revision.sequence] = self.now
            self.firms[firm].told_missing.discard(revision.sequence)
            self.firms[firm].holds.add(copy)
        if expected:
            usable_until = min(each.copy.disclosed_until for each in expected.values())
            assert answer.receipt.usable_until.seconds == usable_until
        assert answer.receipt.disclosure_sequence == self.head

    @rule(firm=FIRM, which=PICK, how=st.sampled_from(("forget", "content", "period")))
    def tamper(self, firm: int, which: int, how: str) -> None:
        """Hold a copy otherwise than it was served, or no more."""
        holds = self.firms[firm].holds
        if not holds:
            return
        copy = sorted(holds)[which % len(holds)]
        if how != "content":
            holds.discard(copy)
        if how == "content":
            holds.add(copy._replace(content=copy.content + b" "))
        elif how == "period":
            holds.add(copy._replace(disclosed_until=copy.disclosed_until + DAY))

    @rule(firm=FIRM, which=PICK)
    def obtain_elsewhere(self, firm: int, which: int) -> None:
        """Hold a copy of something disclosed, served or not."""
        copies = [
            each.copy for record in self.history.records.values() for each in record.revisions
        ]
        self.firms[firm].holds.add(copies[which % len(copies)])

    @rule(firm=FIRM, which=PICK, but_one=st.booleans())
    def clear_up(self, firm: int, which: int, but_one: bool) -> None:
        """Hold exactly what should be held, and perhaps one copy more that was held."""
        own = self.firms[firm]
        entitled = self.history.entitled(own, self.now)
        others = sorted(own.holds - entitled)
        own.holds = entitled | {others[which % len(others)]} if but_one and others else entitled

    @rule(firm=FIRM, which=PICK, more=st.booleans())
    def acknowledge(self, firm: int, which: int, more: bool) -> None:
        """Say that what some events made void is gone."""
        own, operator = self.firms[firm], self.operators[firm]
        told = [
            event.sequence
            for event in self.history.told(own)
            if self.history.deadline(own, event) is not None
        ]
        if not told:
            return
        self._settle(firm)
        chosen = told[which % len(told) :] if more else [told[which % len(told)]]
        request = pb.AcknowledgeRemovalsRequest()
        for sequence in chosen:
            removal = request.removals.add(event_sequence=sequence)
            removal.remove_time.seconds = self.now
        answer = self.run(patiently(lambda: operator.conformance.AcknowledgeRemovals(request)))
        assert answer.acknowledged_removals == self.history.acknowledge(own, chosen, self.now)
        owed = self.history.owed(own)
        assert answer.outstanding_removals == len(owed)
        if owed:
            assert answer.next_deadline.seconds == min(owed.values())
        self._settle(firm)

    @rule(firm=FIRM, which=PICK, late=st.booleans(), by_symbols=st.booleans())
    def attest(self, firm: int, which: int, late: bool, by_symbols: bool) -> None:
        """Say what is held: each difference is found, named rightly, and no other."""
        self._settle(firm)
        own, operator = self.firms[firm], self.operators[firm]
        positions = [
            event.sequence for record in self.history.records.values() for event in record.events
        ]
        reflects = positions[which % len(positions)] if late else self.head
        copies = sorted(own.holds)
        attested = self.run(
            operator.reconcile(copies, reflects, self.stage.folder, self.now)
            if by_symbols
            else operator.attest(copies, reflects)
        )
        missing = self.history.missing(own, self.now)
        standing, certified = self.history.attest(own, reflects, self.now)
        findings = self.run(operator.findings())
        told = {(each.kind, each.record.removeprefix("records/")) for each in findings}
        faults = {each for each in told if each[0] not in (_OVERDUE, _MISSING, _FALSE)}
        assert {record for kind, record in told if kind == _FALSE} == own.false.keys()
        assert faults == records_of(own.standing.values())
        assert {record for kind, record in told if kind == _MISSING} == missing
        overdue = {each.event_sequence for each in findings if each.kind == _OVERDUE}
        assert overdue == own.overdue.keys()
        assert attested.copies == len(copies)
        assert attested.standing_findings == standing
        assert bool(attested.certificate) == certified

    @rule(firm=FIRM, which=PICK)
    def take_the_stream_up_again(self, firm: int, which: int) -> None:
        """Watch anew from any position: all later events are told, in order."""
        events = self.history.told(self.firms[firm])
        position = [self.began, *(event.sequence for event in events)][which % (len(events) + 1)]
        later = [event for event in events if event.sequence > position]
        if later:
            told = self.run(self.operators[firm].told_after(position, len(later)))
            self._require_told(firm, later, told, acknowledged=True)

    def teardown(self) -> None:
        """See that everybody was told of all, and stands as the model says."""
        try:
            for firm in range(FIRMS):
                self._stands(firm)
                self._end_some_and_clear_up(firm)
                # Old copies are not held against it before it has read of what ended them.
                for late in (True, False):
                    self.attest(firm, 0, late=late, by_symbols=late != bool(firm))
            for hours in (9, 31):
                self.pass_time(hours)
                for firm in range(FIRMS):
                    self.attest(firm, 0, late=hours == 9, by_symbols=firm % 2 == 1)
        finally:
            self.run(self.parties.aclose())

    def _end_some_and_clear_up(self, firm: int) -> None:
        """Have records that were served end, and all copies of these removed but one."""
        for subject in range(SUBJECTS):
            self.ask(firm, subject, ProofKind.PROOF_KIND_UNSPECIFIED)
        for kind in (REPAIRED, WITHDRAWN):
            if self.live:
                self.end(0, kind)
        self.clear_up(firm, 0, but_one=True)

    def _stands(self, firm: int) -> None:
        own, operator = self.firms[firm], self.operators[firm]
        events = self.history.told(own)

        async def all_told() -> bool:
            return len(operator.told) >= len(events)

        self.run(eventually(all_told))
        self._require_told(firm, events, operator.told, acknowledged=False)
        self._settle(firm)
        request = pb.GetConformanceRequest()
        answer = self.run(patiently(lambda: operator.conformance.GetConformance(request)))
        owed = self.history.owed(own)
        assert answer.outstanding_removals == len(owed)
        assert answer.overdue_removals == sum(at <= self.now for at in owed.values())
        assert answer.entitled_copies == len(self.history.entitled(own, self.now))

    def _settle(self, firm: int) -> None:
        """Wait until the gateway has found what is overdue, and no more, and has seen what is not
        owed."""
        own, operator = self.firms[firm], self.operators[firm]
        request = pb.GetConformanceRequest()
        owed = len(self.history.owed(own))

        async def settled() -> bool:
            findings = await operator.findings()
            overdue = {each.event_sequence for each in findings if each.kind == _OVERDUE}
            standing = await patiently(lambda: operator.conformance.GetConformance(request))
            return overdue == own.overdue.keys() and standing.outstanding_removals == owed

        self.run(eventually(settled))

    def _require_told(
        self,
        firm: int,
        events: list[Event],
        told: list[pb.WatchDisclosuresResponse],
        *,
        acknowledged: bool,
    ) -> None:
        own = self.firms[firm]
        assert [
            (each.event.event_sequence, each.event.kind, each.event.event_time.seconds)
            for each in told
        ] == [(event.sequence, event.kind, event.at) for event in events]
        for event, response in zip(events, told, strict=True):
            assert response.event.record == f"records/{event.record_id}"
            assert response.event.revision == event.revision
            deadline = self.history.deadline(own, event)
            if deadline is None:
                assert not response.HasField("removal_deadline")
                continue
            done = (
                event.sequence in own.acknowledged
                or event.sequence in own.said
                or self.history.restored(event) is not None
            )
            if not (acknowledged and done):
                # A stream that is behind no longer demands what was acknowledged.
                assert response.removal_deadline.seconds in (deadline, 0)
                if not done:
                    assert response.removal_deadline.seconds == deadline

    def _set(
        self, made: disclosure_pb.RecordDraft, grade: Severity.ValueType, lasts: int, begins: int
    ) -> None:
        made.severity = grade
        if begins:
            made.disclosed_from.seconds = self.now + begins * HOUR
            made.disclosed_until.seconds = made.disclosed_from.seconds + _LENGTH[grade]
        else:
            made.disclosed_until.seconds = self.now + lasts * HOUR
            made.disclosed_from.seconds = made.disclosed_until.seconds - _LENGTH[grade]

    def _fixed(
        self,
        record: Record,
        kind: DisclosureEventKind.ValueType,
        bytes_: bytes,
        made: disclosure_pb.RecordDraft,
    ) -> None:
        number = len(record.revisions) + 1
        period = made.disclosed_from.seconds, made.disclosed_until.seconds
        copy = Held(record.record_id, bytes_, *period)
        record.revisions.append(Revision(self.head, number, copy, made.severity))
        record.events.append(Event(self.head, kind, self.now, record.record_id, number))


@dataclass
class _Machines:
    """Runs machines on one gateway."""

    loop: Loop
    stage: Stage

    def check(self, examples: int, steps: int) -> None:
        runner, opened = self.loop, self.stage

        class Machine(Histories):
            stage = opened
            loop = runner
            numbers = count(1)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                # A run takes seconds: what fails is shown as it is, not made small.
                phases=(Phase.generate,),
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )


@pytest.fixture
def machines(store: tuple[str, Path], tmp_path: Path) -> Iterator[_Machines]:
    """Give machines on each kind of store."""
    # Behind the clients' own time, so that TLS takes certificates made as time passes.
    clock = StandingClock(int(time.time()) - 250 * DAY)
    policy = policy_in(tmp_path)
    installation = Installation(*store, clock=clock, settings={"conformance_policy": policy})
    installation.furnish()
    with Loop() as loop:
        opened = AsyncExitStack()
        stage = loop.run(opened.enter_async_context(staged(installation, tmp_path)))
        yield _Machines(loop, stage)
        loop.run(opened.aclose())
    installation.close()


@rarely_on_postgresql
def test_any_history_is_served_told_owed_and_found_as_a_plain_model_says(
    machines: _Machines,
) -> None:
    machines.check(examples=2, steps=25)


@pytest.mark.soak
def test_any_of_many_histories_is_served_told_owed_and_found_as_a_plain_model_says(
    machines: _Machines,
) -> None:
    machines.check(examples=40, steps=50)
