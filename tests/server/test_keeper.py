"""The keeper: a process beside who serves, killed, started again, and ended in order."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import grpc
import psutil
import pytest
from sqlalchemy import select

from creditgate.transparency.note import VerifierKey
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from gateway.audit.tables import DECISIONS
from gateway.server.child import ChildProcess
from gateway.server.told import Told
from gateway.storage import turn
from gateway.storage.engines import reading
from gateway.storage.turn import LOGGING, Work, open_turn
from gateway.transparency.entries import last_head
from gateway.transparency.tables import LOGS
from gateway.usage.tables import USAGE_LOGS
from sdk.log_keys import log_key
from sdk.refusals import explain
from tests.installation import (
    OPERATOR_ID,
    PUBLISHER,
    Gateway,
    Installation,
    company,
    eventually,
    place_in,
)
from tests.server.calls import draft, publish, query
from tests.server.supervising import SupervisedGateway, lives, supervised
from tests.server.test_proofs import COMPLETE, asked

WORKS = [each for each in vars(turn).values() if isinstance(each, Work)]


async def another_keeper(served: SupervisedGateway, killed: psutil.Process) -> psutil.Process:
    """Return the keeper that came in the place of one that was killed."""

    async def came() -> bool:
        return served.keeper() not in (None, killed)

    await eventually(came, 20)
    return served.present_keeper()


def logged(installation: Installation) -> tuple[list[str], int]:
    """Return the decisions that are logged, and how long the operator's usage log is."""
    own = USAGE_LOGS.c.operator_id == OPERATOR_ID
    sizes = select(LOGS.c.size).join(USAGE_LOGS, LOGS.c.log == USAGE_LOGS.c.log).where(own)
    with reading(installation.engines.evidence) as connection:
        decisions = connection.execute(select(DECISIONS.c.decision_id)).scalars().all()
        return sorted(decisions), connection.execute(sizes).scalar() or 0


async def proved(
    channel: grpc.aio.Channel, number: int, key: VerifierKey
) -> tuple[str, list[str], int]:
    """Ask for a company's records until they are proved; return the decision, what they are, and
    how often they were not."""
    for late in count():
        try:
            answer = await asked(channel, number, COMPLETE, key)
        except grpc.aio.AioRpcError as error:
            assert explain(error).reason == "TEMPORARILY_UNAVAILABLE"
        else:
            names = [record.name for record in answer.records]
            return answer.receipt.decision_id, names, late
    raise AssertionError


async def test_a_killed_keeper_comes_back_and_goes_on_with_nothing_lost_and_nothing_twice(
    installation: Installation,
) -> None:
    made: list[str] = []
    refused = 0
    async with (
        supervised(installation) as served,
        served.gateway.channel(PUBLISHER) as publisher,
        served.gateway.channel() as operator,
    ):
        key = await asyncio.to_thread(log_key, served.gateway.credentials())

        async def caught_up() -> bool:
            decisions, uses = await asyncio.to_thread(logged, installation)
            return len(decisions) >= len(made) + refused and uses >= len(made)

        for number in (1, 2):
            await publish(publisher, [draft(f"r-{number}", company(number))])
            keeper = served.present_keeper()
            for call in range(10):
                if call == 5:
                    keeper.kill()
                answer = await query(operator, company(number))
                made.append(answer.receipt.decision_id)
            await another_keeper(served, keeper)
            decision, names, late = await proved(operator, number, key)
            made.append(decision)
            refused += late
            await eventually(caught_up, 20)
            assert names == [f"records/r-{number}"]
        # Whatever came twice would come with the next rounds.
        await asyncio.sleep(1.2)
        decisions, uses = logged(installation)
        assert uses == len(made)
        assert set(made) <= set(decisions)
        assert len(decisions) == len(set(decisions)) == len(made) + refused


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_process_outlives_a_supervisor_that_is_killed(
    embedded: Installation, workers: int
) -> None:
    async with supervised(embedded, workers=workers) as served:
        children = served.children()
        assert len(children) == (1 if workers == 1 else workers + 1)
        served.process.kill()
        await served.process.wait()

        async def all_ended() -> bool:
            return not any(lives(child) for child in children)

        await eventually(all_ended, 10)


@asynccontextmanager
async def beside_no_keeper(
    installation: Installation,
) -> AsyncGenerator[tuple[Gateway, socket.socket]]:
    """Run a process that serves, and give the other end of its line: the keeper's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ends = [theirs.fileno()]
        told = Told(installation.config, ends).written()
        process = ChildProcess.spawned("gateway.server.worker", told, ends)
        try:
            yield installation.addressed(place_in(await process.heard())), ours
        finally:
            process.send(signal.SIGKILL)
            await process.wait()


async def test_a_process_that_serves_beside_a_keeper_takes_no_turn_and_tells_what_waits(
    installation: Installation,
) -> None:
    async with beside_no_keeper(installation) as (gateway, line):
        key = await asyncio.to_thread(log_key, gateway.credentials())
        async with gateway.channel(PUBLISHER) as publisher:
            await publish(publisher, [draft("r-1", company(1))])
        line.settimeout(5)
        assert await asyncio.to_thread(line.recv, 64) == LOGGING.name.encode()
        async with gateway.channel() as operator:
            # It waits longer than a process that has not the turn waits to ask for it.
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(operator, 1, COMPLETE, key)
        assert explain(refused.value).reason == "TEMPORARILY_UNAVAILABLE"
        for work in WORKS:
            turn_ = open_turn(installation.engines.evidence, work)
            assert turn_.taken(), work.name
            turn_.give_up()


async def test_the_keeper_works_until_who_serves_has_drained(embedded: Installation) -> None:
    more = asyncio.Event()

    async def batches() -> AsyncIterator[disclosure_pb.PublishRecordsRequest]:
        yield disclosure_pb.PublishRecordsRequest(
            batch_id="b-1", records=[draft("r-1", company(1))]
        )
        await more.wait()
        yield disclosure_pb.PublishRecordsRequest(
            batch_id="b-2", records=[draft("r-2", company(1))]
        )

    def events() -> int:
        with reading(embedded.engines.evidence) as connection:
            head = last_head(connection)
        return 0 if head is None else head.event_sequence

    async with supervised(embedded) as served, served.gateway.channel(PUBLISHER) as channel:
        keeper = served.present_keeper()
        publishing = DisclosureServiceStub(channel).PublishRecords(batches())
        await asyncio.sleep(0.3)
        served.process.terminate()
        await asyncio.sleep(1)
        assert lives(keeper)

        async def logged_first() -> bool:
            return await asyncio.to_thread(events) == 1

        await eventually(logged_first)
        more.set()
        assert (await publishing).published_records == 2
        assert await asyncio.wait_for(served.process.wait(), 10) == 0
        assert not lives(keeper)


async def test_a_gateway_whose_keeper_cannot_stay_up_ends_and_says_so(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    async with supervised(embedded, least_life=60) as served:
        served.present_keeper().kill()
        assert await asyncio.wait_for(served.process.wait(), 10) != 0
    assert "WorkerFailed: A keeper keeps ending" in capfd.readouterr().err
