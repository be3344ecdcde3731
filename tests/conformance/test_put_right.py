"""A copy that is right without having been served so counts as held from the attestation on that
shows it: its removal is owed, it can be told missing. What was obtained elsewhere never does."""

import time
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import delete, insert

from creditgate.transparency.facts import Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from gateway.conformance.basis import Basis
from gateway.conformance.blocks import marked
from gateway.conformance.check import check_conformance
from gateway.conformance.holdings_tables import PUT_RIGHT_BLOCKS
from gateway.conformance.removals import Removed
from sdk.challenges import Challenges
from tests.clock import NOW, StandingClock
from tests.conformance.acting import Operator, Stage, staged
from tests.conformance.attesting import copy_of
from tests.conformance.enforcing import Enforced, enforced_on
from tests.conformance.honest import (
    acknowledge,
    asked,
    attest_read,
    correct,
    correct_period,
    kinds,
    owed,
    records,
    show_all,
    withdraw,
)
from tests.conformance.policies import policy_file
from tests.installation import Installation, content, eventually
from tests.meter.world import admitted
from tests.parties import claims_in
from tests.stores import SqliteStores

_DAY: Final = 86_400
_HOUR: Final = 3_600
_FALSE: Final = FindingKind.FINDING_KIND_ATTESTATION_FALSE
_MISSING: Final = FindingKind.FINDING_KIND_MISSING
_OVERDUE: Final = FindingKind.FINDING_KIND_REMOVAL_OVERDUE


