"""What is excused of a file excuses itself alone: what else the file says counts, so that who has
mended is not accused because something it holds ended an hour ago."""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio

from creditgate.transparency.facts import Copy
from creditgate.v1.conformance_service_pb2 import FindingKind
from tests.clock import StandingClock
from tests.conformance.acting import Operator, Stage, staged
from tests.conformance.attesting import copy_of
from tests.conformance.honest import (
    acknowledge,
    asked,
    attest_read,
    correct,
    kinds,
    numbers,
    owed,
    records,
    served,
    withdraw,
)
from tests.conformance.policies import policy_file
from tests.consents.counter import new_subject
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Installation, content
from tests.server.calls import draft
from tests.stores import PostgresStores, SqliteStores

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR
_WITHDRAWN: Final = FindingKind.FINDING_KIND_WITHDRAWN_HELD
_CORRECTED: Final = FindingKind.FINDING_KIND_CORRECTED_HELD
_OPERATORS: Final = 8


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation on each kind of store whose time stands."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    stores: SqliteStores | PostgresStores = request.getfixturevalue(name)
    policy = policy_file(tmp_path_factory.mktemp("policy"), file_age="PT15M")
    with stores.database() as store:
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
    """A gateway for all tests of a kind of store: each has an operator of its own."""
    async with staged(installation, tmp_path_factory.mktemp("stage")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def newcomers(stage: Stage) -> AsyncIterator[list[Operator]]:
    """Operators of which nothing is known, enrolled before the time leaps."""
    async with stage.operators(_OPERATORS) as made:
        yield made


@pytest.fixture
def operator(newcomers: list[Operator]) -> Operator:
    """One of them."""
    return newcomers.pop()


async def found_late(stage: Stage, operator: Operator, *others: Copy) -> None:
    """Have a copy found that should have been gone for days, and then be removed."""
    (forgotten,) = await served(stage, operator)
    event = await withdraw(stage, forgotten)
    stage.clock.at += 5 * _DAY
    await attest_read(operator, [forgotten, *others], stage.clock.at)
    assert _WITHDRAWN in await kinds(operator)
    await acknowledge(operator, event, stage.clock.at)


async def test_what_is_mended_is_rectified_by_a_file_with_a_copy_withdrawn_an_hour_ago(
    stage: Stage, operator: Operator
) -> None:
    await found_late(stage, operator)
    (other,) = await served(stage, operator)
    await withdraw(stage, other)
    stage.clock.at += _HOUR
    attested = await attest_read(operator, [other], stage.clock.at)
    assert attested.rectified_findings
    assert not attested.certificate
    assert _WITHDRAWN not in await kinds(operator)


async def test_what_is_mended_is_rectified_by_a_file_with_a_copy_whose_period_ended_since(
    stage: Stage, operator: Operator
) -> None:
    made = draft(f"ending-{next(numbers)}", new_subject())
    made.disclosed_from.seconds = stage.clock.at - 400 * _DAY
    made.disclosed_until.seconds = until = stage.clock.at + 6 * _DAY
    await stage.publish(made)
    (ending,) = [copy_of(each) for each in await asked(stage, operator, made.subject)]
    await found_late(stage, operator, ending)
    stage.clock.at = until + _HOUR
    await attest_read(operator, [ending], until - _HOUR)
    assert _WITHDRAWN not in await kinds(operator)


async def test_an_old_copy_that_is_gone_is_rectified_while_the_next_one_is_excused(
    stage: Stage, operator: Operator
) -> None:
    (first,) = await records(stage, operator)
    await correct(stage, first, 1, content("other"))
    (second,) = await asked(stage, operator, first.subject)
    stage.clock.at += 5 * _DAY
    await attest_read(operator, [copy_of(first), copy_of(second)], stage.clock.at)
    assert _CORRECTED in await kinds(operator)
    await withdraw(stage, copy_of(second), 2)
    stage.clock.at += _HOUR
    await attest_read(operator, [copy_of(second)], stage.clock.at)
    # Nor is the one found that is excused.
    assert not {_CORRECTED, _WITHDRAWN} & {*await kinds(operator)}


async def test_removals_that_a_file_shows_are_owed_no_more_and_that_of_what_it_holds_is(
    stage: Stage, operator: Operator
) -> None:
    held = [(await served(stage, operator))[0] for _ in range(3)]
    events = [await withdraw(stage, each) for each in held]
    stage.clock.at += _HOUR
    await attest_read(operator, held[:1], stage.clock.at)
    assert await owed(operator) == 1
    await acknowledge(operator, events[0], stage.clock.at)
    assert await owed(operator) == 0


async def test_a_copy_found_stays_found_while_it_is_held_and_excused(
    stage: Stage, operator: Operator
) -> None:
    (copy,) = await served(stage, operator)
    event = await withdraw(stage, copy)
    # It says that it has acted on the event, and then takes that back.
    await attest_read(operator, [copy], stage.clock.at, event)
    stage.clock.at += 1
    attested = await attest_read(operator, [copy], stage.clock.at)
    assert (attested.rectified_findings, attested.standing_findings) == (0, 1)
    assert await owed(operator) == 1


@always_on_postgresql
async def test_a_file_from_before_an_event_does_not_show_the_copy_gone(
    stage: Stage, operator: Operator
) -> None:
    (copy,) = await served(stage, operator)
    read_at = stage.clock.at
    stage.clock.at += _HOUR
    await withdraw(stage, copy)
    stage.clock.at += _HOUR
    await attest_read(operator, [], read_at)
    assert await owed(operator) == 1
