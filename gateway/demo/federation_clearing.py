"""The regions of the demo clear: one has altered its ledger, and is found out."""

import asyncio
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select, update

from creditgate.v1 import clearing_service_pb2 as pb
from gateway.cli.output import Sheet, yuan
from gateway.clock import Clock
from gateway.demo.account import Section, Step
from gateway.demo.cast import ADMINISTRATOR
from gateway.demo.federation_cast import NORTH, SOUTH, WEST
from gateway.demo.federation_land import Land, Province
from gateway.demo.seed import acting_as
from gateway.federation.asking.tables import REGION_USES
from gateway.federation.clearing.netting import Owed, positions, transfers
from gateway.federation.clearing.rules import SETTLED_SECONDS
from gateway.storage.engines import open_engines

_RIGHT: Final = frozenset({"yuan"})


async def cleared(made: Land) -> Section:
    """Clear the north's uses of the south and the west, one of them altered, and net them."""
    north, south, west = (made.of(each) for each in (NORTH, SOUTH, WEST))
    await asyncio.to_thread(_alter_a_fee, north, south)
    first = await _run(north, south, made.clock)
    with_west = await _run(north, west, made.clock)
    (dispute,) = await _disputes(south)
    async with acting_as(north.home, ADMINISTRATOR) as administrator:
        await administrator.ask(
            pb.ResolveClearingDisputeRequest(
                dispute_id=dispute.dispute_id,
                stands=pb.ClearingStand.CLEARING_STAND_HOME,
                version=dispute.home_version,
                note="the receipt says so",
            ),
            pb.ResolveClearingDisputeResponse,
        )
    second = await _run(north, south, made.clock)
    owed = [
        Owed(north.region.name, other.region.name, _amount(clearing))
        for other, clearing in ((south, first), (south, second), (west, with_west))
    ]
    net = positions(owed)
    return Section(
        "Regions clear what they owe one another, entry by entry (清算)",
        (
            Step("north", "alters one fee in its ledger, and clears with the south", *_told(first)),
            Step("south", "finds whose version the receipt supports", "HOME", _supported(dispute)),
            Step("north", "clears with the west", "0 disputes", f"{with_west.disputes} disputes"),
            Step(
                "north",
                "concedes; the next clearing has the entry",
                "1 entry, 0 disputes",
                f"{second.agreed_entries} entry, {second.disputes} disputes",
            ),
            Step("all", "net", "0 micro-yuan", f"{sum(net.values())} micro-yuan"),
        ),
        (
            Sheet(
                "Transfers that settle it (轧差)",
                ("who pays", "whom", "yuan"),
                [(each.debtor, each.creditor, yuan(each.amount)) for each in transfers(net)],
                _RIGHT,
            ),
        ),
    )


def _alter_a_fee(asking: Province, home: Province) -> None:
    """Lower a fee in what a region kept of another's records, behind its gateway's back."""
    engines = open_engines("sqlite", asking.home.root)
    try:
        with engines.records.begin() as connection:
            own = REGION_USES.c.region == home.entity_id
            one = connection.execute(select(REGION_USES.c.region_request_id).where(own)).scalar()
            connection.execute(
                update(REGION_USES)
                .where(own, REGION_USES.c.region_request_id == one)
                .values(fee=REGION_USES.c.fee - 1)
            )
    finally:
        engines.dispose()


async def _run(one: Province, other: Province, clock: Clock) -> pb.Clearing:
    """Clear all that two regions used of one another by now."""
    proposing, asked = sorted((one, other), key=lambda each: each.entity_id)
    until = clock.now() + 1
    await asyncio.sleep(1 + SETTLED_SECONDS)
    async with acting_as(proposing.home, ADMINISTRATOR) as administrator:
        answer = await administrator.ask(
            pb.RunClearingRequest(region=asked.entity_id, until_time=Timestamp(seconds=until)),
            pb.RunClearingResponse,
        )
    return answer.clearing


async def _disputes(province: Province) -> list[pb.ClearingDispute]:
    async with acting_as(province.home, ADMINISTRATOR) as administrator:
        answer = await administrator.ask(
            pb.ListClearingDisputesRequest(), pb.ListClearingDisputesResponse
        )
    return list(answer.disputes)


def _told(clearing: pb.Clearing) -> tuple[str, str]:
    return "1 in dispute, others agreed", (
        f"{clearing.disputes} in dispute, {'others' if clearing.agreed_entries else 'none'} agreed"
    )


def _supported(dispute: pb.ClearingDispute) -> str:
    return pb.ClearingStand.Name(dispute.supported).removeprefix("CLEARING_STAND_")


def _amount(clearing: pb.Clearing) -> int:
    """Return what was agreed on, whichever of the two proposed."""
    return max(clearing.owed_micro_yuan, clearing.due_micro_yuan)
