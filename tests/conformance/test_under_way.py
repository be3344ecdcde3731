"""What is on its way to an operator when it attests is not held against it when it has come; what
it was given whole before that is."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import grpc
import pytest
import pytest_asyncio

from creditgate.transparency.facts import Copy
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.conformance_service_pb2_grpc import ConformanceServiceStub
from creditgate.v1.credit_record_service_pb2_grpc import CreditRecordServiceStub
from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.conformance.answered import last_answer, last_arrived
from gateway.conformance.model import ATTESTATION_FALSE
from gateway.meter.model import pack_entries
from gateway.respond.under_way import UNDER_WAY_SECONDS
from gateway.storage.engines import reading
from tests.conformance.attesting import attest, copy_of, opening
from tests.conformance.enforcing import DAY, Enforced, enforced_on
from tests.conformance.policies import policy_file
from tests.conformance.test_challenges import absent
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import Gateway, furnished
from tests.server.delivering import asked, furnish

pytestmark = rarely_on_postgresql

OTHER_CLIENT = "beta-one"
EVERY = pb.ListFindingsRequest(page_size=500)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    """A gateway on each kind of store whose operators, one for each test, may attest at any time."""
    name = "sqlite_stores" if request.param == "sqlite" else "postgres_stores"
    policy = policy_file(tmp_path_factory.mktemp("policy"))
    with furnished(request.getfixturevalue(name), conformance_policy=policy) as installation:
        installation.license("beta", "L-BETA")
        installation.enrol(OTHER_CLIENT, ClientRole.CLIENT_ROLE_OPERATOR, "beta")
        async with installation.running() as running:
            await furnish(running)
            yield running


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


@pytest.mark.asyncio(loop_scope="module")
async def test_what_came_of_an_answer_after_an_attestation_may_be_held_at_the_next(
    gateway: Gateway,
) -> None:
    async with gateway.channel() as channel:
        held: list[Copy] = []
        async for came in CreditRecordServiceStub(channel).BatchGetSubjectRecords(asked()):
            if not held:
                # All of the chunk is charged, and nothing of it stored yet.
                assert (await attest(channel, held)).opened_findings
            held += [copy_of(each) for each in came.records]
        assert (await attest(channel, held)).copies == len(held) > 0
        assert not await _false(channel)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_given_again_while_an_attestation_is_under_way_may_be_held_at_the_next(
    gateway: Gateway,
) -> None:
    async with gateway.channel(OTHER_CLIENT) as channel:
        stub = ConformanceServiceStub(channel)
        await _batch(channel)
        given = asyncio.Event()

        async def nothing() -> AsyncIterator[pb.AttestCopiesRequest]:
            yield pb.AttestCopiesRequest(opening=opening(0))
            await given.wait()

        attesting = asyncio.ensure_future(stub.AttestCopies(nothing()))
        held = await _batch(channel)
        # It ends in a later second than what was given again.
        await asyncio.sleep(1.1)
        given.set()
        assert (await attesting).attestation.opened_findings
        assert (await attest(channel, held)).copies == len(held) > 0
        assert not await _false(channel)


def test_an_answer_counts_as_arrived_once_nothing_of_it_can_be_under_way(world: Enforced) -> None:
    now = world.clock.now()
    for seconds in (0, 1):
        world.disclosing.serve(
            world.firm,
            world.disclosing.publish(world.record(f"r{seconds}")),
            served_at=now + seconds,
        )
    with reading(world.engines.records) as records:
        last = last_answer(records, world.firm)

        def arrived(after: int) -> int:
            return last_arrived(records, world.firm, now + after)

        assert arrived(UNDER_WAY_SECONDS - 1) == 0
        assert 0 < arrived(UNDER_WAY_SECONDS) < last
        assert arrived(UNDER_WAY_SECONDS + 1) == last


@always_on_postgresql
@pytest.mark.parametrize(("before", "false"), [(0, 0), (1, 1)])
def test_what_was_given_again_before_it_was_told_missing_excuses_only_if_it_may_have_been_under_way(
    world: Enforced, before: int, false: int
) -> None:
    (sequence,) = world.serve("a")
    use = world.disclosing.serve(world.firm, sequence)
    world.clock.at += DAY // 2
    world.disclosing.serve_again(use)
    since = world.clock.now() + before
    world.clock.at += 60
    world.attest(absent(world, "a", sequence), since=since)
    assert world.attest(copies=1).opened == false


def test_what_a_retry_was_given_less_of_excuses_that_alone(world: Enforced) -> None:
    first, second = world.serve("a", "b")
    use = world.disclosing.serve(world.firm, first, second)
    world.clock.at += 60
    told = (absent(world, "a", first), absent(world, "b", second))
    world.attest(*told)
    world.clock.at += 60
    world.disclosing.serve_again(use._replace(entries=pack_entries([first])))
    assert world.attest(copies=2).opened == 1


async def _batch(channel: grpc.aio.Channel) -> Sequence[Copy]:
    stub = CreditRecordServiceStub(channel)
    return [
        copy_of(each)
        async for came in stub.BatchGetSubjectRecords(asked())
        for each in came.records
    ]


async def _false(channel: grpc.aio.Channel) -> list[pb.Finding]:
    listed = (await ConformanceServiceStub(channel).ListFindings(EVERY)).findings
    return [each for each in listed if each.kind == ATTESTATION_FALSE]
