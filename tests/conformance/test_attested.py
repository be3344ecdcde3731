"""Attestations open, rectify and prove findings, each once and all or nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from creditgate.conformance_certificate import CERTIFICATE_TYPE, ConformanceCertificate
from creditgate.refusal import Refused
from creditgate.v1.conformance_service_pb2 import FindingKind, FindingState
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.comparing import MOST_LISTED, compare
from gateway.conformance.finding_rows import new_finding
from gateway.conformance.model import CONTESTED, DISMISSED, OPEN, RECTIFIED, Attestation
from gateway.conformance.policy_file import read_policy
from gateway.conformance.spoken import Spoken
from tests.conformance.enforcing import (
    CONTENT_ALTERED,
    DAY,
    EXPIRED_HELD,
    ISSUER,
    MISSING,
    NEVER_SERVED,
    REPAIRED_HELD,
    Enforced,
    difference,
    enforced_on,
)
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.parties import claims_in, header_in

pytestmark = rarely_on_postgresql

OVERDUE = FindingKind.FINDING_KIND_REMOVAL_OVERDUE


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request) as enforced:
        yield enforced


@pytest.fixture
def spaced(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation whose attestations are as far apart as is shipped."""
    with enforced_on(request, attestation_spacing="PT60S") as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """An operator of which nothing is known."""
    shared.newcomer()
    return shared


def test_each_difference_is_a_finding_with_its_deadline(world: Enforced) -> None:
    attested = world.attest(
        difference("r-1"),
        difference("r-2", NEVER_SERVED, Severity.SEVERITY_SERIOUS),
        difference("r-3", MISSING),
    )
    now = world.clock.now()
    found = world.standing()
    assert found.keys() == {("r-1", CONTENT_ALTERED), ("r-2", NEVER_SERVED), ("r-3", MISSING)}
    assert found["r-1", CONTENT_ALTERED].deadline == now + 7 * DAY
    assert found["r-2", NEVER_SERVED].deadline == now + 5 * DAY
    assert found["r-3", MISSING].deadline == 0
    assert {each.attestation_id for each in found.values()} == {attested.attestation_id}
    assert (attested.opened, attested.rectified, attested.standing) == (3, 0, 2)


def test_what_the_next_attestation_is_clean_of_is_rectified(world: Enforced) -> None:
    world.attest(difference("r-1"), difference("r-2"))
    first = world.standing()
    world.clock.at += DAY
    attested = world.attest(difference("r-2"))
    assert (attested.opened, attested.rectified, attested.standing) == (0, 1, 1)
    assert world.standing() == {("r-2", CONTENT_ALTERED): first["r-2", CONTENT_ALTERED]}
    closed = world.findings.get(first["r-1", CONTENT_ALTERED].finding_id)
    assert closed is not None
    assert (closed.state, closed.closed_at) == (RECTIFIED, world.clock.now())


def test_a_copy_that_differs_otherwise_keeps_its_deadline(world: Enforced) -> None:
    world.attest(difference("r-1", EXPIRED_HELD))
    deadline = world.standing()["r-1", EXPIRED_HELD].deadline
    world.clock.at += 5 * DAY
    world.attest(difference("r-1", REPAIRED_HELD))
    assert world.standing()["r-1", REPAIRED_HELD].deadline == deadline


def test_an_attestation_says_nothing_of_later_events(world: Enforced) -> None:
    world.attest(difference("r-1", REPAIRED_HELD, event_sequence=7), sequence=7)
    assert world.attest(sequence=6).rectified == 0
    assert world.attest(sequence=7).rectified == 1


def test_a_request_is_kept_once(world: Enforced) -> None:
    first = world.attest(difference("r-1"), request_id="r")
    world.clock.at += 1
    assert world.attest(request_id="r") == first
    assert world.attested.earlier(world.firm, "r", b"") == first
    assert world.attested.earlier("another", "r", b"") is None
    assert world.standing().keys() == {("r-1", CONTENT_ALTERED)}


@always_on_postgresql
def test_of_attestations_at_once_each_is_kept_whole(world: Enforced) -> None:
    def attest(number: int) -> Attestation:
        return world.attest(difference("r-1"), request_id=f"r-{number % 4}")

    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(attest, range(8)))
    assert len({each.attestation_id for each in kept}) == 4
    assert sorted({each.number for each in kept}) == [1, 2, 3, 4]
    assert sum(each.opened for each in set(kept)) == 1


def test_a_clean_attestation_is_certified_as_of_a_checkpoint(world: Enforced) -> None:
    world.serve("r-1")
    note = world.checkpoint()
    attested = world.attest(difference("r-2", MISSING), copies=1)
    assert header_in(attested.certificate)["typ"] == CERTIFICATE_TYPE
    certificate = ConformanceCertificate.model_validate(claims_in(attested.certificate))
    assert (certificate.iss, certificate.sub, certificate.copies) == (ISSUER, world.firm, 1)
    assert certificate.jti == attested.attestation_id
    assert certificate.checkpoint == note
    assert certificate.exp == world.clock.now() + world.policy.certificate_seconds
    assert world.certified.in_force(world.firm, world.clock.now()) == attested.certificate


