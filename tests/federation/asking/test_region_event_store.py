"""G9: whoever was given what a region's event makes void is told of it once, however answers and
events overtake one another, on both stores."""

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from gateway.federation.asking.event_concerns import Change
from gateway.federation.asking.event_places import place
from gateway.federation.asking.event_tables import REGION_CHANGES
from gateway.federation.asking.region_events import (
    LATE_SECONDS,
    AnotherLog,
    SqlRegionEvents,
)
from gateway.federation.asking.use_store import RegionUses
from gateway.federation.asking.uses import RegionAnswer, RegionUse
from gateway.storage.engines import reading
from tests.clock import NOW
from tests.federation.asking.test_uses import Made, answer, uses

CORRECTED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED
REPAIRED = DisclosureEventKind.DISCLOSURE_EVENT_KIND_REPAIRED
_examples = count()

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("serve"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("correct"), st.integers(0, 2)),
        st.tuples(st.just("repair"), st.integers(0, 2)),
        st.tuples(st.just("keep")),
        st.tuples(st.just("take"), st.integers(1, 3)),
        st.tuples(st.just("take again")),
        st.tuples(st.just("late")),
    ),
    min_size=20,
    max_size=60,
)


@dataclass
class Home:
    """A region as it is at home: what it serves, and whom each of its events concerns."""

    revisions: list[int] = field(default_factory=lambda: [1, 1, 1])
    ended: set[int] = field(default_factory=set[int])
    given: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """(operator, record)"""
    log: list[Change] = field(default_factory=list[Change])
    owed: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """(operator, event sequence)"""

    def happen(self, record: int, kind: int) -> None:
        if record in self.ended:
            return
        if kind == CORRECTED:
            self.revisions[record] += 1
        else:
            self.ended.add(record)
        sequence = 10 * (len(self.log) + 1)
        self.log.append(
            Change(sequence, record_id(record), self.revisions[record], kind, "xzcf", NOW)
        )
        self.owed |= {(operator, sequence) for operator, each in self.given if each == record}


def record_id(record: int) -> str:
    return f"record-{record:04}"


def chunk_of(operator_id: str, region: str, request_id: str) -> RegionAnswer:
    """Return a chunk of one record."""
    return answer(Made(region=region, request_id=request_id, operator_id=operator_id), 1)


@pytest.mark.parametrize(
    "examples",
    [pytest.param(12, id="some"), pytest.param(300, id="many", marks=pytest.mark.soak)],
)
def test_who_was_given_what_an_event_makes_void_is_told_of_it_once(
    records_engine: Engine, examples: int
) -> None:
    @settings(max_examples=examples)
    @given(actions=ACTIONS)
    def told_once(actions: list[tuple[str, *tuple[int, ...]]]) -> None:
        tell_once(records_engine, actions)

    told_once()


def tell_once(records_engine: Engine, actions: list[tuple[str, *tuple[int, ...]]]) -> None:
    number = next(_examples)
    region = f"https://region-{number}.invalid"
    operators = [f"operator-{number}-{each}" for each in range(3)]
    home, kept, events = Home(), RegionUses(records_engine), SqlRegionEvents(records_engine)
    on_the_way: list[tuple[RegionAnswer, list[RegionUse]]] = []
    requests = count()
    position = taken = 0

    def take(some: list[Change]) -> None:
        events.take(region, some, some[-1].event_sequence, NOW)

    for name, *more in actions:
        if name == "serve" and more[1] not in home.ended:
            chunk = chunk_of(operators[more[0]], region, f"r-{next(requests)}")
            use = uses(3)[more[1]]._replace(revision=home.revisions[more[1]])
            on_the_way.append((chunk, [use]))
            home.given.add((more[0], more[1]))
        elif name in ("correct", "repair"):
            home.happen(more[0], CORRECTED if name == "correct" else REPAIRED)
        elif name == "keep" and on_the_way:
            kept.keep(*on_the_way.pop())
        elif name == "take" and home.log[position:]:
            some = home.log[position : position + more[0]]
            position += len(some)
            take(some)
            taken = len(some)
        elif name == "take again" and taken:
            # As after a stream that broke before its position was known to be kept.
            take(home.log[position - taken : position])
        elif name == "late":
            events.tell_late(NOW)
    event(f"{len(on_the_way)} answers came last")
    if home.log[position:]:
        take(home.log[position:])
    for chunk, some in on_the_way:
        kept.keep(chunk, some)
    events.tell_late(NOW)

    told: set[tuple[int, int]] = set()
    for operator, operator_id in enumerate(operators):
        pages = [*events.after(operator_id, 0, 2), *events.after(operator_id, 2, 1_000)]
        assert [each.number for each in pages] == list(range(1, len(pages) + 1))
        assert len({each.change.event_sequence for each in pages}) == len(pages)
        assert all(each.change in home.log and each.region == region for each in pages)
        told |= {(operator, each.change.event_sequence) for each in pages}
        assert events.newest(operator_id) == len(pages)
    assert told == home.owed
    if home.log:
        heard = events.heard()[region]
        assert (heard.event_sequence, heard.told) == (home.log[-1].event_sequence, len(told))


