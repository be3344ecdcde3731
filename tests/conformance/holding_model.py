"""Holdings over random histories: a plain model beside the real stores."""

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from consent.changing import Act
from consent.model import Actor, Consent, ConsentItem
from consent.sql import SqlConsents
from creditgate.reconcile.elements import element_of
from creditgate.reconcile.symbols import coded
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.following import HoldingsSteps
from gateway.conformance.holdings import Holdings
from gateway.conformance.warm import WarmSets
from tests import consenting
from tests.conformance.disclosing import Disclosing
from tests.meter.world import admitted, company
from tests.stores import PostgresStores, SqliteStores, engines_of

OPERATORS = ("alpha", "beta")
LIVES: Final = (90, 400)
"""How many seconds an operator's two consents let copies be kept."""
_DAY: Final = 86_400
_ENDS = (
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN,
)


@dataclass
class Ground:
    """A consent, and the revisions served under it, each with the last instant it was. ``end`` is
    by when all must be gone, ``removed`` when that was said."""

    consent: Consent
    served: dict[int, int] = field(default_factory=dict[int, int])
    end: int | None = None
    removed: bool = False

    @property
    def last_at(self) -> int | None:
        """When records were served last."""
        return max(self.served.values(), default=None)

    def keep_until(self, served_at: int) -> int:
        """Until when it lets a copy be kept."""
        until = served_at + self.consent.terms.data_life_seconds
        return 0 if self.removed else until if self.end is None else min(until, self.end)