def test_nothing_is_certified_that_no_checkpoint_covers(world: Enforced) -> None:
    world.checkpoint()
    world.serve("r-1")
    assert world.attest(copies=1).certificate == ""


def test_nothing_is_certified_while_something_stands_or_is_contested(world: Enforced) -> None:
    world.checkpoint()
    assert world.attest(difference("r-1")).certificate == ""
    finding = world.standing()["r-1", CONTENT_ALTERED]
    world.contests.contest(world.firm, finding.finding_id, "ours is right", b"", world.clock.now())
    assert world.attest(difference("r-1")).certificate == ""
    assert world.attest().certificate != ""


def test_a_certificate_ends_with_what_is_found_later(world: Enforced) -> None:
    world.checkpoint()
    certified = world.attest()
    now = world.clock.now()

    def status() -> str | None:
        return world.certified.status(certified.attestation_id, now)

    assert status() == "valid"
    world.findings.open_removal_overdue(world.firm, "r-1", 1, 0, now)
    assert (status(), world.certified.in_force(world.firm, now)) == ("withdrawn", "")
    world.findings.removal_acknowledged(world.firm, 1, now)
    assert status() == "valid"
    world.attest()
    assert status() == "superseded"
    over = certified.certificate_until
    assert world.certified.status(certified.attestation_id, over) == "expired"
    assert world.certified.status("0" * 10 + "-" + "0" * 24, now) is None


@always_on_postgresql
def test_an_overdue_removal_is_found_once_for_its_event(world: Enforced) -> None:
    now = world.clock.now()
    assert world.findings.open_removal_overdue(world.firm, "r-1", 5, 0, now)
    assert not world.findings.open_removal_overdue(world.firm, "r-1", 5, 0, now)
    assert world.findings.open_removal_overdue(world.firm, "r-1", 6, 0, now)
    assert world.findings.removal_acknowledged(world.firm, 5, now) == 1
    assert world.findings.removal_acknowledged(world.firm, 5, now) == 0
    assert not world.findings.open_removal_overdue(world.firm, "r-1", 5, 0, now)
    assert world.standing().keys() == {("r-1", OVERDUE)}


def test_an_attestation_without_the_copy_rectifies_its_overdue_removal(world: Enforced) -> None:
    world.findings.open_removal_overdue(world.firm, "r-1", 5, 0, world.clock.now())
    assert world.attest(sequence=4).rectified == 0
    held = difference("r-1", REPAIRED_HELD, event_sequence=5)
    assert world.attest(held, sequence=5).rectified == 0
    assert world.attest(sequence=5).rectified == 2


def test_what_was_dismissed_is_not_found_again(world: Enforced) -> None:
    world.attest(difference("r-1"))
    finding = world.standing()["r-1", CONTENT_ALTERED]
    world.contests.decide(
        finding.finding_id, dismiss=True, reason="ours", decided_by="w", now=world.clock.now()
    )
    world.checkpoint()
    again = world.attest(difference("r-1"))
    assert (again.opened, again.certificate != "") == (0, True)
    other = difference("r-1", copy=b"\x02")
    assert world.attest(other).opened == 1


def test_findings_beyond_what_is_listed_are_counted_and_come_later() -> None:
    many = [difference(f"r-{number}", NEVER_SERVED) for number in range(MOST_LISTED + 7)]
    grave = difference("grave", severity=Severity.SEVERITY_SERIOUS)
    missing = [difference(f"m-{number}", MISSING) for number in range(MOST_LISTED + 7)]
    first = compare([], [*many, *missing, grave], Spoken(0), ())
    assert len(first.new) == 2 * MOST_LISTED
    assert first.unlisted == 8
    assert first.new[0][0] == grave
    policy = read_policy()
    standing = [new_finding(policy, "firm", each, "", 1) for each, _ in first.new]
    left = [grave, *many[100:]]
    then = compare(standing, left, Spoken(0), ())
    assert len(then.gone) == MOST_LISTED + 100
    assert {each.record_id for each, _ in then.new} == {each.record_id for each in many[-8:]}
    assert not then.unlisted


def test_an_altered_copy_is_mended_once_the_right_one_is_asked_for() -> None:
    altered = [difference("r-1", revision_sequence=1), difference("r-2", revision_sequence=2)]
    standing = [new_finding(read_policy(), "firm", each, "", 1) for each in altered]
    then = compare(standing, [], Spoken(0), (), unasked={2})
    assert [each.record_id for each in then.gone] == ["r-1"]
    assert [each.record_id for each in then.stay] == ["r-2"]


