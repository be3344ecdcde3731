"""Three processes under load: the emergency brake stops answers everywhere within 1 s (G4)."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from creditgate.v1 import brake_service_pb2 as pb
from creditgate.v1 import brake_service_pb2_grpc as brake_grpc
from creditgate.v1.operator_service_pb2 import ClientRole
from sdk.connection import connect
from tests.authority.loaded import OFFICE, REASON, Loaded, client_id_of, loaded
from tests.examples import rarely_on_postgresql
from tests.installation import CONSENT_ITEM, PUBLIC_ITEM, Installation, eventually

PROCESSES: Final = 3
LEASE: Final = 1.0
ONE, TWO, OTHER_ITEM = "firm-one", "firm-two", "other-item"


async def engage(load: Loaded, process: int, reach: pb.BrakeReach) -> tuple[str, float]:
    """Engage a brake at one process; return its id and when that was acknowledged."""
    credentials = load.processes[process].gateway.credentials(OFFICE)
    async with await connect(credentials) as channel:
        stub = brake_grpc.BrakeServiceStub(channel)
        answer = await stub.EngageBrake(pb.EngageBrakeRequest(reach=reach, reason=REASON))
        return answer.brake.brake_id, time.monotonic()


async def release(load: Loaded, process: int, brake_id: str) -> None:
    """Release a brake at one process."""
    credentials = load.processes[process].gateway.credentials(OFFICE)
    async with await connect(credentials) as channel:
        stub = brake_grpc.BrakeServiceStub(channel)
        await stub.ReleaseBrake(pb.ReleaseBrakeRequest(brake_id=brake_id, reason=REASON))


async def require_stopped(load: Loaded, at: float, stopped: Mapping[str, bool]) -> None:
    """Fail unless each process stopped who should be within a second, and nobody else."""
    before = await load.told()
    await asyncio.sleep(1.2 * LEASE)
    told = await load.told()
    for (operator_id, process), one in told.items():
        if stopped[operator_id]:
            print(f"{operator_id}: last answered {1e3 * (one.last - at):.0f} ms after it")
            assert one.reason == "EMERGENCY_BRAKE"
            assert at - 3 * LEASE < one.last < at + LEASE
        else:
            assert one.answered > before[operator_id, process].answered


@rarely_on_postgresql
async def test_a_brake_stops_what_it_reaches_on_every_process_within_a_second_and_nothing_else(
    installation: Installation,
) -> None:
    installation.enrol(OFFICE, ClientRole.CLIENT_ROLE_ADMINISTRATOR)
    licensed = {ONE: PUBLIC_ITEM, TWO: PUBLIC_ITEM, OTHER_ITEM: CONSENT_ITEM}
    for operator_id, item in licensed.items():
        installation.license(operator_id, f"L-{operator_id}", items=[item])
        installation.enrol(client_id_of(operator_id), ClientRole.CLIENT_ROLE_OPERATOR, operator_id)
    reaches = (
        (pb.BrakeReach(operator_id=ONE), {ONE}),
        (pb.BrakeReach(item=PUBLIC_ITEM), {ONE, TWO}),
        (pb.BrakeReach(everything=True), set(licensed)),
    )
    async with loaded(installation, dict.fromkeys(licensed, "records"), PROCESSES) as load:

        async def all_are_answered() -> bool:
            return not any(one.reason for one in (await load.told()).values())

        for process, (reach, stopped) in enumerate(reaches):
            brake_id, at = await engage(load, process, reach)
            await require_stopped(load, at, {name: name in stopped for name in licensed})
            await release(load, (process + 1) % PROCESSES, brake_id)
            await eventually(all_are_answered)
