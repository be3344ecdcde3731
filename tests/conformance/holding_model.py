"""Holdings over random histories: a plain model beside the real stores."""

from collections import defaultdict
from contextlib import ExitStack
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from creditgate.reconcile.elements import element_of
from creditgate.reconcile.symbols import coded
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.following import HoldingsSteps
from gateway.conformance.holdings import Holdings
from gateway.conformance.warm import WarmSets
from tests.conformance.disclosing import Disclosing
from tests.meter.world import admitted
from tests.stores import PostgresStores, SqliteStores, engines_of

OPERATORS = ("alpha", "beta")
_ENDS = (
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN,
)


class HoldingMachine(RuleBasedStateMachine):
    """Publishes, changes and serves records; the follower comes by now and then."""

    stores: SqliteStores | PostgresStores

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        engines = self.stack.enter_context(
            engines_of(*self.stack.enter_context(self.stores.database()))
        )
        self.disclosing = Disclosing(engines)
        self.holdings = Holdings(engines)
        self.warm = WarmSets(engines)
        self.steps = HoldingsSteps(engines)
        self.revisions: dict[str, list[int]] = {}
        self.copies: dict[int, Copy] = {}
        self.ended: set[int] = set()
        self.endings: dict[int, int] = {}
        self.served: defaultdict[str, set[int]] = defaultdict(set)

    def teardown(self) -> None:
        """Compare, and close the store."""
        try:
            self.compare()
        finally:
            self.stack.close()

    @initialize()
    def begin(self) -> None:
        """Have something to change and serve."""
        self.publish(None)
        self.publish(100)

    @rule(seconds=st.none() | st.integers(1, 300))
    def publish(self, seconds: int | None) -> None:
        """Publish a record, for so long or without end."""
        until = None if seconds is None else self.now + seconds
        record_id = f"r-{len(self.revisions)}"
        sequence = self.disclosing.publish(record_id, disclosed_until=until)
        self.revisions[record_id] = [sequence]
        self._keep(sequence, admitted(record_id, disclosed_until=until))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), text=st.sampled_from("ab"))
    def correct(self, data: st.DataObject, text: str) -> None:
        """Correct a record, perhaps back to what it was."""
        record_id = data.draw(st.sampled_from(self.live))
        before = self.revisions[record_id]
        record = admitted(record_id, content=b'{"about":"%s"}' % text.encode())
        if self.copies[before[-1]] == _copy(record):
            return
        sequence = self.disclosing.disclosure.correct(record, len(before))
        self._end(before[-1], DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED)
        before.append(sequence)
        self._keep(sequence, record)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), kind=st.sampled_from(_ENDS))
    def end(self, data: st.DataObject, kind: Any) -> None:
        """Repair or withdraw a record."""
        record_id = data.draw(st.sampled_from(self.live))
        revisions = self.revisions[record_id]
        self.disclosing.end(record_id, len(revisions), kind)
        self._end(revisions[-1], kind)

    @precondition(lambda self: self.live)
    @rule(operator_id=st.sampled_from(OPERATORS), data=st.data())
    def serve(self, operator_id: str, data: st.DataObject) -> None:
        """Serve some of what is disclosed."""
        chosen = data.draw(st.sets(st.sampled_from(self.live), max_size=4))
        sequences = [self.revisions[each][-1] for each in sorted(chosen)]
        current = [each for each in sequences if self.copies[each].disclosed_until > self.now]
        self.disclosing.serve(operator_id, *current)
        self.served[operator_id].update(current)

    @rule(steps=st.integers(1, 3))
    def follow(self, steps: int) -> None:
        """Let the follower come a little further."""
        for _ in range(steps):
            self.steps.step()

    @rule(seconds=st.integers(-5, 200))
    def wait(self, seconds: int) -> None:
        """Let time pass, or set the clock back a little."""
        self.disclosing.clock.at += seconds

    @rule()
    def compare(self) -> None:
        """What is told is what was done."""
        every = set(self.copies)
        holders = self.holdings.holders(every)
        for operator_id in OPERATORS:
            served = self.served[operator_id]
            assert self.holdings.was_served(operator_id, every) == served
            assert {each for each in every if operator_id in holders[each]} == served
            held = {
                each for each in served - self.ended if self.copies[each].disclosed_until > self.now
            }
            assert self.holdings.entitled(operator_id, self.now) == len(held)
            drawn = self.holdings.sample(operator_id, 1_000, Random(1), self.now)
            assert sorted(drawn) == sorted(held)
            ready, entitlement = self.warm.of(operator_id, self.now)
            assert entitlement.position == self.disclosing.store.head()
            assert ready.copies == len(held)
            elements = b"".join(element_of(self.copies[each]) for each in held)
            wanted = coded(elements, ready.key)
            assert ready.symbols(0, 40).packed() == wanted.symbols(0, 40).packed()

    @property
    def now(self) -> int:
        """The time of the history."""
        return self.disclosing.clock.now()

    @property
    def live(self) -> list[str]:
        """The records that are disclosed."""
        return [
            each for each, revisions in self.revisions.items() if revisions[-1] not in self.ended
        ]

    def _end(self, sequence: int, kind: int) -> None:
        self.ended.add(sequence)
        self.endings[sequence] = kind

    def _keep(self, sequence: int, record: Any) -> None:
        self.copies[sequence] = _copy(record)


def _copy(record: Any) -> Copy:
    until = NO_END if record.disclosed_until is None else record.disclosed_until
    return Copy(record.record_id, record.digest, record.disclosed_from, until)
