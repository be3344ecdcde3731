"""What operators were served and should hold is known exactly, however far the follower is; and
whatever they do hold, each copy is judged for what it is, by symbols as by all copies.

The model knows nothing of sets or symbols.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from creditgate.reconcile.decode import Decoder
from creditgate.reconcile.elements import element_of
from creditgate.reconcile.symbols import coded
from creditgate.transparency.facts import NO_END, Copy
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.conformance.classify import Grace
from gateway.conformance.judging import Judge
from gateway.conformance.matching import Matching
from gateway.conformance.model import MISSING
from gateway.federation.asking.copies import RegionCopies
from gateway.federation.asking.removals import RegionRemovals
from tests.conformance.disclosing import ByDays
from tests.conformance.holding_model import OPERATORS, HoldingMachine
from tests.examples import examples, rarely_on_postgresql
from tests.stores import PostgresStores, SqliteStores

_ENDED: Final = {
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED: FindingKind.FINDING_KIND_CORRECTED_HELD,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED: FindingKind.FINDING_KIND_REPAIRED_HELD,
    DisclosureEventKind.DISCLOSURE_EVENT_KIND_WITHDRAWN: FindingKind.FINDING_KIND_WITHDRAWN_HELD,
}
_ALTERED: Final = sha256(b"altered").digest()


class ClassifyingMachine(HoldingMachine):
    """Attests now and then what an operator might hold."""

    @precondition(lambda self: self.copies)
    @rule(operator_id=st.sampled_from(OPERATORS), data=st.data())
    def attest(self, operator_id: str, data: st.DataObject) -> None:
        """Hold some of everything, some of it altered, and attest it both ways."""
        chosen = st.sets(st.sampled_from(sorted(self.copies)), max_size=6)
        copies = {self.copies[each] for each in data.draw(chosen)}
        copies |= {self.opened[each] for each in data.draw(chosen)}
        for copy in sorted(copies):
            match data.draw(st.sampled_from(("as it is", "content", "period"))):
                case "content":
                    copies = copies - {copy} | {copy._replace(content_digest=_ALTERED)}
                case "period":
                    copies = copies - {copy} | {copy._replace(disclosed_from=7)}
                case _:
                    pass
        held = data.draw(st.permutations(sorted(copies)))
        if data.draw(st.booleans()):
            held.append(Copy("unheard-of", _ALTERED, 1, 2))
        self.judge(operator_id, held)

    def judge(self, operator_id: str, held: list[Copy]) -> set[tuple[int, str]]:
        """Return what is found of the copies that an operator holds, which is the same both ways
        and by the model."""
        wanted = self._expected(operator_id, held)
        assert self._told_by_symbols(operator_id, held) == wanted
        assert self._told_by_all(operator_id, held) == wanted
        return wanted

    def _told_by_symbols(self, operator_id: str, copies: list[Copy]) -> set[tuple[int, str]]:
        ready, entitlement = self.warm.of(operator_id, self.now)
        elements = {element_of(copy): copy for copy in copies}
        theirs = coded(b"".join(elements), ready.key)
        decoder = Decoder(ready.key, len(copies) - ready.copies)
        while not decoder.decoded:
            decoder.take(theirs.symbols(decoder.taken, 16), ready.symbols(decoder.taken, 16))
        matching = Matching(ready, entitlement.cut)
        asked = matching.take_differences(decoder.theirs, decoder.ours)
        assert matching.copies + len(asked) == len(copies)
        matching.show(elements[each] for each in asked)
        return self._judged(operator_id, matching)

    def _told_by_all(self, operator_id: str, copies: list[Copy]) -> set[tuple[int, str]]:
        ready, entitlement = self.warm.of(operator_id, self.now)
        matching = Matching(ready, entitlement.cut)
        for start in range(0, len(copies), 3):
            matching.take_copies(copies[start : start + 3])
        assert matching.copies == len(copies)
        return self._judged(operator_id, matching)

    def _judged(self, operator_id: str, matching: Matching) -> set[tuple[int, str]]:
        engines = self.disclosing.engines
        judge = Judge(engines, RegionCopies(engines, RegionRemovals(engines, ByDays())))
        grace = Grace(10**9, ByDays().removal_seconds, self.now + 10**9)
        judged = judge.judge(operator_id, matching.differing(), grace._replace(now=self.now))
        return {(each.kind, each.record_id) for each in judged.differences}

    def _expected(self, operator_id: str, copies: list[Copy]) -> set[tuple[int, str]]:
        served = {copy: (each, NO_END) for copy, each in self._newest(operator_id).items()}
        served |= self.cut_copies(operator_id)
        should = self.cut_held(operator_id) | {
            copy
            for copy, (each, until) in served.items()
            if until == NO_END and each not in self.ended and copy.disclosed_until > self.now
        }
        faults = {(self._kind(copy, served), copy.record_id) for copy in copies}
        missing = {(MISSING, copy.record_id) for copy in should if copy not in copies}
        return {each for each in faults if each[0]} | missing

    def _newest(self, operator_id: str) -> dict[Copy, int]:
        """Return the copies served whole, and the newest revision of each."""
        return {self.copies[each]: each for each in sorted(self.served[operator_id])}

    def _kind(self, copy: Copy, served: Mapping[Copy, tuple[int, int]]) -> int:
        if copy in served:
            alike, keep_until = served[copy]
            # What was corrected back to what it was is right, whoever was served it before.
            newest = max(each for each, of_it in self.copies.items() if of_it == self.copies[alike])
            over = keep_until <= self.now
            return self._judged_whole(newest) or (
                FindingKind.FINDING_KIND_CONSENT_LIFE_OVER if over else 0
            )
        of_record = [each for each in served if each.record_id == copy.record_id]
        disclosed = [each for each, of_it in self.copies.items() if of_it == copy]
        if disclosed and self._is_served_whole(copy, served):
            # Whoever has the content corrects its copy by the period that the events tell.
            return self._judged_whole(max(disclosed))
        if not of_record or disclosed:
            return FindingKind.FINDING_KIND_NEVER_SERVED
        if any(each.content_digest == copy.content_digest for each in of_record):
            return FindingKind.FINDING_KIND_PERIOD_ALTERED
        return FindingKind.FINDING_KIND_CONTENT_ALTERED

    def _judged_whole(self, revision: int) -> int:
        """Return what is wrong with a whole copy that the disclosure has, of this revision at the
        newest; 0 for nothing."""
        until = self.copies[revision].disclosed_until
        if revision in self.ended and self.ended_at[revision] < until:
            return _ENDED[DisclosureEventKind.ValueType(self.endings[revision])]
        return FindingKind.FINDING_KIND_EXPIRED_HELD if until <= self.now else 0

    def _is_served_whole(self, copy: Copy, served: Mapping[Copy, tuple[int, int]]) -> bool:
        """Tell whether the content of a copy of a revision was served whole, in whatever period."""
        return any(
            (each.record_id, each.content_digest) == (copy.record_id, copy.content_digest)
            and until == NO_END
            for each, (_, until) in served.items()
        )


@dataclass(frozen=True)
class Chosen:
    """Draws what a history by hand is to have."""

    drawn: object

    def draw(self, _strategy: object) -> Any:
        """Return it."""
        return self.drawn


@pytest.fixture
def machine(stores: SqliteStores | PostgresStores) -> Iterator[ClassifyingMachine]:
    """A history by hand, with "r-1" disclosed for a while."""
    made = type("Machine", (ClassifyingMachine,), {"stores": stores})()
    made.begin()
    yield made
    made.teardown()


def corrected(machine: ClassifyingMachine, text: str) -> Copy:
    """Return the copy of "r-1" corrected to a content without end."""
    machine.correct(cast(Any, Chosen("r-1")), text, "a")
    return machine.copies[machine.revisions["r-1"][-1]]


def served(machine: ClassifyingMachine) -> Copy:
    """Return the copy of "r-1" that an operator is served whole."""
    machine.serve("alpha", cast(Any, Chosen({"r-1"})))
    return machine.copies[machine.revisions["r-1"][-1]]


def test_a_copy_in_the_period_that_the_events_tell_is_right_of_what_was_served_in_another(
    machine: ClassifyingMachine,
) -> None:
    served(machine)
    assert machine.judge("alpha", [corrected(machine, "a")]) == set()


def test_a_copy_in_the_period_that_the_events_told_was_corrected_with_what_was_served(
    machine: ClassifyingMachine,
) -> None:
    served(machine)
    held = corrected(machine, "a")
    corrected(machine, "b")
    assert machine.judge("alpha", [held]) == {(FindingKind.FINDING_KIND_CORRECTED_HELD, "r-1")}


def test_a_copy_in_the_period_before_what_was_served_was_corrected(
    machine: ClassifyingMachine,
) -> None:
    held = machine.copies[machine.revisions["r-1"][0]]
    corrected(machine, "a")
    served(machine)
    assert (FindingKind.FINDING_KIND_CORRECTED_HELD, "r-1") in machine.judge("alpha", [held])


@rarely_on_postgresql
def test_what_should_be_held_is_known_and_what_is_held_judged_for_what_it_is(
    stores: SqliteStores | PostgresStores,
) -> None:
    machine = type("Machine", (ClassifyingMachine,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(60 if isinstance(stores, SqliteStores) else 12),
            stateful_step_count=30,
            deadline=None,
            # Each example works on a store of its own: shrinking would take minutes.
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
