"""An honest operator is not accused. It attests from a file that was written before: what came to
it, or ended, since then is not held against it. And a copy that equals the disclosure is right."""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import grpc
import pytest
import pytest_asyncio

from creditgate.transparency.facts import Copy
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.conformance_service_pb2 import FindingKind
from creditgate.v1.disclosure_proof_pb2 import ProofKind
from gateway.conformance.covering import MOST_AGE_SECONDS
from gateway.respond.under_way import UNDER_WAY_SECONDS
from sdk.challenges import Challenges
from sdk.copies.file import CopiesFile
from sdk.refusals import explain
from tests.clock import StandingClock
from tests.conformance.acting import Operator, Stage, staged
from tests.conformance.attesting import attest, copy_of, opening, reconcile
from tests.conformance.honest import (
    acknowledge,
    attest_read,
    correct,
    correct_period,
    kinds,
    numbers,
    owed,
    records,
    served,
    show_all,
    withdraw,
)
from tests.conformance.policies import policy_file
from tests.consents.counter import new_subject
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Installation, content
from tests.parties import claims_in
from tests.server.calls import draft
from tests.stores import PostgresStores, SqliteStores

pytestmark = [pytest.mark.asyncio(loop_scope="module"), rarely_on_postgresql]
_HOUR: Final = 3_600
_FALSE: Final = FindingKind.FINDING_KIND_ATTESTATION_FALSE
_MISSING: Final = FindingKind.FINDING_KIND_MISSING
_OPERATORS: Final = 20


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


async def test_an_operator_that_attests_each_week_from_a_dump_of_an_hour_ago_is_never_accused(
    stage: Stage, operator: Operator, tmp_path: Path
) -> None:
    held = [*await records(stage, operator)]
    for _ in range(4):
        dump, made = tuple(held), stage.clock.at
        stage.clock.at += 60
        held += await records(stage, operator)
        stage.clock.at += _HOUR
        attestation = await attest_read(operator, [copy_of(each) for each in dump], made)
        await show_all(operator, dump, tmp_path)
        assert attestation.standing_findings == 0
        # Of what came after the dump nothing is said, nor is it certified.
        assert not await kinds(operator)
        certified = claims_in(attestation.certificate)
        assert (certified["read_at"], certified["iat"]) == (made, stage.clock.at)
        assert (certified["copies"], certified["entitled"], certified["missing"]) == (
            len(dump),
            len(dump),
            0,
        )
        stage.clock.at += 7 * 86_400


@always_on_postgresql
async def test_what_was_served_before_the_copies_were_read_is_missing(
    stage: Stage, operator: Operator
) -> None:
    before = await served(stage, operator)
    made = stage.clock.at
    stage.clock.at += 1
    since = await served(stage, operator)
    stage.clock.at += _HOUR
    await attest_read(operator, (), made)
    assert await kinds(operator) == [_MISSING]
    # It was served too shortly before to be told missing: it may have been under way.
    assert not (await attest_read(operator, [*before, *since], stage.clock.at)).standing_findings


@always_on_postgresql
async def test_who_tells_missing_what_it_had_long_before_it_read_its_copies_is_caught(
    stage: Stage, operator: Operator
) -> None:
    held = await served(stage, operator)
    stage.clock.at += UNDER_WAY_SECONDS
    made = stage.clock.at
    stage.clock.at += _HOUR
    await attest_read(operator, (), made)
    assert (await attest_read(operator, held, stage.clock.at)).standing_findings == 1
    assert await kinds(operator) == [_FALSE]


