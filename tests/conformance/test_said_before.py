"""Who has said that it holds no such copy owes nothing for what becomes of it later."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from gateway.conformance.check import check_conformance
from gateway.conformance.findings import Findings
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import REMOVAL_OVERDUE
from gateway.conformance.overdue import OverdueRemovals
from gateway.conformance.removal_rows import removals_for
from gateway.conformance.removals import Owed, Removed
from gateway.conformance.said_before import SaidBefore
from gateway.storage.engines import reading
from tests.conformance.enforcing import DAY, Enforced, enforced_on
from tests.conformance.test_challenges import absent
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.meter.world import admitted

pytestmark = rarely_on_postgresql

HOUR: Final = 3_600
NOTHING: Final = Owed(0, 0, None)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store."""
    with enforced_on(request) as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """It, with a new operator."""
    shared.newcomer()
    return shared


def _told_missing(world: Enforced, name: str) -> int:
    """Serve a record to the operator, and have it tell that it does not hold it; return the
    revision."""
    (sequence,) = world.serve(name)
    world.clock.at += DAY
    world.attest(absent(world, name, sequence), copies=0)
    world.clock.at += HOUR
    return sequence


def _found(world: Enforced) -> list[str]:
    """Have the enforcer look at removals when all are due; return what is found overdue."""
    findings = Findings(world.engines.evidence, world.policy)
    _said(world)
    world.clock.at += 4 * DAY
    OverdueRemovals(world.engines.evidence, world.duties, findings).step(world.clock.now())
    assert check_conformance(world.engines).faults == []
    return [record for record, kind in world.standing() if kind == REMOVAL_OVERDUE]


def _said(world: Enforced) -> None:
    SaidBefore(world.engines, world.duties, Holdings(world.engines)).follow()


def _end(world: Enforced, name: str, revision: int = 1) -> int:
    return world.disclosing.end(world.record(name), revision)


def _change(world: Enforced, name: str, revision: int, content: bytes | None = None) -> int:
    """Correct a record to other content, or back to what it was; return the event."""
    changed: dict[str, Any] = {} if content is None else {"content": content}
    record = admitted(world.record(name), **changed)
    return world.disclosing.disclosure.correct(record, revision)


def test_who_told_a_copy_missing_owes_nothing_for_a_later_event(world: Enforced) -> None:
    _told_missing(world, "a")
    event = _end(world, "a")
    _said(world)
    now = world.clock.now()
    assert world.duties.owed(world.firm, now) == NOTHING
    # Nobody has said so of this event; who says it all the same says nothing new.
    assert not world.duties.of_record(world.record("a"))
    assert not world.duties.acknowledged_by(world.firm, 0, 1 << 60, 10)
    assert world.duties.acknowledge(world.firm, [Removed(event, now)], "one", now) == (0, 1)
    assert _found(world) == []


def test_who_was_served_a_copy_again_that_it_told_missing_owes_its_removal(world: Enforced) -> None:
    sequence = _told_missing(world, "a")
    world.disclosing.serve(world.firm, sequence)
    _end(world, "a")
    assert _found(world) == [world.record("a")]


@always_on_postgresql
def test_who_was_given_a_copy_again_by_a_retry_owes_its_removal(world: Enforced) -> None:
    (sequence,) = world.disclosing.disclosure.publish(admitted(world.record("a")))
    asked = world.disclosing.serve(world.firm, sequence)
    world.clock.at += HOUR
    world.attest(absent(world, "a", sequence), copies=0)
    world.clock.at += 60
    world.disclosing.serve_again(asked)
    _end(world, "a")
    assert _found(world) == [world.record("a")]


def test_a_word_on_one_copy_is_none_on_another(world: Enforced) -> None:
    _told_missing(world, "a")
    world.serve("b")
    world.duties.follow()
    _end(world, "a")
    _end(world, "b")
    assert _found(world) == [world.record("b")]


def test_what_was_told_before_the_event_stands_whatever_is_attested_before_it_is_looked_at(
    world: Enforced,
) -> None:
    _told_missing(world, "a")
    _end(world, "a")
    world.duties.follow()
    # It says nothing of the event, nor of what has ended by now.
    world.attest(copies=0, sequence=0)
    assert _found(world) == []


def test_who_said_that_a_copy_is_gone_owes_nothing_where_it_was_right_again_meanwhile(
    world: Enforced,
) -> None:
    world.serve("a")
    wrong, now = _change(world, "a", 1, b'{"about":"wrong"}'), world.clock.now()
    world.duties.acknowledge(world.firm, [Removed(wrong, now)], "one", now)
    _change(world, "a", 2)
    better = _change(world, "a", 3, b'{"about":"better"}')
    assert world.duties.owed(world.firm, now) == NOTHING
    with reading(world.engines.evidence) as evidence:
        said = removals_for(evidence, world.firm, [wrong, better])
    # It may have the copy back, rightly: no word on the new event is put into its mouth.
    assert (said[wrong].removed_at, said[better].removed_at) == (now, None)
    assert _found(world) == []


def test_who_was_served_what_was_right_again_owes_its_removal(world: Enforced) -> None:
    world.serve("a")
    wrong, now = _change(world, "a", 1, b'{"about":"wrong"}'), world.clock.now()
    world.duties.acknowledge(world.firm, [Removed(wrong, now)], "one", now)
    world.disclosing.serve(world.firm, _change(world, "a", 2))
    _change(world, "a", 3, b'{"about":"better"}')
    assert _found(world) == [world.record("a")]


def test_who_said_nothing_while_a_copy_was_void_owes_its_removal_once_it_is_void_again(
    world: Enforced,
) -> None:
    world.serve("a")
    _change(world, "a", 1, b'{"about":"wrong"}')
    world.duties.follow()
    _change(world, "a", 2)
    # What was owed ends by itself, and nobody has said that it is gone.
    world.duties.follow()
    _change(world, "a", 3, b'{"about":"better"}')
    assert _found(world) == [world.record("a")]


@always_on_postgresql
def test_many_are_looked_at_a_part_at_a_time(
    world: Enforced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.conformance.said_before._AT_ONCE", 2)
    names = [f"n{number}" for number in range(5)]
    sequences = world.serve(*names)
    world.clock.at += DAY
    told = [absent(world, each, at) for each, at in zip(names, sequences, strict=True)]
    world.attest(*told, copies=0)
    world.disclosing.serve(world.firm, sequences[2])
    for each in names:
        _end(world, each)
    assert _found(world) == [world.record("n2")]
