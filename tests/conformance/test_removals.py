"""Removals owed for events: by all who were served, until each says that it is done (G9)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as engine_events
from sqlalchemy import select

from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.removal_tables import DUTIES
from gateway.conformance.removals import Duty, Owed, RemovalDuties, Removed
from gateway.storage.engines import Engines, reading
from tests.clock import NOW
from tests.conformance.disclosing import HOUR, ByDays, Disclosing, LedgerHolders
from tests.meter.world import admitted
from tests.stores import engines_of

TWO_DAYS = NOW + 48 * HOUR


@dataclass
class NotedFindings:
    """Findings of overdue removals, as they are opened and rectified."""

    opened: list[tuple[str, str, int, int, int]] = field(
        default_factory=list[tuple[str, str, int, int, int]]
    )
    closed: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    broken: bool = False

    def open_removal_overdue(
        self,
        operator_id: str,
        record_id: str,
        event_sequence: int,
        severity: int,
        now: int,
        region: str = "",
    ) -> None:
        """See the port."""
        assert not region
        if self.broken:
            raise OSError("the store is gone")
        self.opened.append((operator_id, record_id, event_sequence, severity, now))

    def removal_acknowledged(
        self, operator_id: str, event_sequence: int, now: int, region: str = ""
    ) -> None:
        """See the port."""
        assert not region
        self.closed.append((operator_id, event_sequence, now))


@dataclass
class World:
    """A disclosure, the duties that come of it, and the findings."""

    engines: Engines

    def __post_init__(self) -> None:
        self.disclosing = Disclosing(self.engines)
        self.findings = NotedFindings()
        self.duties = self.another()
        self.overdue = OverdueRemovals(self.engines.evidence, self.duties, self.findings)

    def another(self) -> RemovalDuties:
        """Return the duties as another process has them."""
        return RemovalDuties(self.engines, LedgerHolders(self.engines), ByDays())

    def owing(self) -> set[tuple[str, int, int]]:
        """Return who owes for which event by when, acknowledged or not."""
        with reading(self.engines.evidence) as connection:
            rows = connection.execute(select(DUTIES))
            return {(row.operator_id, row.event_sequence, row.deadline) for row in rows}


@pytest.fixture
def world(engines: Engines) -> World:
    """A world on an empty store."""
    return World(engines)


def test_whoever_was_served_a_void_revision_owes_its_removal_and_nobody_else(
    world: World,
) -> None:
    first, second = world.disclosing.publish("one"), world.disclosing.publish("two")
    world.disclosing.serve("alpha", first, second)
    world.disclosing.serve("beta", second)
    corrected = world.disclosing.correct("one")
    world.disclosing.serve("gamma", corrected)
    repaired = world.disclosing.end("two")
    world.duties.follow()
    assert world.owing() == {
        ("alpha", corrected, TWO_DAYS),
        ("alpha", repaired, TWO_DAYS),
        ("beta", repaired, TWO_DAYS),
    }
    # The revision that took the first one's place is another copy.
    ended = world.disclosing.end("one", revision=2)
    world.duties.follow()
    assert {each for each in world.owing() if each[1] == ended} == {("gamma", ended, TWO_DAYS)}


def test_a_deadline_follows_the_grade_of_the_copy_that_must_go(world: World) -> None:
    sequence = world.disclosing.publish("one", severity=Severity.SEVERITY_SERIOUS)
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.correct("one", severity=Severity.SEVERITY_MINOR)
    assert world.duties.owed("alpha", NOW) == Owed(1, 0, NOW + 24 * HOUR)
    (duty,) = world.duties.of_record("one")
    assert duty == Duty(
        "alpha", event, "one", Severity.SEVERITY_SERIOUS, NOW + 24 * HOUR, None, None
    )


def test_a_step_looks_for_what_is_due_by_indexes_alone(sqlite_store: tuple[str, Path]) -> None:
    asked: list[tuple[str, Any]] = []

    def note(
        _c: object, _cursor: object, statement: str, values: object, _x: object, _many: bool
    ) -> None:
        asked.append((statement, values))

    with engines_of(*sqlite_store) as engines:
        world = World(engines)
        sequence = world.disclosing.publish("one")
        world.disclosing.serve("alpha", sequence)
        world.disclosing.end("one")
        world.overdue.step(NOW)
        engine_events.listen(world.engines.evidence, "before_cursor_execute", note)
        world.overdue.step(NOW)
        world.overdue.step(TWO_DAYS)
        engine_events.remove(world.engines.evidence, "before_cursor_execute", note)
        about = [each for each in asked if "removal_duties " in each[0]]
        assert len(about) > 4
        with reading(world.engines.evidence) as connection:
            for statement, values in about:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                assert not [row for row in rows if "SCAN removal_duties" in row[-1]], statement
        assert world.findings.opened


def test_what_is_owed_is_told_the_moment_the_event_is_committed(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    assert world.duties.owed("alpha", NOW) == Owed(0, 0, None)
    world.disclosing.end("one")
    assert world.duties.owed("alpha", NOW) == Owed(1, 0, TWO_DAYS)
    assert world.duties.owed("alpha", TWO_DAYS - 1) == Owed(1, 0, TWO_DAYS)
    assert world.duties.owed("alpha", TWO_DAYS) == Owed(1, 1, TWO_DAYS)
    assert world.duties.owed("beta", NOW) == Owed(0, 0, None)


def test_a_removal_is_acknowledged_once_and_the_first_word_stands(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.end("one")
    assert world.duties.owing("alpha", {event, event + 1}) == {event: TWO_DAYS}
    removed = Removed(event, NOW + 5)
    # No follower has come to the event yet.
    assert world.duties.acknowledge("alpha", [removed, removed], "alpha-one", NOW + 10) == (1, 2)
    later = Removed(event, NOW + 50)
    assert world.duties.acknowledge("alpha", [later], "alpha-two", NOW + 60) == (0, 1)
    (duty,) = world.duties.of_record("one")
    assert (duty.removed_at, duty.acknowledged_at) == (NOW + 5, NOW + 10)
    assert world.duties.owed("alpha", NOW) == Owed(0, 0, None)
    assert world.duties.owing("alpha", {event, event + 1}) == {}
    assert world.duties.acknowledged_by("alpha", NOW, NOW + 10, 9) == []
    assert world.duties.acknowledged_by("alpha", NOW, NOW + 11, 9) == [duty]


def test_removals_before_one_that_is_not_owed_are_taken_and_none_after(world: World) -> None:
    sequences = [world.disclosing.publish(name) for name in ("one", "two", "three")]
    world.disclosing.serve("alpha", sequences[0], sequences[2])
    world.disclosing.serve("beta", sequences[1])
    events = [world.disclosing.end(name) for name in ("one", "two", "three")]
    removals = [Removed(event, NOW) for event in events]
    assert world.duties.acknowledge("alpha", removals, "alpha-one", NOW) == (1, 1)
    assert world.duties.owed("alpha", NOW).outstanding == 1
    # A publication makes nothing void, and an event to come is none.
    for none in (sequences[0], events[-1] + 1):
        assert world.duties.acknowledge("alpha", [Removed(none, NOW)], "a", NOW) == (0, 0)


def test_several_processes_write_the_same_duties_once(world: World) -> None:
    for number in range(40):
        sequence = world.disclosing.publish(f"record-{number}")
        world.disclosing.serve("alpha", sequence)
        world.disclosing.end(f"record-{number}")
        for process in (world.duties, world.another()):
            process.follow()
    assert len(world.owing()) == 40
    assert world.another().owed("alpha", NOW).outstanding == 40


def test_a_removal_not_acknowledged_by_its_deadline_is_found_once(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.end("one")
    world.overdue.step(TWO_DAYS - 1)
    assert not world.findings.opened
    for now in (TWO_DAYS, TWO_DAYS + 1):
        world.overdue.step(now)
    assert world.findings.opened == [("alpha", "one", event, Severity.SEVERITY_GENERAL, TWO_DAYS)]
    assert not world.findings.closed
    world.duties.acknowledge("alpha", [Removed(event, TWO_DAYS)], "alpha-one", TWO_DAYS + 2)
    for now in (TWO_DAYS + 3, TWO_DAYS + 4):
        world.overdue.step(now)
    assert world.findings.closed == [("alpha", event, TWO_DAYS + 3)]


def test_a_removal_acknowledged_in_time_is_never_found(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.end("one")
    world.duties.acknowledge("alpha", [Removed(event, NOW)], "alpha-one", TWO_DAYS - 1)
    world.overdue.step(TWO_DAYS + 100)
    assert not world.findings.opened


def test_a_late_word_leaves_its_trace_also_where_nobody_had_noticed(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.end("one")
    world.duties.acknowledge("alpha", [Removed(event, NOW)], "alpha-one", TWO_DAYS)
    world.overdue.step(TWO_DAYS + 1)
    assert [each[2] for each in world.findings.opened] == [event]
    assert [each[1] for each in world.findings.closed] == [event]


def test_a_finding_begun_by_a_process_that_died_is_opened_by_the_next(world: World) -> None:
    sequence = world.disclosing.publish("one")
    world.disclosing.serve("alpha", sequence)
    event = world.disclosing.end("one")
    world.findings.broken = True
    with pytest.raises(OSError, match="gone"):
        world.overdue.step(TWO_DAYS)
    world.findings.broken = False
    # Its word comes between: both the fault and its end are kept.
    world.duties.acknowledge("alpha", [Removed(event, TWO_DAYS)], "alpha-one", TWO_DAYS)
    OverdueRemovals(world.engines.evidence, world.another(), world.findings).step(TWO_DAYS + 5)
    assert [each[2] for each in world.findings.opened] == [event]
    assert [each[1] for each in world.findings.closed] == [event]


def test_nothing_is_owed_for_a_correction_that_leaves_content_and_period_as_they_were(
    world: World,
) -> None:
    first = world.disclosing.publish("one")
    world.disclosing.serve("alpha", first)
    disclosure = world.disclosing.disclosure
    graded = disclosure.correct(admitted("one", severity=Severity.SEVERITY_SERIOUS), 1)
    world.disclosing.serve("beta", graded)
    assert not world.duties.of_record("one")
    assert world.duties.owed("alpha", NOW) == Owed(0, 0, None)
    # Its end concerns all who have that copy, by the grade it has then.
    ended = world.disclosing.end("one", 2)
    world.duties.follow()
    day = NOW + 24 * HOUR
    assert world.owing() == {("alpha", ended, day), ("beta", ended, day)}


@pytest.mark.parametrize("late", [False, True])
def test_what_is_owed_ends_by_itself_where_the_record_is_corrected_back(
    world: World, late: bool
) -> None:
    disclosing = world.disclosing
    disclosing.serve("alpha", disclosing.publish("one"))
    wrong = disclosing.correct("one")
    world.overdue.step(NOW)
    if late:
        disclosing.clock.at = TWO_DAYS
        world.overdue.step(TWO_DAYS)
    assert world.duties.owed("alpha", NOW).outstanding == 1
    back = disclosing.disclosure.correct(admitted("one"), 2)
    disclosing.serve("beta", back)
    world.overdue.step(disclosing.clock.now())
    assert world.duties.owed("alpha", NOW) == Owed(0, 0, None)
    assert [each[:3] for each in world.findings.opened] == [("alpha", "one", wrong)] * late
    assert [each[:2] for each in world.findings.closed] == [("alpha", wrong)] * late
    # Nobody has said that anything is gone.
    assert not world.duties.of_record("one")
    assert not world.duties.acknowledged_by("alpha", 0, 1 << 60, 10)
    assert world.another().acknowledge("alpha", [Removed(wrong, NOW)], "client", NOW) == (0, 1)
    ended = disclosing.end("one", 3)
    world.duties.follow()
    assert {each[:2] for each in world.owing()} >= {("alpha", ended), ("beta", ended)}
