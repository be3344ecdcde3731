"""What is not disclosed yet is not right, and what had to go by its period is owed for nothing that
comes later, and is not excused by it either."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio

from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from tests.clock import StandingClock
from tests.conformance.acting import Operator, Stage, staged
from tests.conformance.attesting import copy_of
from tests.conformance.honest import (
    acknowledge,
    attest_read,
    kinds,
    owed,
    records,
    withdraw,
)
from tests.conformance.policies import policy_file
from tests.installation import Installation, eventually
from tests.patience import patiently
from tests.stores import SqliteStores

pytestmark = pytest.mark.asyncio(loop_scope="module")
_DAY: Final = 86_400
_EXPIRED: Final = FindingKind.FINDING_KIND_EXPIRED_HELD
_PERIOD: Final = FindingKind.FINDING_KIND_PERIOD_ALTERED


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
async def newcomers(stage: Stage) -> AsyncIterator[list[tuple[Operator, DisclosedRecord]]]:
    """Operators of which nothing is known, each with a record that it was served, before the time
    leaps."""
    async with stage.operators(4) as made:
        yield [(each, (await records(stage, each))[0]) for each in made]


async def _moved(stage: Stage, record: DisclosedRecord, seconds: int) -> tuple[int, int]:
    """Correct a record so that its disclosure begins so many seconds later; return the event, and
    when it begins."""
    begins = stage.clock.at + seconds
    request = disclosure_pb.CorrectRecordRequest(
        name=record.name, expected_revision=1, content=record.content, reason="period"
    )
    request.disclosed_from.seconds = begins
    request.disclosed_until.seconds = begins + 730 * _DAY
    done = await patiently(lambda: stage.disclosure.CorrectRecord(request))
    return done.record.event_sequence, begins


@pytest.mark.parametrize(("days", "found"), [(20, [_PERIOD]), (30, [])])
async def test_a_copy_of_what_is_disclosed_later_is_right_once_that_has_begun(
    stage: Stage,
    newcomers: list[tuple[Operator, DisclosedRecord]],
    days: int,
    found: list[FindingKind.ValueType],
) -> None:
    operator, record = newcomers.pop()
    event, begins = await _moved(stage, record, 30 * _DAY)
    await acknowledge(operator, event, stage.clock.at)
    stage.clock.at += days * _DAY
    copy = copy_of(record)._replace(disclosed_from=begins, disclosed_until=begins + 730 * _DAY)
    attestation = await attest_read(operator, [copy], stage.clock.at)
    assert await kinds(operator) == found
    assert bool(attestation.certificate) == (not found)


async def test_an_event_after_its_period_was_over_demands_no_removal(
    stage: Stage, newcomers: list[tuple[Operator, DisclosedRecord]]
) -> None:
    operator, record = newcomers.pop()
    stage.clock.at = max(stage.clock.at, record.disclosed_until.seconds)
    event = await withdraw(stage, copy_of(record))

    async def told() -> bool:
        return any(each.event.event_sequence == event for each in operator.told)

    await eventually(told)
    (news,) = [each for each in operator.told if each.event.event_sequence == event]
    assert not news.HasField("removal_deadline")
    assert await owed(operator) == 0


async def test_who_keeps_a_copy_past_its_period_is_not_excused_by_an_event_that_comes_later(
    stage: Stage, newcomers: list[tuple[Operator, DisclosedRecord]]
) -> None:
    operator, record = newcomers.pop()
    stage.clock.at = max(stage.clock.at, record.disclosed_until.seconds)
    await attest_read(operator, [copy_of(record)], stage.clock.at)
    (before,) = await operator.findings()
    await withdraw(stage, copy_of(record))
    stage.clock.at += 3_600
    attestation = await attest_read(operator, [copy_of(record)], stage.clock.at)
    (after,) = await operator.findings()
    assert (attestation.standing_findings, attestation.rectified_findings) == (1, 0)
    assert (before.kind, after.kind) == (_EXPIRED, _EXPIRED)
    assert (before.name, before.deadline) == (after.name, after.deadline)