def test_events_are_held_against_late_answers_for_a_while_and_no_longer(
    records_engine: Engine,
) -> None:
    kept, events = RegionUses(records_engine), SqlRegionEvents(records_engine)
    region = "https://late.invalid"
    change = Change(10, record_id(0), 1, REPAIRED, "xzcf", NOW)
    events.take(region, [change], 10, NOW)
    events.tell_late(NOW + LATE_SECONDS - 1)
    kept.keep(chunk_of("late-operator", region, "r-1"), uses(1))
    events.tell_late(NOW + LATE_SECONDS - 1)
    assert [each.change for each in events.after("late-operator", 0, 10)] == [change]
    assert events.after("late-operator", 1, 10) == []
    kept.keep(chunk_of("later-operator", region, "r-2"), uses(1))
    events.tell_late(NOW + LATE_SECONDS)
    assert events.after("later-operator", 0, 10) == []


def test_how_far_a_region_was_heard_never_goes_back(records_engine: Engine) -> None:
    events = SqlRegionEvents(records_engine)
    events.mark({"https://a.invalid": (7, NOW), "https://b.invalid": (3, NOW)})
    events.mark({"https://a.invalid": (5, NOW + 1)})
    heard = events.heard()
    assert heard["https://a.invalid"] == (7, NOW + 1, 0)
    assert heard["https://b.invalid"] == (3, NOW, 0)


def test_a_log_begun_anew_is_heard_from_its_beginning_and_nothing_is_told_twice(
    records_engine: Engine,
) -> None:
    kept, events = RegionUses(records_engine), SqlRegionEvents(records_engine)
    region, firm = "https://put-back.invalid", "put-back-operator"
    kept.keep(chunk_of(firm, region, "r-1"), uses(3))
    common, lost, anew = (Change(1, record_id(each), 1, REPAIRED, "xzcf", NOW) for each in range(3))
    events.begin(region, place(1, 0), anew=True)
    before = [
        common._replace(event_sequence=place(1, 7)),
        lost._replace(event_sequence=place(1, 8)),
    ]
    events.take(region, before, place(1, 9), NOW)
    # A log that goes on shorter, and has another event at the place of the one that was lost.
    events.begin(region, place(2, 0), anew=True)
    assert events.heard()[region].heard_at == 0
    with pytest.raises(AnotherLog):
        events.take(region, [], place(1, 10), NOW)
    events.mark({region: (place(1, 10), NOW)})
    after = [common._replace(event_sequence=place(2, 7)), anew._replace(event_sequence=place(2, 8))]
    events.take(region, after, place(2, 8), NOW)
    events.take(region, after, place(2, 8), NOW)
    assert [each.change for each in events.after(firm, 0, 10)] == [*before, after[1]]
    # What was told by the former log is awaited there by the present one too.
    assert set(_changes(records_engine, region)) == {*before, *after}
    assert events.heard()[region] == (place(2, 8), NOW, 3)


def test_numbers_go_on_above_those_that_a_store_put_back_does_not_know(
    records_engine: Engine,
) -> None:
    kept = RegionUses(records_engine)
    region, firm = "https://here-put-back.invalid", "here-put-back-operator"
    kept.keep(chunk_of(firm, region, "r-1"), uses(3))
    changes = [Change(each, record_id(each), 1, REPAIRED, "xzcf", NOW) for each in range(3)]
    SqlRegionEvents(records_engine).take(region, changes[1:2], 1, NOW)
    events = SqlRegionEvents(records_engine, lambda: 1_000)
    assert events.newest(firm) == 1_000
    events.take(region, changes[2:], 2, NOW)
    assert [each.number for each in events.after(firm, 0, 10)] == [1, 1_001]
    assert events.newest(firm) == 1_001


def _changes(engine: Engine, region: str) -> list[Change]:
    columns = REGION_CHANGES.c
    query = select(*(columns[name] for name in Change._fields)).where(columns.region == region)
    with reading(engine) as connection:
        return [Change._make(row) for row in connection.execute(query)]
