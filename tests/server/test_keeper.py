"""The keeper: a process beside who serves, killed, started again, and ended in order."""

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from sqlalchemy import select

from creditgate.transparency.note import VerifierKey
from creditgate.v1 import disclosure_service_pb2 as disclosure_pb
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from creditgate.v1.usage_service_pb2 import GetUsageProofRequest, ListUsageRequest
from creditgate.v1.usage_service_pb2_grpc import UsageServiceStub
from gateway.audit.tables import DECISIONS
from gateway.conformance.policy_file import write_policy
from gateway.server.child import ChildProcess
from gateway.server.health import KEEPER
from gateway.server.policies import Policies
from gateway.server.told import Told
from gateway.storage import turn
from gateway.storage.engines import reading
from gateway.storage.turn import LOGGING, Work, open_turn
from gateway.transparency.entries import last_head
from gateway.transparency.tables import LOGS
from gateway.usage.tables import USAGE_LOGS
from sdk.log_keys import log_key
from sdk.refusals import explain
from sdk.tokens import TokenRefused
from tests.examples import rarely_on_postgresql
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


@rarely_on_postgresql
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


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
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
        told = Told(installation.config, Policies.read(installation.config), ends).written()
        process = ChildProcess.spawned("gateway.server.worker", told, ends)
        try:
            yield installation.addressed(place_in(await process.heard())), ours
        finally:
            process.send(signal.SIGKILL)
            await process.wait()


@rarely_on_postgresql
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
        served.terminate()
        await asyncio.sleep(1)
        assert lives(keeper)

        async def logged_first() -> bool:
            return await asyncio.to_thread(events) == 1

        await eventually(logged_first)
        more.set()
        assert (await publishing).published_records == 2
        assert await asyncio.wait_for(served.process.ended_in_order(), 10)
        assert not lives(keeper)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_a_gateway_outlives_processes_that_are_killed_while_they_start_and_soon_after(
    embedded: Installation, workers: int
) -> None:
    async with supervised(embedded, workers=workers) as served:
        first = served.children()
        # Each is killed as soon as it is seen: first those that serve or work, then those
        # that start.
        ended = set[psutil.Process]()
        for _ in range(2):
            for each in await another_set(served, ended, len(first)):
                ended.add(each)
                each.kill()

        async def serve_and_work() -> bool:
            try:
                async with served.gateway.channel() as channel:
                    await query(channel)
            except (TokenRefused, grpc.aio.AioRpcError):
                return False
            return served.keeper() is not None

        await another_set(served, ended, len(first))
        await eventually(serve_and_work, 20)
        assert psutil.pid_exists(served.process.pid)


async def keeper_gone(keeper: psutil.Process) -> None:
    """Wait until a keeper that was killed is gone."""

    async def gone() -> bool:
        return not lives(keeper)

    await eventually(gone, 5)


async def another_set(
    served: SupervisedGateway, ended: set[psutil.Process], count: int
) -> list[psutil.Process]:
    """Return the other processes once there are so many, none of those that ended."""
    others: list[psutil.Process] = []

    async def came() -> bool:
        others[:] = [each for each in served.children() if each not in ended]
        return len(others) == count

    await eventually(came, 20)
    return others