@always_on_postgresql
def test_a_contested_finding_does_not_count_until_it_is_decided(world: Enforced) -> None:
    world.attest(difference("r-1"), difference("r-2"))
    finding = world.standing()["r-1", CONTENT_ALTERED]
    now = world.clock.now()
    contested = world.contests.contest(world.firm, finding.finding_id, "no", b"proof", now)
    assert contested.state == CONTESTED
    assert world.findings.evidence(finding.finding_id) == b"proof"
    assert world.findings.counts(world.firm) == [(CONTENT_ALTERED, 1)]
    world.clock.at += 3 * DAY
    decided = world.contests.decide(
        finding.finding_id, dismiss=False, reason="no proof", decided_by="w", now=world.clock.now()
    )
    assert decided.state == OPEN
    assert decided.deadline == finding.deadline + 3 * DAY
    assert decided.counted_from == finding.counted_from + 3 * DAY
    assert world.findings.counts(world.firm) == [(CONTENT_ALTERED, 2)]


@always_on_postgresql
def test_a_dismissed_finding_is_over(world: Enforced) -> None:
    world.attest(difference("r-1"))
    finding = world.standing()["r-1", CONTENT_ALTERED]
    now = world.clock.now()
    world.contests.contest(world.firm, finding.finding_id, "no", b"", now)
    decided = world.contests.decide(
        finding.finding_id, dismiss=True, reason="right", decided_by="w", now=now
    )
    assert (decided.state, decided.closed_at) == (DISMISSED, now)
    assert decided.state == FindingState.FINDING_STATE_DISMISSED
    assert not world.standing()


def test_of_several_copies_of_a_record_a_dismissal_spares_one(world: Enforced) -> None:
    spared, other = difference("r-1"), difference("r-1", copy=b"\x02")
    world.attest(spared)
    finding = world.standing()["r-1", CONTENT_ALTERED]
    now = world.clock.now()
    world.contests.contest(world.firm, finding.finding_id, "ours is right", b"", now)
    # While one is contested, the other is found all the same.
    assert world.attest(spared, other).opened == 1
    world.contests.decide(finding.finding_id, dismiss=True, reason="right", decided_by="w", now=now)
    assert world.standing()["r-1", CONTENT_ALTERED].copy_digest == b"\x02" * 32
    assert world.attest(spared, other).standing == 1
    assert world.attest(spared).rectified == 1
    for both in ((spared, other), (other, spared)):
        assert world.attest(*both).opened == 1
        assert world.attest(spared).standing == 0


def test_who_holds_an_altered_copy_does_not_lack_the_record_besides(world: Enforced) -> None:
    world.attest(difference("r-1", MISSING))
    world.attest(difference("r-1"), difference("r-1", MISSING))
    assert world.standing().keys() == {("r-1", CONTENT_ALTERED)}


def test_nothing_is_certified_while_something_void_is_held_though_excused(
    world: Enforced,
) -> None:
    world.checkpoint()
    held = world.attest(excused=True)
    assert (held.standing, held.certificate) == (0, "")
    assert world.attest().certificate != ""


def test_a_certificate_tells_what_is_missing_of_what_should_be_held(world: Enforced) -> None:
    first, second = world.serve("r-1", "r-2")
    world.checkpoint()
    attested = world.attest(
        difference(world.record("r-1"), MISSING, revision_sequence=first),
        difference(world.record("r-2"), MISSING, revision_sequence=second),
        copies=1,
    )
    certificate = ConformanceCertificate.model_validate(claims_in(attested.certificate))
    assert (certificate.copies, certificate.entitled, certificate.missing) == (1, 3, 2)


def test_that_nothing_is_held_is_not_certified(world: Enforced) -> None:
    world.checkpoint()
    assert (nothing := world.attest(copies=0)).certificate == ""
    assert nothing.standing == 0
    assert world.attest(copies=1).certificate != ""


def test_an_attestation_stands_for_the_acknowledgement_of_what_it_shows_gone(
    world: Enforced,
) -> None:
    world.serve("a", "b")
    ends = [world.disclosing.end(world.record(each)) for each in "ab"]
    held = difference(world.record("b"), REPAIRED_HELD, event_sequence=ends[1])
    world.attest(held, sequence=ends[0])
    now = world.clock.now()
    assert world.duties.owing(world.firm, ends).keys() == {*ends} - {ends[0]}
    world.attest(held)
    assert world.duties.owed(world.firm, now).outstanding == 1
    world.attest()
    assert world.duties.owed(world.firm, now).outstanding == 0


@pytest.mark.parametrize("spaced", ["sqlite"], indirect=True)
def test_attestations_are_a_minute_apart(spaced: Enforced) -> None:
    spaced.newcomer()
    first = spaced.attest(request_id="r")
    with pytest.raises(Refused) as refused:
        spaced.attested.require_turn(spaced.firm, 0, spaced.clock.now(), spaced.clock.now() + 59)
    assert refused.value.reason == RefusalReason.REFUSAL_REASON_RATE_EXCEEDED
    assert refused.value.retry_after == 1
    with pytest.raises(Refused):
        spaced.attest()
    assert spaced.attest(request_id="r") == first
    spaced.clock.at += 60
    spaced.attested.require_turn(spaced.firm, 0, spaced.clock.now(), spaced.clock.now())
    assert spaced.attest().number == 2
