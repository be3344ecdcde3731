"""Who mends more copies than the gateway can ask for at a time is not accused for its slowness."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from creditgate.v1.conformance_service_pb2 import FindingState
from gateway.conformance.finding_messages import finding_message
from gateway.conformance.model import ATTESTATION_FALSE, NONE, RECTIFY, SUSPENDED, Finding
from gateway.server.uptime import uptime_of
from gateway.usage.policy import AgreementPolicy
from tests.conformance.enforcing import CONTENT_ALTERED, DAY, Enforced, difference, enforced_on
from tests.examples import always_on_postgresql, rarely_on_postgresql

pytestmark = rarely_on_postgresql

_COPIES = 40
_AT_ONCE = 8
_HOUR = 3_600
_SAMPLING = {
    "lied_share": 0.5,
    "caught": 0.9,
    "most": 200,
    "answer": "PT48H",
    "unshown": "PT1H",
    "refreshed_share": 0.02,
}
_AGREEMENT = AgreementPolicy(remind=timedelta(days=7), refuse=timedelta(days=14))


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator["_Mending"]:
    """An operator that held altered copies, more than are asked for at a time."""
    monkeypatch.setattr("gateway.conformance.drawing._MOST_AGAIN", _AT_ONCE)
    outages = {"silence": "P1D", "grace": "PT4H"}
    with enforced_on(request, sampling=_SAMPLING, outages=outages) as enforced:
        yield _Mending(enforced)


class _Mending:
    def __init__(self, enforced: Enforced) -> None:
        self.enforced = enforced
        enforced.newcomer()
        names = [f"n{number}" for number in range(_COPIES)]
        self.altered = [
            difference(enforced.record(name), revision_sequence=sequence)
            for name, sequence in zip(names, enforced.serve(*names), strict=True)
        ]
        enforced.checkpoint()
        enforced.attest(*self.altered, copies=_COPIES)
        self.found = next(iter(enforced.standing().values()))

    def attest_right(self) -> Any:
        """Attest all right, and show what is asked for."""
        attestation = self.enforced.attest(copies=_COPIES)
        asked = self.enforced.asked()
        self.enforced.show(*((each.record_id, each.copy_digest) for each in asked))
        return attestation

    def standing(self) -> list[Finding]:
        """Return the findings that stand."""
        return list(self.enforced.standing().values())


def test_who_mends_all_at_once_and_attests_each_week_comes_to_no_stage(world: _Mending) -> None:
    enforced, left = world.enforced, [_COPIES]
    enforced.pass_time(_HOUR)
    assert enforced.stage() == RECTIFY
    certificate = ""
    while left[-1]:
        attestation = world.attest_right()
        certificate = attestation.certificate
        assert attestation.waiting == attestation.standing < left[-1]
        left.append(attestation.waiting)
        for _ in range(7):
            enforced.pass_time(DAY - _HOUR)
            assert enforced.stage() == NONE
        assert all(each.waits_since for each in world.standing())
    # They stood for longer than it takes to be suspended.
    policy = enforced.policy
    assert len(left) * 6 * DAY > policy.rectify_seconds(0) + policy.throttled_seconds
    assert certificate


def test_a_finding_waits_for_being_asked_for_and_for_nothing_else(world: _Mending) -> None:
    enforced, policy = world.enforced, world.enforced.policy
    enforced.pass_time(_HOUR)
    world.attest_right()
    (waiting, *_) = world.standing()
    message = finding_message(waiting, policy, enforced.clock.now())
    assert (message.stage, message.wait_time.seconds) == (NONE, enforced.clock.now())
    enforced.pass_time(3 * DAY)
    enforced.attest(*world.altered, copies=_COPIES)
    (held,) = [each for each in world.standing() if each.finding_id == waiting.finding_id]
    assert held.waits_since == 0
    assert held.counted_from == world.found.counted_from + 3 * DAY
    assert held.deadline == world.found.deadline + 3 * DAY
    enforced.pass_time(policy.warned_seconds)
    assert enforced.stage() == RECTIFY
    for _ in range(40):
        enforced.pass_time(DAY)
    assert enforced.stage() == SUSPENDED


def test_a_lie_about_what_waits_is_found_when_it_is_asked_for(world: _Mending) -> None:
    enforced = world.enforced
    while world.attest_right().waiting:
        enforced.pass_time(_HOUR)
    world.enforced.attest(*world.altered, copies=_COPIES)
    enforced.pass_time(_HOUR)
    enforced.attest(copies=_COPIES)
    # Every copy is asked for sooner or later, and none is held to be mended before.
    asked = {each.record_id for each in enforced.asked()}
    mended = {each.record_id for each in world.altered} - {
        each.record_id for each in world.standing() if each.kind == CONTENT_ALTERED
    }
    assert mended <= asked
    enforced.show(*((each, b"") for each in mended))
    assert {each.record_id for each in world.standing() if each.kind == ATTESTATION_FALSE} == mended


def test_an_outage_while_a_finding_waits_counts_once(world: _Mending) -> None:
    enforced, now = world.enforced, world.enforced.clock.now()
    uptime_of(enforced.engines, enforced.policy, _AGREEMENT).step(now)
    world.attest_right()
    enforced.clock.at += 5 * DAY
    later = uptime_of(enforced.engines, enforced.policy, _AGREEMENT)
    later.wake(enforced.clock.now())
    enforced.attest(*world.altered, copies=_COPIES)
    assert {each.deadline for each in world.standing() if each.kind == CONTENT_ALTERED} == {
        world.found.deadline + 5 * DAY
    }


def test_what_is_contested_while_it_waits_waits_for_that_alone(world: _Mending) -> None:
    enforced = world.enforced
    world.attest_right()
    enforced.clock.at += DAY
    (waiting, *_) = world.standing()
    contests, now = enforced.contests, enforced.clock.now()
    contested = contests.contest(enforced.firm, waiting.finding_id, "no", b"", now)
    assert (contested.waits_since, contested.deadline) == (0, waiting.deadline + DAY)
    enforced.clock.at += DAY
    decided = contests.decide(
        waiting.finding_id, dismiss=False, reason="no", decided_by="w", now=enforced.clock.now()
    )
    assert decided.state == FindingState.FINDING_STATE_OPEN
    assert decided.deadline == waiting.deadline + 2 * DAY


@always_on_postgresql
def test_an_altered_copy_of_a_former_revision_is_mended_by_showing_the_present_one(
    world: _Mending,
) -> None:
    enforced = world.enforced
    (first,) = enforced.serve("former")
    record = enforced.record("former")
    enforced.attest(difference(record, revision_sequence=first), copies=1)
    second = enforced.disclosing.correct(record)
    enforced.disclosing.serve(enforced.firm, second)
    for _ in range(20):
        enforced.clock.at += _HOUR
        enforced.attest(copies=_COPIES + 1)
        asked = [each for each in enforced.asked() if each.revision_sequence == second]
        stands = (record, CONTENT_ALTERED) in enforced.standing()
        assert stands or asked
        if asked:
            return
        enforced.show(*((each.record_id, each.copy_digest) for each in enforced.asked()))
    raise AssertionError("it was never asked for")