async def test_a_gateway_whose_keeper_cannot_stay_up_ends_and_says_so(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    async with supervised(embedded, least_life=60, give_up=0.1) as served:
        served.present_keeper().kill()
        assert not await asyncio.wait_for(served.process.ended_in_order(), 10)
    told = capfd.readouterr().err
    assert "WorkerFailed: No keeper has stayed up for 60 s in the last 0.1 s" in told


async def test_a_keeper_that_cannot_use_what_it_is_told_ends_the_start_at_once(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    # What only the keeper needs.
    export: dict[str, Any] = {
        "usage_export_url": "https://127.0.0.1:1/",
        "usage_export_ca": embedded.home.root / "none.pem",
    }
    with pytest.raises(AssertionError, match="did not start"):
        async with supervised(embedded, **export):
            pass
    assert "WorkerFailed: A keeper did not come up" in capfd.readouterr().err


async def test_a_keeper_that_hangs_is_seen_killed_and_started_anew_while_calls_go_on(
    embedded: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    async with (
        supervised(embedded, lost=2) as served,
        served.gateway.channel(PUBLISHER) as publisher,
        served.gateway.channel() as operator,
    ):
        health: Any = HealthStub(operator)

        async def status(service: str) -> int:
            return (await health.Check(health_pb2.HealthCheckRequest(service=service))).status

        async def is_lost() -> bool:
            return await status(KEEPER) == health_pb2.HealthCheckResponse.NOT_SERVING

        async def is_well() -> bool:
            return await status(KEEPER) == health_pb2.HealthCheckResponse.SERVING

        await publish(publisher, [draft("r-1", company(1))])
        await eventually(is_well)
        keeper = served.present_keeper()
        keeper.suspend()
        await eventually(is_lost, 5)
        assert await status("") == health_pb2.HealthCheckResponse.SERVING
        answer = await query(operator, company(1))
        assert len(answer.records) == 1
        await another_keeper(served, keeper)
        await eventually(is_well, 10)
        assert not lives(keeper)
    told = capfd.readouterr().err
    assert f"keeper {keeper.pid} hangs and is killed" in told
    assert "no sign of the keeper for 2 s" in told
    assert "the keeper is back" in told


async def test_policies_that_change_hold_for_all_processes_from_the_next_start_on(
    embedded: Installation,
) -> None:
    policy = write_policy(embedded.home.root / "policy.yaml")
    async with supervised(embedded, conformance_policy=policy) as served:
        # A process that read it anew could not start.
        policy.write_text("none: at all")
        keeper = served.present_keeper()
        keeper.kill()
        await keeper_gone(keeper)
        async with served.gateway.channel() as operator:
            decision = (await query(operator, company(1))).receipt.decision_id

        async def goes_on() -> bool:
            return decision in (await asyncio.to_thread(logged, embedded))[0]

        await eventually(goes_on, 20)


def test_what_a_child_is_told_of_policies_is_what_was_read_whatever_the_files_say_now(
    embedded: Installation,
) -> None:
    policy = write_policy(embedded.home.root / "policy.yaml", warned="PT3S")
    config = embedded.config.model_copy(update={"conformance_policy": policy})
    told = Told(config, Policies.read(config))
    policy.write_text("none: at all")
    read = Told.read(told.written().decode())
    assert read.policies == told.policies
    assert read.policies.conformance.warned_seconds == 3


@rarely_on_postgresql
async def test_while_the_keeper_hangs_what_needs_it_is_refused_and_authority_acts_at_once(
    installation: Installation,
) -> None:
    async with (
        supervised(installation, lost=60) as served,
        served.gateway.channel(PUBLISHER) as publisher,
        served.gateway.channel() as operator,
    ):
        key = await asyncio.to_thread(log_key, served.gateway.credentials())
        await publish(publisher, [draft("r-1", company(1))])
        assert (await proved(operator, 1, key))[1] == ["records/r-1"]
        # So that it holds no lock of the store when it is stopped.
        await asyncio.sleep(2)
        served.present_keeper().suspend()
        await publish(publisher, [draft("r-2", company(2))])
        answer = await query(operator, company(2))
        assert [record.name for record in answer.records] == ["records/r-2"]
        usage = UsageServiceStub(operator)
        entries = (await usage.ListUsage(ListUsageRequest())).entries
        for call in (
            asked(operator, 2, COMPLETE, key),
            usage.GetUsageProof(GetUsageProofRequest(name=entries[-1].name)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            told = explain(refused.value)
            assert (told.reason, told.status) == ("TEMPORARILY_UNAVAILABLE", "UNAVAILABLE")
            assert told.retry_after
        installation.suspend()
        await asyncio.sleep(1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await query(operator, company(2))
        assert explain(refused.value).reason == "OPERATOR_SUSPENDED"
