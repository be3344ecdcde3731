"""Copies asked for at random catch an operator that attests what it does not hold."""

from collections.abc import Iterator

import pytest

from creditgate.transparency.facts import copy_digest
from gateway.conformance.challenges import MOST_OPEN, Answer
from gateway.conformance.model import ATTESTATION_FALSE, Challenge
from gateway.conformance.revisions import revisions_of
from gateway.storage.engines import reading
from tests.conformance.enforcing import DAY, MISSING, Enforced, difference, enforced_on

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


def test_a_false_attestation_is_rectified_by_saying_that_nothing_is_held(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    missing = difference(world.record("a"), MISSING, revision_sequence=sequence)
    assert world.attest(missing).standing == 0
    assert not world.asked()


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


def test_a_copy_is_asked_for_once_at_a_time(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    world.attest(copies=1)
    assert len(world.asked()) == 1
    assert counts(world) == (1, 0)
    assert world.policy.sampling.most <= MOST_OPEN


def test_old_challenges_are_forgotten_and_stay_counted(world: Enforced) -> None:
    world.serve("a")
    world.attest(copies=1)
    (asked,) = world.asked()
    world.show((asked.record_id, right(world, asked)))
    world.pass_time(400 * DAY)
    assert world.challenges.records(world.firm, [asked.challenge_id])
    world.pass_time(2 * DAY)
    assert not world.challenges.records(world.firm, [asked.challenge_id])
    assert counts(world) == (1, 1)


def test_who_lies_about_a_share_is_caught_as_often_as_is_stated(world: Enforced) -> None:
    sequences = world.serve(*(f"n{number}" for number in range(400)))
    lied = set(sequences[:20])
    rounds = 60
    caught = 0
    for _ in range(rounds):
        drawn = world.challenges.draw(world.firm, 400, (), (), world.clock.now())
        asked = {each.sequence for each in drawn.revisions}
        assert len(asked) == 90
        caught += bool(lied & asked)
    # 0.99 is stated: five misses in so few rounds would have a chance below 0.001.
    assert caught > rounds - 5