@pytest.fixture(scope="module")
def installation(
    sqlite_stores: SqliteStores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation whose time stands."""
    policy = policy_file(tmp_path_factory.mktemp("policy"))
    with sqlite_stores.database() as store:
        made = Installation(
            *store,
            clock=StandingClock(int(time.time())),
            settings={"conformance_policy": policy},
        )
        made.furnish()
        yield made
        made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A gateway for all tests: each has an operator of its own."""
    async with staged(installation, tmp_path_factory.mktemp("stage")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def newcomers(stage: Stage) -> AsyncIterator[list[Operator]]:
    """Operators of which nothing is known, enrolled before the time leaps."""
    async with stage.operators(12) as made:
        yield made


@pytest.fixture
def operator(newcomers: list[Operator]) -> Operator:
    """One of them."""
    return newcomers.pop()


async def _put_right(stage: Stage, operator: Operator) -> tuple[Copy, Copy]:
    """Serve a record, correct its period, and have the operator attest it as the stream tells;
    return the copy as it was served, and as it is disclosed."""
    (record,) = await records(stage, operator)
    before, until = copy_of(record), record.disclosed_until.seconds - _DAY
    event = await correct_period(stage, record, until)
    stage.clock.at += 60
    await acknowledge(operator, event, stage.clock.at)
    right = before._replace(disclosed_until=until)
    attestation = await attest_read(operator, [right], stage.clock.at, event)
    assert attestation.standing_findings == 0
    certified = claims_in(attestation.certificate)
    assert (certified["copies"], certified["entitled"], certified["missing"]) == (1, 1, 0)
    return before, right


async def _withdrawn(stage: Stage, operator: Operator, copy: Copy, revision: int) -> int:
    """Withdraw a record; return the event, which the operator must be told a deadline with."""
    event = await withdraw(stage, copy, revision)

    async def told() -> bool:
        return any(
            each.event.event_sequence == event and each.HasField("removal_deadline")
            for each in operator.told
        )

    await eventually(told)
    return event


@pytest.mark.asyncio(loop_scope="module")
async def test_a_copy_put_right_by_the_stream_has_to_go_when_its_disclosure_ends(
    stage: Stage, operator: Operator
) -> None:
    _, right = await _put_right(stage, operator)
    event = await _withdrawn(stage, operator, right, 2)
    assert await owed(operator) == 1
    await acknowledge(operator, event, stage.clock.at)
    assert await owed(operator) == 0
    assert not await kinds(operator)


@pytest.mark.asyncio(loop_scope="module")
async def test_who_does_not_remove_a_copy_put_right_is_found(
    stage: Stage, operator: Operator
) -> None:
    _, right = await _put_right(stage, operator)
    await _withdrawn(stage, operator, right, 2)
    stage.clock.at += 73 * _HOUR

    async def found() -> bool:
        return await kinds(operator) == [_OVERDUE]

    await eventually(found)


@pytest.mark.asyncio(loop_scope="module")
async def test_who_holds_only_copies_put_right_has_to_attest(
    stage: Stage, operator: Operator
) -> None:
    await _put_right(stage, operator)
    standing = await operator.conformance.GetConformance(pb.GetConformanceRequest())
    assert standing.entitled_copies == 1
    stage.clock.at = standing.next_attestation_due.seconds

    async def found() -> bool:
        return FindingKind.FINDING_KIND_ATTESTATION_OVERDUE in await kinds(operator)

    await eventually(found)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_copy_put_right_that_was_told_missing_cannot_come_back_by_itself(
    stage: Stage, operator: Operator
) -> None:
    _, right = await _put_right(stage, operator)
    stage.clock.at += _HOUR
    await attest_read(operator, [], stage.clock.at)
    assert await kinds(operator) == [_MISSING]
    stage.clock.at += _HOUR
    await attest_read(operator, [right], stage.clock.at)
    assert await kinds(operator) == [_FALSE]


@pytest.mark.asyncio(loop_scope="module")
async def test_who_restored_the_copy_as_it_was_served_may_put_it_right_again(
    stage: Stage, operator: Operator
) -> None:
    before, right = await _put_right(stage, operator)
    stage.clock.at += _HOUR
    await attest_read(operator, [before], stage.clock.at, await stage.head())
    assert await kinds(operator) == [FindingKind.FINDING_KIND_CORRECTED_HELD]
    stage.clock.at += _HOUR
    await attest_read(operator, [right], stage.clock.at)
    assert not await kinds(operator)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_copy_of_a_record_corrected_back_counts_as_held_too(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    await correct(stage, record, 1, content("wrong"))
    back = await correct(stage, record, 2)
    stage.clock.at += 60
    attestation = await attest_read(operator, [copy_of(record)], stage.clock.at, back)
    assert claims_in(attestation.certificate)["entitled"] == 1
    assert claims_in(attestation.certificate)["drawable"] == 1
    stage.clock.at += _HOUR
    await attest_read(operator, [], stage.clock.at)
    assert await kinds(operator) == [_MISSING]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_obtained_elsewhere_never_counts_as_held(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    event = await correct(stage, record, 1, content("other"))
    elsewhere = copy_of(record)._replace(content_digest=sha256(content("other")).digest())
    for _ in range(2):
        stage.clock.at += 60
        await attest_read(operator, [elsewhere], stage.clock.at, event)
        assert await kinds(operator) == [FindingKind.FINDING_KIND_NEVER_SERVED]
        standing = await operator.conformance.GetConformance(pb.GetConformanceRequest())
        assert standing.entitled_copies == 0
    await withdraw(stage, elsewhere, 2)
    stage.clock.at += 60
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await acknowledge(operator, event + 1, stage.clock.at)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.fixture(params=["sqlite", "postgresql"])
def enforced(request: pytest.FixtureRequest) -> Iterator[Enforced]:
    """An operator on an empty store of each kind."""
    with enforced_on(request) as made:
        made.newcomer()
        yield made


def _corrected(enforced: Enforced, name: str) -> tuple[int, int]:
    """Serve a record and correct its period; return both revisions."""
    (first,) = enforced.serve(name)
    changed = admitted(enforced.record(name), disclosed_until=NOW + 300 * _DAY)
    return first, enforced.disclosing.disclosure.correct(changed, 1)


def _attest_right(enforced: Enforced, *sequences: int) -> None:
    now = enforced.clock.now()
    enforced.attested.record(
        enforced.firm,
        f"attestation-{next(enforced.numbers)}",
        len(sequences),
        max(sequences),
        (),
        now,
        "firm-client",
        Basis(0, 0, right=np.array(sequences), read_at=now, put_right=frozenset(sequences)),
    )


def test_what_is_withdrawn_while_it_is_attested_is_owed_all_the_same(enforced: Enforced) -> None:
    first, second = _corrected(enforced, "one")
    event = enforced.disclosing.end(enforced.record("one"), 2)
    # The event is followed before it is known that the operator holds what it made void.
    assert enforced.duties.owing(enforced.firm, [event]) == {}
    enforced.duties.acknowledge(
        enforced.firm, [Removed(second, enforced.clock.now())], "firm-client", enforced.clock.now()
    )
    _attest_right(enforced, second)
    assert enforced.duties.owing(enforced.firm, [event]).keys() == {event}
    _attest_right(enforced, second)
    assert first and not check_conformance(enforced.engines).faults


def test_a_copy_that_counts_as_held_and_whose_content_was_never_served_is_a_fault(
    enforced: Enforced,
) -> None:
    _, second = _corrected(enforced, "one")
    _attest_right(enforced, second)
    enforced.disclosing.end(enforced.record("one"), 2)
    enforced.duties.follow()
    assert not check_conformance(enforced.engines).faults
    elsewhere = enforced.disclosing.publish("elsewhere")
    row = {"operator_id": enforced.firm, "block": 0, "bits": marked({}, np.array([elsewhere]))[0]}
    with enforced.engines.evidence.begin() as connection:
        connection.execute(delete(PUT_RIGHT_BLOCKS))
        connection.execute(insert(PUT_RIGHT_BLOCKS), row)
    assert any(
        each.place.startswith("put_right_blocks")
        for each in check_conformance(enforced.engines).faults
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_all_copies_of_a_record_may_be_shown_for_a_sample(
    stage: Stage, operator: Operator, tmp_path: Path
) -> None:
    (old,) = await records(stage, operator)
    await correct(stage, old, 1, content("corrected"))
    stage.clock.at += 60
    new = await asked(stage, operator, old.subject)
    held = [*new, old]
    attestation = await attest_read(operator, [copy_of(each) for each in held], stage.clock.at)
    # The old one is within its deadline, and stands after the new one in the file.
    assert attestation.standing_findings == 0
    await show_all(operator, held, tmp_path)
    assert not await kinds(operator)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_copy_for_a_sample_is_not_shown_beside_the_word_that_there_is_none(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    await attest_read(operator, [copy_of(record)], stage.clock.at)
    (challenge,) = await Challenges(operator.channel).list()
    copies = [
        pb.ShownCopy(
            challenge=challenge.name, content=record.content, disclosed_from=record.disclosed_from
        ),
        pb.ShownCopy(challenge=challenge.name, not_held=True),
    ]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await operator.conformance.AnswerChallenge(pb.AnswerChallengeRequest(copies=copies))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    # None of several that is right is a finding.
    wrong = pb.AnswerChallengeRequest(copies=[copies[0], copies[0]])
    assert len((await operator.conformance.AnswerChallenge(wrong)).findings) == 1
