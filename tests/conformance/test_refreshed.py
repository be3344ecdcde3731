"""A copy that an operator was served again after it was asked for proves nothing; and however
long the ledger is, nobody waits while it is looked at."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, select

from gateway.conformance.answered import last_held
from gateway.conformance.model import ATTESTATION_FALSE, Challenge
from gateway.conformance.policy_file import read_policy
from gateway.conformance.sampled import Sample
from gateway.meter.model import pack_entries
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from tests.conformance.enforcing import DAY, Enforced, enforced_on
from tests.conformance.test_challenges import ANSWER, absent, counts, right
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

HOUR = 3_600
SHARE = {"sampling": ANSWER["sampling"] | {"refreshed_share": 0.25, "unshown": "PT1H"}}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request, **SHARE) as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """An operator of which nothing is known."""
    shared.newcomer()
    return shared


def shown(world: Enforced, asked: Sequence[Challenge]) -> Any:
    """Show the copies asked for as they are disclosed."""
    return world.show(*((each.record_id, right(world, each)) for each in asked))


def refreshed(world: Enforced) -> int:
    """Return how many copies were shown only after they were served again."""
    standing = world.standings.of(world.firm)
    assert standing is not None
    return standing.refreshed


def in_force(world: Enforced) -> bool:
    """Tell whether the operator may show a certificate."""
    return world.certified.in_force(world.firm, world.clock.now()) != ""


def lengthen(world: Enforced, answers: int, *sequences: int) -> None:
    """Write further answers to the operator into the ledger, each of the revisions given."""
    with world.engines.records.begin() as connection:
        query = select(USAGE).where(USAGE.c.operator_id == world.firm)
        row = dict(connection.execute(query.limit(1)).mappings().one())
        del row["sequence"]
        row |= {"entries": pack_entries(sequences), "kind": 1}
        connection.execute(
            insert(USAGE),
            [
                row | {"request_id": f"more-{number}", "usage_index": number}
                for number in (next(world.numbers) + 1_000_000 for _ in range(answers))
            ],
        )


def test_a_copy_served_again_after_it_was_asked_for_is_counted_apart(world: Enforced) -> None:
    first, _, _ = world.serve("a", "b", "c")
    world.attest(copies=3)
    world.disclosing.serve(world.firm, first)
    judged = shown(world, world.asked())
    assert (judged.confirmed, judged.refreshed, judged.finding_ids) == (2, 1, [])
    assert (counts(world), refreshed(world)) == ((3, 2), 1)
    assert not world.asked()


def test_a_copy_served_again_before_it_was_asked_for_is_confirmed(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.disclosing.serve(world.firm, sequence)
    world.attest(copies=1)
    other = world.firm
    world.disclosing.serve(f"beside-{other}", sequence)
    assert shown(world, world.asked()).confirmed == 1


def test_a_copy_that_a_retry_gave_again_after_it_was_asked_for_is_counted_apart(
    world: Enforced,
) -> None:
    first, second = world.serve("a", "b")
    uses = [world.disclosing.serve(world.firm, each) for each in (first, second)]
    world.clock.at += HOUR
    world.disclosing.serve_again(uses[0])
    world.clock.at += HOUR
    world.attest(copies=2)
    world.disclosing.serve_again(uses[1])
    judged = shown(world, world.asked())
    assert (judged.confirmed, judged.refreshed, judged.finding_ids) == (1, 1, [])


def test_a_copy_that_was_told_missing_and_a_retry_gave_again_is_shown_without_a_finding(
    world: Enforced,
) -> None:
    (sequence,) = world.serve("a")
    use = world.disclosing.serve(world.firm, sequence)
    world.attest(copies=1)
    world.clock.at += HOUR
    world.attest(absent(world, "a", sequence))
    world.clock.at += HOUR
    world.disclosing.serve_again(use)
    judged = shown(world, world.asked())
    assert (judged.confirmed, judged.refreshed, judged.finding_ids) == (0, 1, [])


def test_who_asks_for_all_it_must_show_is_not_certified(world: Enforced) -> None:
    sequences = world.serve(*(f"n{number}" for number in range(8)))
    world.checkpoint()
    assert world.attest(copies=8).certificate
    assert in_force(world)
    world.disclosing.serve(world.firm, *sequences)
    shown(world, world.asked())
    assert not in_force(world)
    # Nor by attesting anew at once, as often as it likes.
    for _ in range(2):
        world.clock.at += 60
        assert not world.attest(copies=8).certificate
    world.clock.at += 9 * DAY
    shown(world, world.asked())


def test_a_few_copies_served_again_leave_the_certificate(world: Enforced) -> None:
    sequences = world.serve(*(f"n{number}" for number in range(8)))
    world.checkpoint()
    attested = world.attest(copies=8)
    world.disclosing.serve(world.firm, *sequences[:2])
    shown(world, world.asked())
    assert in_force(world)
    now = world.clock.now()
    assert world.certified.status(attested.attestation_id, now) == "valid"
    world.clock.at += DAY
    assert world.attest(copies=8).certificate


@always_on_postgresql
def test_a_certificate_counts_for_nothing_while_copies_are_asked_for_too_long(
    world: Enforced,
) -> None:
    world.serve("a", "b")
    world.checkpoint()
    attested = world.attest(copies=2)
    asked = world.asked()
    world.clock.at += HOUR - 1
    assert in_force(world)
    world.clock.at += 1
    assert not in_force(world)
    status = world.certified.status
    assert status(attested.attestation_id, world.clock.now()) == "unproven"
    assert not world.attest(copies=2).certificate
    shown(world, asked)
    assert world.attest(copies=2).certificate
    assert in_force(world)


@pytest.mark.parametrize("by_event", [True, False])
def test_a_copy_whose_disclosure_has_ended_holds_up_no_certificate(
    world: Enforced, by_event: bool
) -> None:
    world.serve("a")
    world.serve("b", disclosed_until=None if by_event else world.clock.now() + HOUR)
    world.checkpoint()
    attested = world.attest(copies=2)
    if by_event:
        world.disclosing.end(world.record("b"))
        world.checkpoint()
    shown(world, [each for each in world.asked() if each.record_id == world.record("a")])
    world.clock.at += HOUR
    status = world.certified.status
    assert status(attested.attestation_id, world.clock.now()) == "valid"
    assert world.attest(copies=1).certificate


def test_a_copy_served_again_does_not_rectify_a_false_attestation(world: Enforced) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    world.show((world.record("a"), b""))
    world.attest(copies=1)
    world.disclosing.serve(world.firm, sequence)
    assert shown(world, world.asked()).refreshed == 1
    assert (world.record("a"), ATTESTATION_FALSE) in world.standing()
    # Who has it now can show it when it is asked for the next time.
    world.attest(copies=1)
    assert shown(world, world.asked()).confirmed == 1
    assert not world.standing()


@always_on_postgresql
def test_the_ledger_is_read_once_and_while_nothing_is_locked(world: Enforced) -> None:
    sequences = world.serve(*(f"n{number}" for number in range(40)))
    world.attest(copies=40)
    asked = world.asked()
    world.attest(
        *(absent(world, f"n{number}", sequence) for number, sequence in enumerate(sequences))
    )
    lengthen(world, 12_000, world.disclosing.publish(world.record("other")))
    locked, pages = False, list[bool]()

    def evidence(_: Any, __: Any, statement: str, *___: Any) -> None:
        nonlocal locked
        locked = locked or statement.startswith(("INSERT", "UPDATE"))

    def ended(_: Any) -> None:
        nonlocal locked
        locked = False

    def records(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "usage_answers" in statement:
            pages.append(locked)

    engines = world.engines
    listeners = [
        (engines.evidence, "before_cursor_execute", evidence),
        (engines.evidence, "commit", ended),
        (engines.records, "before_cursor_execute", records),
    ]
    for each in listeners:
        event.listen(*each)
    try:
        judged = shown(world, asked)
    finally:
        for each in listeners:
            event.remove(*each)
    assert (judged.confirmed, len(judged.finding_ids)) == (40, 40)
    assert not any(pages)
    assert 3 <= len(pages) <= 4


def test_what_was_told_missing_while_answers_are_judged_is_looked_at_again(
    world: Enforced, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sequence,) = world.serve("a")
    world.attest(copies=1)
    asked = world.asked()
    once = iter([True])

    def meanwhile(*given: Any) -> Any:
        if next(once, False):
            world.attest(absent(world, "a", sequence))
        return last_held(*given)

    monkeypatch.setattr("gateway.conformance.served_since.last_held", meanwhile)
    judged = shown(world, asked)
    assert (judged.confirmed, len(judged.finding_ids)) == (1, 1)


def test_the_last_answer_that_held_a_revision_is_found_however_long_the_ledger(
    world: Enforced,
) -> None:
    first, second, third = world.serve("a", "b", "c")
    lengthen(world, 6_000, first)
    lengthen(world, 6_000, second)
    with reading(world.engines.records) as connection:
        query = select(USAGE.c.sequence).where(USAGE.c.operator_id == world.firm)
        answers = connection.execute(query.order_by(USAGE.c.sequence)).scalars().all()
    sequences = np.array([first, second, third], np.int64)

    def held(*after: int) -> list[int]:
        positions = np.array(after, np.int64)
        return last_held(world.engines.records, world.firm, sequences, positions).tolist()

    assert held(0, 0, 0) == [answers[6_000], answers[-1], answers[0]]
    assert held(answers[6_000], 0, answers[0]) == [0, answers[-1], 0]
    assert held(answers[5_999], answers[-1], 0) == [answers[6_000], 0, answers[0]]


@given(
    confirmed=st.integers(0, 200),
    refreshed=st.integers(0, 200),
    unshown=st.frozensets(st.integers(1, 5)),
    ended=st.frozensets(st.integers(1, 5)),
)
@settings(max_examples=200)
def test_a_sample_proves_as_the_policy_says(
    confirmed: int, refreshed: int, unshown: frozenset[int], ended: frozenset[int]
) -> None:
    policy = read_policy()
    enough = refreshed <= policy.sampling.refreshed_share * (confirmed + refreshed)
    assert Sample(confirmed, refreshed, frozenset()).proves(policy, ended) == enough
    assert Sample(confirmed, refreshed, unshown).proves(policy, ended) == (
        enough and unshown <= ended
    )
