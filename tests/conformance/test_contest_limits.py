"""Contests take no more room than a day's share, however findings come and go."""

from collections.abc import Iterator

import pytest

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance import contest_limits
from gateway.conformance.contest_limits import EVIDENCE_KEPT_SECONDS, EvidenceLife
from gateway.conformance.model import Finding
from tests.conformance.enforcing import DAY, Enforced, difference, enforced_on

RATE_EXCEEDED = RefusalReason.REFUSAL_REASON_RATE_EXCEEDED


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An installation for all tests of a kind of store: each has an operator of its own."""
    with enforced_on(request) as enforced:
        yield enforced


@pytest.fixture
def world(shared: Enforced) -> Enforced:
    """An operator of which nothing is known."""
    shared.newcomer()
    return shared


def _contested(world: Enforced, record_id: str, evidence: bytes) -> Finding:
    """Have a finding made, and contest it."""
    world.attest(difference(record_id))
    finding = next(each for each in world.standing().values() if each.record_id == record_id)
    now = world.clock.now()
    return world.contests.contest(world.firm, finding.finding_id, "no", evidence, now)


def _refusal(world: Enforced, record_id: str, evidence: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        _contested(world, record_id, evidence)
    return refused.value


def test_contests_of_a_day_are_counted_over_findings_that_are_closed_too(
    world: Enforced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest_limits, "MOST_CONTESTS_A_DAY", 3)
    for number in range(3):
        _contested(world, f"r-{number}", b"")
        world.attest()
        world.clock.at += 60
    refusal = _refusal(world, "r-3", b"")
    assert (refusal.reason, refusal.retry_after) == (RATE_EXCEEDED, DAY - 180)
    world.clock.at += refusal.retry_after or 0
    _contested(world, "r-4", b"")


def test_evidence_of_a_day_is_counted_over_findings_that_are_closed_too(
    world: Enforced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest_limits, "MOST_EVIDENCE_BYTES_A_DAY", 1_000)
    for number in range(2):
        _contested(world, f"r-{number}", bytes(400))
        world.attest()
        world.clock.at += 60
    refusal = _refusal(world, "r-2", bytes(400))
    assert (refusal.reason, refusal.retry_after) == (RATE_EXCEEDED, DAY - 120)
    # What is said without evidence, or with as much as there is room for, is heard.
    _contested(world, "r-3", b"")
    _contested(world, "r-4", bytes(200))
    world.clock.at += DAY
    _contested(world, "r-5", bytes(1_000))


def test_evidence_goes_once_its_finding_was_rectified_undecided_for_a_time(
    world: Enforced,
) -> None:
    life = EvidenceLife(world.engines.evidence)
    undecided, decided = _contested(world, "r-1", b"a"), _contested(world, "r-2", b"b")
    now = world.clock.now()
    world.contests.decide(
        decided.finding_id, dismiss=False, reason="no", decided_by="administrator:wang", now=now
    )
    standing = _contested(world, "r-3", b"c")
    world.attest(difference("r-3"))

    def kept() -> list[bytes]:
        all_three = (undecided, decided, standing)
        return [world.findings.evidence(each.finding_id) for each in all_three]

    life.forget(now + EVIDENCE_KEPT_SECONDS)
    assert kept() == [b"a", b"b", b"c"]
    life.forget(now + EVIDENCE_KEPT_SECONDS + 3_600)
    assert kept() == [b"", b"b", b"c"]
    gone = world.findings.get(undecided.finding_id)
    assert gone is not None
    assert gone.evidence_digest == undecided.evidence_digest != b""
