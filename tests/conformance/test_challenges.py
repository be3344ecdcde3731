"""Copies asked for at random catch an operator that attests what it does not hold."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import select

from creditgate.refusal import Refused
from creditgate.transparency.facts import copy_digest
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.challenges import Answer
from gateway.conformance.drawing import MOST_OPEN
from gateway.conformance.finding_tables import CHALLENGES, DRAWS
from gateway.conformance.model import (
    ATTESTATION_FALSE,
    NONE,
    RECTIFY,
    SUSPENDED,
    THROTTLED,
    Challenge,
    Difference,
)
from gateway.conformance.revisions import revisions_of
from gateway.storage.engines import reading
from tests.conformance.enforcing import (
    CONTENT_ALTERED,
    DAY,
    MISSING,
    Enforced,
    difference,
    enforced_in,
    enforced_on,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.stores import PostgresStores, SqliteStores

pytestmark = rarely_on_postgresql

ANSWER = {"sampling": {"lied_share": 0.05, "caught": 0.99, "most": 100, "answer": "P2D"}}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request, **ANSWER) as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """An operator of which nothing is known."""
    shared.newcomer()
    return shared


@pytest.fixture
def alone(stores: SqliteStores | PostgresStores) -> Iterator[Enforced]:
    """An operator alone in its installation: what others left would take its time each step."""
    with enforced_in(stores, **ANSWER) as enforced:
        enforced.newcomer()
        yield enforced


@pytest.fixture(scope="module")
def drawn_on(sqlite_stores: SqliteStores) -> Iterator[Enforced]:
    """An installation for all tests of what is drawn, which no store has a part in."""
    with enforced_in(sqlite_stores, **ANSWER) as enforced:
        yield enforced


@pytest.fixture
def drawer(drawn_on: Enforced) -> Enforced:
    """An operator of which nothing is known, on SQLite."""
    drawn_on.newcomer()
    return drawn_on


def right(world: Enforced, challenge: Challenge) -> bytes:
    """Return the digest of the copy that a challenge asks for, as it is disclosed."""
    with reading(world.engines.records) as connection:
        (revision,) = revisions_of(connection, [challenge.revision_sequence])
    return copy_digest(revision.copy)


def counts(world: Enforced) -> tuple[int, int]:
    """Return how many copies were asked for and shown right."""
    standing = world.standings.of(world.firm)
    assert standing is not None
    return standing.challenged, standing.confirmed


def test_what_was_attested_is_asked_for_and_confirmed_once_shown(world: Enforced) -> None:
    sequences = world.serve("a", "b", "c")
    world.attest(copies=3)
    asked = world.asked()
    assert {each.revision_sequence for each in asked} == set(sequences)
    assert {each.deadline for each in asked} == {world.clock.now() + 2 * DAY}
    answers = [(each.record_id, right(world, each)) for each in asked]
    assert world.show(*answers).confirmed == 3
    assert counts(world) == (3, 3)
    assert not world.asked()
    assert not world.standing()


@always_on_postgresql
def test_a_challenge_answered_stays_as_it_was_judged(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    (asked,) = world.asked()
    answer = asked.record_id, right(world, asked)
    world.show(answer)
    again = world.challenges.judge(world.firm, [], world.clock.now())
    assert (again.confirmed, counts(world)) == (0, (1, 1))


def test_what_is_not_held_by_the_operators_word_is_not_asked_for(world: Enforced) -> None:
    first, second = world.serve("a", "b")
    missing = difference(world.record("a"), MISSING, revision_sequence=first)
    world.attest(missing, copies=1)
    assert [each.revision_sequence for each in world.asked()] == [second]


@pytest.mark.parametrize("shown", [b"another copy".ljust(32), b""])
def test_a_copy_that_differs_or_is_gone_is_a_false_attestation(
    world: Enforced, shown: bytes
) -> None:
    world.serve("a")
    world.attest(copies=1)
    judged = world.show((world.record("a"), shown))
    found = world.standing()[world.record("a"), ATTESTATION_FALSE]
    assert list(judged.finding_ids) == [found.finding_id]
    assert found.deadline == world.clock.now() + 7 * DAY


def test_a_copy_not_shown_in_time_is_a_false_attestation(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    world.pass_time(2 * DAY - 1)
    assert not world.standing()
    world.pass_time(1)
    assert world.standing().keys() == {(world.record("a"), ATTESTATION_FALSE)}
    assert not world.asked()


def test_an_answer_after_the_deadline_comes_too_late(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    (asked,) = world.asked()
    digest = right(world, asked)
    world.clock.at += 2 * DAY
    late = Answer(asked.challenge_id, digest, b"")
    assert world.challenges.judge(world.firm, [late], world.clock.now()).confirmed == 0
    assert world.standing().keys() == {(world.record("a"), ATTESTATION_FALSE)}


def test_a_copy_whose_disclosure_has_ended_need_not_be_shown(world: Enforced) -> None:
    world.serve("a", "b")
    world.attest(copies=2)
    world.disclosing.end(world.record("a"))
    world.show((world.record("a"), b""))
    world.disclosing.end(world.record("b"))
    world.pass_time(3 * DAY)
    assert not world.standing()
    assert not world.asked()
    assert counts(world) == (2, 0)


def test_a_false_attestation_is_rectified_by_showing_the_copy_when_asked_again(
    world: Enforced,
) -> None:
    world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    assert world.attest(copies=1).standing == 1
    (asked,) = world.asked()
    world.show((asked.record_id, right(world, asked)))
    assert not world.standing()


def absent(world: Enforced, name: str, sequence: int) -> Difference:
    """Return that a record is not held."""
    return difference(world.record(name), MISSING, revision_sequence=sequence)


def test_a_false_attestation_is_rectified_by_saying_that_nothing_is_held_but_not_forgotten(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    world.checkpoint()
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    world.step()
    assert world.stage() == RECTIFY
    for _ in range(2):
        empty = world.attest(absent(world, "a", sequence))
        assert (empty.standing, empty.certificate) == (0, "")
        assert not world.asked()
        world.step()
        assert world.stage() == RECTIFY
    for days in (6, 1):
        world.clock.at += days * DAY
        world.attest(absent(world, "a", sequence))
        world.step()
        assert world.stage() == (RECTIFY if days == 6 else NONE)
    assert world.attest(absent(world, "a", sequence)).certificate != ""


def test_what_was_told_missing_and_is_held_again_without_being_served_is_a_false_attestation(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    world.checkpoint()
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    first = world.standing()[world.record("a"), ATTESTATION_FALSE]
    world.clock.at += DAY
    world.attest(absent(world, "a", sequence))
    world.clock.at += DAY
    again = world.attest(copies=1)
    assert (again.standing, again.certificate) == (1, "")
    found = world.standing()[world.record("a"), ATTESTATION_FALSE]
    assert found.deadline == first.deadline
    (asked,) = world.asked()
    world.show((asked.record_id, right(world, asked)))
    assert not world.standing()
    # It has been shown to be there: nothing is held against it twice.
    assert world.attest(copies=1).standing == 0


def test_a_dismissal_settles_what_was_told_before_it_and_nothing_told_later(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    for _ in range(2):
        world.attest(absent(world, "a", sequence))
        world.clock.at += DAY
        assert world.attest(copies=1).standing == 1
        found = world.standing()[world.record("a"), ATTESTATION_FALSE]
        world.clock.at += DAY
        world.contests.decide(
            found.finding_id, dismiss=True, reason="ours", decided_by="w", now=world.clock.now()
        )
        for _ in range(2):
            world.clock.at += DAY
            assert world.attest(copies=1).standing == 0
        world.clock.at += DAY


def test_what_was_told_missing_may_be_held_once_it_was_served_again(world: Enforced) -> None:
    first, second = world.serve("a", "b")
    world.attest(absent(world, "a", first), absent(world, "b", second))
    world.disclosing.serve(world.firm, first)
    assert world.attest(absent(world, "b", second), copies=1).standing == 0
    world.attest(copies=2)
    assert world.standing().keys() == {(world.record("b"), ATTESTATION_FALSE)}


def test_what_was_told_missing_may_be_held_once_a_retry_gave_it_again(world: Enforced) -> None:
    first, second = world.serve("a", "b")
    early, late = (world.disclosing.serve(world.firm, each) for each in (first, second))
    world.clock.at += DAY // 4
    world.disclosing.serve_again(early)
    world.clock.at += DAY // 4
    world.attest(absent(world, "a", first), absent(world, "b", second))
    world.clock.at += DAY // 4
    world.disclosing.serve_again(late)
    # What a retry gave before it was told missing excuses nothing.
    assert world.attest(copies=2).standing == 1
    assert world.standing().keys() == {(world.record("a"), ATTESTATION_FALSE)}


def test_what_was_told_altered_may_be_mended(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.attest(difference(world.record("a")), absent(world, "a", sequence), copies=1)
    assert world.attest(copies=1).standing == 0


def test_a_copy_shown_that_was_told_missing_since_it_was_asked_for_is_a_false_attestation(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    (asked,) = world.asked()
    world.attest(absent(world, "a", sequence))
    judged = world.show((asked.record_id, right(world, asked)))
    assert (judged.confirmed, len(judged.finding_ids)) == (1, 1)
    assert (world.record("a"), ATTESTATION_FALSE) in world.standing()


def test_saying_that_a_copy_is_altered_does_not_rectify_a_false_attestation(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    world.attest(difference(world.record("a")), absent(world, "a", sequence), copies=1)
    assert (world.record("a"), ATTESTATION_FALSE) in world.standing()


def test_an_administrators_reinstatement_pardons_what_was_rectified_too(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    world.pass_time(20 * DAY)
    assert world.stage() == SUSPENDED
    world.attest(absent(world, "a", sequence))
    world.step()
    assert world.stage() == SUSPENDED
    world.decide(OperatorState.OPERATOR_STATE_ACTIVE)
    world.step()
    assert (world.stage(), world.state()) == (THROTTLED, OperatorState.OPERATOR_STATE_ACTIVE)


def test_a_false_attestation_of_what_is_disclosed_no_longer_is_rectified(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    world.disclosing.end(world.record("a"))
    assert world.attest().standing == 0


def test_no_operator_answers_for_another(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    (asked,) = world.asked()
    other = world.newcomer()
    assert world.challenges.records(other, [asked.challenge_id]) == {}
    judged = world.challenges.judge(
        other, [Answer(asked.challenge_id, right(world, asked), b"")], world.clock.now()
    )
    assert judged.confirmed == 0
    assert len(world.challenges.listed(asked.operator_id, "", world.clock.now(), 9)) == 1


def test_a_copy_drawn_twice_is_asked_for_once_and_its_answer_serves_both(world: Enforced) -> None:
    world.serve("a")
    world.checkpoint()
    first = world.attest(copies=1)
    world.clock.at += DAY
    second = world.attest(copies=1)
    (asked,) = world.asked()
    assert asked.deadline == first.at + 2 * DAY
    assert counts(world) == (1, 0)
    world.pass_time(DAY)
    assert world.attested.was_false(first.attestation_id)
    assert world.attested.was_false(second.attestation_id)


@always_on_postgresql
def test_a_certificate_of_a_false_attestation_is_withdrawn_for_good(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.checkpoint()
    certified = world.attest(copies=1)
    now = world.clock.now()
    assert world.certified.in_force(world.firm, now) == certified.certificate != ""
    world.show((world.record("a"), b""))
    world.attest(absent(world, "a", sequence))
    assert not world.standing().keys() & {(world.record("a"), ATTESTATION_FALSE)}
    assert world.certified.status(certified.attestation_id, now) == "withdrawn"


def test_every_attestation_draws_of_all_copies_whatever_is_asked_for_already(
    drawer: Enforced,
) -> None:
    drawer.serve(*(f"n{number}" for number in range(400)))
    asked = list[set[int]]()
    for _ in range(4):
        attested = drawer.attest(copies=400)
        with reading(drawer.engines.evidence) as connection:
            query = (
                select(CHALLENGES.c.revision_sequence)
                .join(DRAWS, DRAWS.c.challenge_id == CHALLENGES.c.challenge_id)
                .where(DRAWS.c.attestation_id == attested.attestation_id)
            )
            asked.append(set(connection.execute(query).scalars()))
    assert [len(each) for each in asked] == [90] * 4
    # Of what was asked for before some is drawn again: 20 of 90 are expected to be.
    assert asked[0] & asked[1]
    assert len(set[int]().union(*asked)) == len(drawer.asked()) < 4 * 90


def test_an_operator_that_has_too_much_to_show_attests_no_more(drawer: Enforced) -> None:
    drawer.serve(*(f"n{number}" for number in range(1_500)))
    drawer.checkpoint()
    attested = 0
    with pytest.raises(Refused) as refused:
        while attested < 100:
            drawer.attested.require_turn(drawer.firm, 1_500, drawer.clock.now(), drawer.clock.now())
            drawer.attest(copies=1_500)
            attested += 1
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_RATE_EXCEEDED
    assert refused.value.retry_after
    # Whoever has got past the door is refused too: never is fewer drawn than is stated.
    with pytest.raises(Refused):
        while attested < 100:
            drawer.attest(copies=1_500)
            attested += 1
    assert len(drawer.asked()) <= MOST_OPEN
    assert attested >= 11
    drawer.show(*((each.record_id, each.copy_digest) for each in drawer.asked()[:200]))
    drawer.attested.require_turn(drawer.firm, 1_500, drawer.clock.now(), drawer.clock.now())


@always_on_postgresql
def test_old_challenges_are_forgotten_and_stay_counted(alone: Enforced) -> None:
    alone.serve("a")
    alone.attest(copies=1)
    (asked,) = alone.asked()
    alone.show((asked.record_id, right(alone, asked)))
    alone.pass_time(400 * DAY)
    assert alone.challenges.records(alone.firm, [asked.challenge_id])
    alone.pass_time(2 * DAY)
    assert not alone.challenges.records(alone.firm, [asked.challenge_id])
    assert counts(alone) == (1, 1)


@pytest.mark.parametrize(("attested", "ended"), [(8, 0), (8, 3), (200, 20), (200, 150), (5, 5)])
def test_each_copy_attested_and_disclosed_still_is_drawn_with_the_same_chance_and_no_other(
    drawer: Enforced, attested: int, ended: int
) -> None:
    sequences = drawer.serve(*(f"n{number}" for number in range(attested + 10)))
    right, others = sequences[:attested], sequences[attested:]
    for number in range(ended):
        drawer.disclosing.end(drawer.record(f"n{number}"))
    alive = right[ended:]
    wanted = min(90, len(alive))
    times, rounds = Counter[int](), 40
    for _ in range(rounds):
        drawn = drawer.drawing.draw(drawer.firm, np.array(right), {}, drawer.clock.now())
        asked = [each.sequence for each in drawn.revisions]
        assert len(asked) == len(set(asked)) == wanted
        times.update(asked)
    assert not times.keys() & {*others, *right[:ended]}
    assert times.keys() == set(alive)
    # Each is drawn wanted/alive of the times: five times the deviation off is beyond chance.
    share = wanted / len(alive) if alive else 0
    off = 5 * (rounds * share * (1 - share)) ** 0.5
    assert all(abs(number - rounds * share) <= off for number in times.values())


def test_the_certificate_of_an_operator_that_may_not_work_is_withdrawn(world: Enforced) -> None:
    world.serve("a")
    world.checkpoint()
    certified = world.attest(copies=1)
    now = world.clock.now()
    assert world.certified.status(certified.attestation_id, now) == "valid"
    for state in (
        OperatorState.OPERATOR_STATE_SUSPENDED,
        OperatorState.OPERATOR_STATE_REVOKED,
    ):
        world.decide(state)
        assert world.certified.status(certified.attestation_id, now) == "withdrawn"
        assert world.certified.in_force(world.firm, now) == ""


def test_who_lies_about_a_share_is_caught_as_often_as_is_stated(drawer: Enforced) -> None:
    sequences = drawer.serve(*(f"n{number}" for number in range(400)))
    lied = set(sequences[:20])
    rounds = 60
    caught = 0
    for _ in range(rounds):
        drawn = drawer.drawing.draw(drawer.firm, np.array(sequences), {}, drawer.clock.now())
        asked = {each.sequence for each in drawn.revisions}
        assert len(asked) == 90
        caught += bool(lied & asked)
    # 0.99 is stated: five misses in so few rounds would have a chance below 0.001.
    assert caught > rounds - 5


@pytest.mark.parametrize("kind", [CONTENT_ALTERED, FindingKind.FINDING_KIND_PERIOD_ALTERED])
def test_who_held_an_altered_copy_must_show_the_right_one_it_attests_next(
    world: Enforced, kind: FindingKind.ValueType
) -> None:
    names = [f"r-{number}" for number in range(300)]
    sequences = world.serve(*names)
    world.checkpoint()
    caught = [(world.record(names[at]), sequences[at]) for at in (3, 17, 250)]
    world.attest(
        *(difference(name, kind, revision_sequence=sequence) for name, sequence in caught),
        copies=297,
    )
    world.show(*((each.record_id, each.copy_digest) for each in world.asked()))
    # Of 300 few are drawn, but those that were caught are.
    mended = world.attest(copies=300)
    assert (mended.standing, mended.rectified) == (0, 3)
    assert {name for name, _ in caught} <= {each.record_id for each in world.asked()}
    name, _ = caught[0]
    assert len(world.show((name, b"")).finding_ids) == 1
    assert (name, ATTESTATION_FALSE) in world.standing()


def test_of_very_many_altered_copies_those_not_asked_for_yet_stay_found(alone: Enforced) -> None:
    sequences = alone.serve(*(f"n{number}" for number in range(700)))
    altered = [
        difference(alone.record(f"n{number}"), revision_sequence=sequence)
        for number, sequence in enumerate(sequences)
    ]
    alone.checkpoint()
    alone.attest(*altered, copies=700)
    alone.clock.at += DAY
    claimed = alone.attest(copies=700)
    asked = {each.revision_sequence for each in alone.asked()}
    standing = {each.revision_sequence for each in alone.standing().values()}
    assert asked & set(sequences) == set(sequences) - standing
    assert (claimed.standing, claimed.certificate) == (len(standing), "")
    # Nobody foresees which: not the first ones.
    assert asked & set(sequences[600:])
    assert standing & set(sequences[:600])
    for _ in range(3):
        alone.show(*((each.record_id, each.copy_digest) for each in alone.asked()))
        alone.clock.at += DAY
        claimed = alone.attest(copies=700)
    assert (claimed.standing, claimed.certificate != "") == (0, True)