async def _refused(operator: Operator, copies: Sequence[Copy], read_at: int) -> str:
    """Have an attestation refused for when its copies were read; return what is said to it."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await attest_read(operator, copies, read_at)
    told = explain(refused.value)
    assert (told.status, told.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    (violation,) = told.violations
    assert violation.field == "opening.made_time"
    return violation.description


async def test_copies_read_longer_ago_than_a_day_are_refused_and_nobody_is_accused_by_them(
    stage: Stage, operator: Operator
) -> None:
    held, dump = list[Copy](), list[Copy]()
    for _ in range(2):
        dump, made = list(held), stage.clock.at
        stage.clock.at += _HOUR
        held += await served(stage, operator)
        stage.clock.at = made + MOST_AGE_SECONDS
        assert not (await attest_read(operator, dump, made)).standing_findings
        stage.clock.at += 1
        assert "younger file" in await _refused(operator, dump, made)
    assert not (await attest_read(operator, held, stage.clock.at)).standing_findings
    assert not await kinds(operator)


async def test_copies_read_before_those_attested_last_are_refused(
    stage: Stage, operator: Operator
) -> None:
    kept, deleted = await served(stage, operator), await served(stage, operator)
    stage.clock.at += _HOUR
    made = stage.clock.at
    stage.clock.at += _HOUR
    request = opening(1)
    request.made_time.seconds = stage.clock.at
    first = await attest(operator.channel, kept, opened=request)
    stage.clock.at += _HOUR
    for attested in (attest, reconcile):
        opened = opening(2)
        opened.made_time.seconds = made
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await attested(operator.channel, [*kept, *deleted], opened=opened)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "attested last" in await _refused(operator, kept, request.made_time.seconds - 1)
    # What was kept is answered as it was, and the same file may be attested again.
    assert await attest(operator.channel, kept, opened=request) == first
    assert not (await attest_read(operator, kept, request.made_time.seconds)).standing_findings
    assert await kinds(operator) == [_MISSING]


@always_on_postgresql
async def test_a_clock_that_was_set_back_keeps_nobody_from_attesting(
    stage: Stage, operator: Operator
) -> None:
    held = await served(stage, operator)
    assert not (await attest_read(operator, held, stage.clock.at)).standing_findings
    stage.clock.at -= 60
    try:
        assert not (await attest(operator.channel, held)).standing_findings
        assert not (await attest_read(operator, held, stage.clock.at)).standing_findings
    finally:
        stage.clock.at += 60


async def test_a_dump_from_before_an_event_does_not_show_gone_what_was_served_since(
    stage: Stage, operator: Operator
) -> None:
    made = stage.clock.at
    stage.clock.at += 60
    held = await served(stage, operator)
    stage.clock.at += 60
    await withdraw(stage, held[0])
    stage.clock.at += 60
    await attest_read(operator, (), made)
    # Its removal is still to be acknowledged, and not yet due.
    assert not (await attest_read(operator, held, stage.clock.at)).standing_findings


@pytest.mark.parametrize("after_event", [-_HOUR, -5, 5])
async def test_copies_read_before_a_removal_was_acknowledged_do_not_contradict_it(
    stage: Stage, operator: Operator, after_event: int
) -> None:
    held, reflects = await served(stage, operator), await stage.head()
    stage.clock.at += _HOUR
    event, at = await withdraw(stage, held[0]), stage.clock.at
    stage.clock.at += _HOUR
    await acknowledge(operator, event, stage.clock.at)
    stage.clock.at += 5 * _HOUR
    attestation = await attest_read(operator, held, at + after_event, reflects)
    assert (attestation.standing_findings, attestation.certificate) == (0, "")
    # Gone it is, and stays.
    assert (await attest_read(operator, held, at + _HOUR, reflects)).standing_findings == 1


async def test_copies_read_before_they_were_gone_in_time_are_excused_when_the_deadline_is_over(
    stage: Stage, operator: Operator
) -> None:
    held = await served(stage, operator)
    stage.clock.at += _HOUR
    event, at = await withdraw(stage, held[0]), stage.clock.at
    stage.clock.at = at + 23 * _HOUR
    await acknowledge(operator, event, stage.clock.at)
    stage.clock.at = at + 25 * _HOUR
    attestation = await attest_read(operator, held, at + 22 * _HOUR)
    assert (attestation.standing_findings, attestation.certificate) == (0, "")
    # Gone it is, and stays.
    assert (await attest_read(operator, held, at + 23 * _HOUR)).standing_findings == 1


async def test_copies_read_before_their_period_ended_are_excused_and_not_certified(
    stage: Stage, operator: Operator
) -> None:
    made = draft(f"read-{next(numbers)}", new_subject())
    made.disclosed_from.seconds = stage.clock.at - 400 * 86_400
    made.disclosed_until.seconds = stage.clock.at + 2 * _HOUR
    await stage.publish(made)
    answer = await operator.ask(made.subject, stage.key, ProofKind.PROOF_KIND_UNSPECIFIED)
    held = [copy_of(each) for each in answer.records]
    stage.clock.at += 7 * _HOUR
    attestation = await attest_read(operator, held, made.disclosed_until.seconds - 1)
    assert (attestation.standing_findings, attestation.certificate) == (0, "")
    assert (await attest_read(operator, held, made.disclosed_until.seconds)).standing_findings == 1


@always_on_postgresql
async def test_copies_read_after_they_were_said_to_be_gone_contradict_it(
    stage: Stage, operator: Operator
) -> None:
    held, reflects = await served(stage, operator), await stage.head()
    event, at = await withdraw(stage, held[0]), stage.clock.at
    await acknowledge(operator, event, at)
    stage.clock.at += 60
    assert (await attest_read(operator, held, at + 1, reflects)).standing_findings == 1
    assert await kinds(operator) == [FindingKind.FINDING_KIND_WITHDRAWN_HELD]


@always_on_postgresql
async def test_who_says_that_its_copies_reflect_an_event_is_not_excused_by_when_they_were_read(
    stage: Stage, operator: Operator
) -> None:
    held = await served(stage, operator)
    stage.clock.at += 60
    event = await withdraw(stage, held[0])
    assert (await attest_read(operator, held, stage.clock.at - 30, event)).standing_findings == 1


async def test_a_copy_of_a_record_corrected_back_to_what_it_was_is_right_until_that_ends(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    held = [copy_of(record)]
    wrong = await correct(stage, record, 1, content("wrong"))
    assert await owed(operator) == 1
    assert (await attest_read(operator, held, stage.clock.at, wrong)).standing_findings == 1
    right = await correct(stage, record, 2)
    assert await owed(operator) == 0
    assert (await attest_read(operator, held, stage.clock.at, right)).standing_findings == 0
    for attested in (attest, reconcile):
        done = await attested(operator.channel, held, opened=opening(1, right))
        assert (done.standing_findings, done.copies) == (0, 1)
    again = await correct(stage, record, 3, content("better"))
    assert await owed(operator) == 1
    assert (await attest_read(operator, held, stage.clock.at, right)).standing_findings == 0
    assert (await attest_read(operator, held, stage.clock.at, again)).standing_findings == 1


@always_on_postgresql
async def test_a_copy_whose_period_was_corrected_by_the_stream_is_right_and_is_asked_for(
    stage: Stage, operator: Operator, tmp_path: Path
) -> None:
    (record,) = await records(stage, operator)
    until = record.disclosed_until.seconds - 86_400
    event = await correct_period(stage, record, until)
    record.disclosed_until.seconds = until
    copy = copy_of(record)
    stage.clock.at += 60
    attestation = await attest_read(operator, [copy], stage.clock.at, event)
    assert attestation.standing_findings == 0
    assert claims_in(attestation.certificate)["drawable"] == 1
    await show_all(operator, [record], tmp_path)
    other = copy._replace(disclosed_until=until - 1)
    assert (await attest_read(operator, [other], stage.clock.at, event)).standing_findings == 1
    assert await kinds(operator) == [FindingKind.FINDING_KIND_PERIOD_ALTERED]


async def test_who_attested_a_copy_falsely_that_was_never_served_so_mends_it_by_attesting_none(
    stage: Stage, operator: Operator, tmp_path: Path
) -> None:
    (record,) = await records(stage, operator)
    until = record.disclosed_until.seconds - 86_400
    event = await correct_period(stage, record, until)
    copy = copy_of(record)._replace(disclosed_until=until)
    stage.clock.at += 60
    assert not (await attest_read(operator, [copy], stage.clock.at, event)).standing_findings
    none = tmp_path / "none.csv"
    none.write_text("record_id,content,disclosed_from,disclosed_until\n", encoding="utf-8")
    challenges = Challenges(operator.channel)
    await challenges.answer(CopiesFile(none), await challenges.list(), gone=True)
    assert await kinds(operator) == [_FALSE]
    # That it is attested again is no proof; it is asked for again.
    assert (await attest_read(operator, [copy], stage.clock.at, event)).standing_findings == 1
    assert len(await challenges.list()) == 1
    assert not (await attest_read(operator, (), stage.clock.at, event)).standing_findings
    assert await kinds(operator) == [_MISSING]


async def test_a_copy_whose_period_was_corrected_by_the_stream_goes_as_any_other(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    until = record.disclosed_until.seconds - 86_400
    before = await correct_period(stage, record, until)
    copy = copy_of(record)._replace(disclosed_until=until)
    request = disclosure_pb.WithdrawRecordRequest(
        name=record.name, expected_revision=2, reason="set aside"
    )
    after = (await stage.disclosure.WithdrawRecord(request)).event_sequence
    stage.clock.at += 60
    excused = await attest_read(operator, [copy], stage.clock.at, before)
    assert (excused.standing_findings, excused.certificate) == (0, "")
    assert (await attest_read(operator, [copy], stage.clock.at, after)).standing_findings == 1
    assert await kinds(operator) == [FindingKind.FINDING_KIND_WITHDRAWN_HELD]


async def test_a_period_that_was_corrected_of_what_was_never_served_is_obtained_elsewhere(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    wrong = await correct(stage, record, 1, content("wrong"))
    other = copy_of(record)._replace(content_digest=sha256(content("wrong")).digest())
    assert (await attest_read(operator, [other], stage.clock.at, wrong)).standing_findings == 1
    assert await kinds(operator) == [FindingKind.FINDING_KIND_NEVER_SERVED]


async def test_a_correction_that_changes_nothing_is_refused(
    stage: Stage, operator: Operator
) -> None:
    (record,) = await records(stage, operator)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await correct(stage, record, 1)
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    changed = await correct(stage, record, 1, content("changed"))
    # Said once more, it answers as it did.
    assert await correct(stage, record, 1, content("changed")) == changed