class HoldingMachine(RuleBasedStateMachine):
    """Publishes, changes and serves records, whole and under two consents of each operator; the
    follower comes by now and then."""

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
        self.ended_at: dict[int, int] = {}
        self.served: defaultdict[str, set[int]] = defaultdict(set)
        self.opened: dict[int, Copy] = {}
        """Each revision as consents open it."""
        self.cut: defaultdict[str, set[int]] = defaultdict(set)
        self.consents = SqlConsents(engines.records)
        self.grounds: dict[str, list[Ground]] = {}

    def teardown(self) -> None:
        """Compare, and close the store."""
        try:
            self.compare()
        finally:
            self.stack.close()

    @initialize()
    def begin(self) -> None:
        """Have something to change and serve, and consents to do so."""
        self.publish(None)
        self.publish(100)
        opened = [ConsentItem(item="penalty.general", fields=frozenset({"about"}))]
        for operator_id in OPERATORS:
            self.grounds[operator_id] = [
                Ground(
                    consenting.given(
                        self.consents,
                        company(1),
                        consenting.terms(opened, data_life_seconds=seconds),
                        operator_id=operator_id,
                    )
                )
                for seconds in LIVES
            ]

    @rule(seconds=st.none() | st.integers(1, 300))
    def publish(self, seconds: int | None) -> None:
        """Publish a record, for so long or without end."""
        until = None if seconds is None else self.now + seconds
        record_id = f"r-{len(self.revisions)}"
        changes: dict[str, Any] = {"disclosed_until": until, "content": _content("a", "a")}
        sequence = self.disclosing.publish(record_id, **changes)
        self.revisions[record_id] = [sequence]
        self._keep(sequence, admitted(record_id, **changes), "a")

    @precondition(lambda self: self.live)
    @rule(data=st.data(), text=st.sampled_from("ab"), hidden=st.sampled_from("ab"))
    def correct(self, data: st.DataObject, text: str, hidden: str) -> None:
        """Correct a record, perhaps back to what it was, perhaps in what no consent opens."""
        record_id = data.draw(st.sampled_from(self.live))
        before = self.revisions[record_id]
        record = admitted(record_id, content=_content(text, hidden))
        if self.copies[before[-1]] == _copy(record):
            return
        sequence = self.disclosing.disclosure.correct(record, len(before))
        self._end(before[-1], DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED)
        before.append(sequence)
        self._keep(sequence, record, text)

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

    @precondition(lambda self: self.live)
    @rule(operator_id=st.sampled_from(OPERATORS), which=st.integers(0, 1), data=st.data())
    def serve_under_a_consent(self, operator_id: str, which: int, data: st.DataObject) -> None:
        """Serve a record as a consent opens it."""
        ground = self.grounds[operator_id][which]
        sequence = self.revisions[data.draw(st.sampled_from(self.live))][-1]
        if ground.end is not None or self.copies[sequence].disclosed_until <= self.now:
            return
        self.disclosing.serve(operator_id, sequence, relies_on=ground.consent, served_at=self.now)
        ground.served[sequence] = max(ground.served.get(sequence, 0), self.now)
        self.cut[operator_id].add(sequence)

    @rule(operator_id=st.sampled_from(OPERATORS), which=st.integers(0, 1))
    def end_a_consent(self, operator_id: str, which: int) -> None:
        """Take a consent back; the second time, have the operator say that the copies are
        gone."""
        ground = self.grounds[operator_id][which]
        consent_id, last_at = ground.consent.consent_id, ground.last_at
        if ground.end is None:
            if last_at is not None:
                self.consents.move(consent_id, "revoke", Act(Actor.SUBJECT, "", "", self.now))
                life = ground.consent.terms.data_life_seconds
                ground.end = min(last_at + life, self.now + _DAY)
        elif not ground.removed:
            now = max(self.now, last_at or 0)
            assert self.consents.acknowledge(consent_id, operator_id, now, "client", now)
            ground.removed = True

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
            served, cut = self.served[operator_id], self.cut[operator_id]
            assert {each for each in every if operator_id in holders[each]} == served | cut
            keepers = self.holdings.keepers(every, operator_id)
            assert {each: keepers[each].get(operator_id) for each in every if keepers[each]} == {
                each: NO_END if each in served else self._cut_until(operator_id, each)
                for each in served | cut
            }
            held = {
                each for each in served - self.ended if self.copies[each].disclosed_until > self.now
            }
            opened = self.cut_held(operator_id)
            number = len(held) + len(opened)
            assert self.holdings.entitled(operator_id, self.now) == number
            ready, entitlement = self.warm.of(operator_id, self.now)
            assert entitlement.position == self.disclosing.store.head()
            assert ready.copies == number
            elements = b"".join(
                element_of(each) for each in (*(self.copies[each] for each in held), *opened)
            )
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
        self.ended_at[sequence] = self.now

    def _keep(self, sequence: int, record: Any, text: str) -> None:
        self.copies[sequence] = copy = _copy(record)
        digest = sha256(b'{"about":"%s"}' % text.encode()).digest()
        self.opened[sequence] = copy._replace(content_digest=digest)

    def cut_copies(self, operator_id: str) -> dict[Copy, tuple[int, int]]:
        """Return the copies served under consents, each with the revision and until when a consent
        lets it be kept: of those alike the newest that may be kept, else the newest."""
        every = [
            (ground.keep_until(at), sequence)
            for ground in self.grounds[operator_id]
            for sequence, at in ground.served.items()
        ]
        ordered = sorted(every, key=lambda each: (each[0] > self.now, each[1], each[0]))
        return {self.opened[sequence]: (sequence, until) for until, sequence in ordered}

    def cut_held(self, operator_id: str) -> set[Copy]:
        """Return the copies under consents that may be held."""
        return {
            self.opened[sequence]
            for ground in self.grounds[operator_id]
            for sequence, at in ground.served.items()
            if sequence not in self.ended
            and self.now < min(ground.keep_until(at), self.opened[sequence].disclosed_until)
        }

    def _cut_until(self, operator_id: str, revision: int) -> int:
        """Return until when a copy of a revision may be kept."""
        return max(
            ground.keep_until(ground.served[revision])
            for ground in self.grounds[operator_id]
            if revision in ground.served
        )


def _content(text: str, hidden: str) -> bytes:
    return b'{"about":"%s","aside":"%s"}' % (text.encode(), hidden.encode())


def _copy(record: Any) -> Copy:
    until = NO_END if record.disclosed_until is None else record.disclosed_until
    return Copy(record.record_id, record.digest, record.disclosed_from, until)
