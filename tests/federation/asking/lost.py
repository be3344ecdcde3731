"""Answers that are lost on their way, and what both ends have of them after."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select, update

from creditgate.clearing_entries import ClearingEntry
from creditgate.federated_query import region_request_id
from creditgate.v1 import disclosure_service_pb2 as pb
from creditgate.v1.disclosure_service_pb2_grpc import DisclosureServiceStub
from gateway.federation.asking import budget
from gateway.federation.clearing.ledger import RegionLedger
from gateway.meter.tables import USAGE
from gateway.storage.engines import reading
from tests.federation.asking.relay import Relay
from tests.federation.asking.world import World, ended
from tests.installation import OPERATOR_ID, PUBLISHER, content, eventually


@contextmanager
def given_up() -> Generator[None]:
    """Have no answer read on that is late, as where its asking gateway ended."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(budget, "OVERTIME_SECONDS", 0.0)
        yield


async def metered(world: World, request_id: str) -> bool:
    """Tell whether region "two" has metered its answer to a question."""
    there = region_request_id(OPERATOR_ID, request_id, world.two.entity_id)
    query = select(func.count()).where(USAGE.c.request_id == there)
    with reading(world.two.installation.engines.records) as connection:
        return bool(connection.execute(query).scalar_one())


async def lose(world: World, relay: Relay, subject: str, request_id: str, **more: Any) -> None:
    """Ask region "two" about a subject, as the question has it and ``more``, and cut the connection once it has metered its answer,
    of which nothing arrives."""
    relay.flowing.clear()
    try:
        deadline = Duration(nanos=700_000_000)
        with given_up():
            answer = await world.ask(
                subject, request_id=request_id, region_deadline=deadline, **more
            )
            assert ended(answer, world.two) in {"LATE", "UNREACHABLE"}
            await eventually(partial(metered, world, request_id))
        relay.cut()
    finally:
        relay.flowing.set()


def forget(world: World, request_id: str) -> None:
    """Have region "two" lose its metering of a question, as where its store is put back."""
    there = region_request_id(OPERATOR_ID, request_id, world.two.entity_id)
    with world.two.installation.engines.records.begin() as connection:
        lost = connection.execute(
            update(USAGE).where(USAGE.c.request_id == there).values(request_id=f"lost-{there}")
        )
        assert lost.rowcount


async def withdraw(world: World, name: str) -> None:
    """Withdraw a record of region "two"."""
    publisher = await world.channels.of(world.two.gateway, PUBLISHER)
    await DisclosureServiceStub(publisher).WithdrawRecord(
        pb.WithdrawRecordRequest(name=name, expected_revision=1, reason="published in error")
    )


async def correct(world: World, name: str) -> None:
    """Correct a record of region "two"."""
    publisher = await world.channels.of(world.two.gateway, PUBLISHER)
    await DisclosureServiceStub(publisher).CorrectRecord(
        pb.CorrectRecordRequest(
            name=name, expected_revision=1, content=content("corrected"), reason="an error"
        )
    )


def entries(world: World, request_id: str) -> list[set[ClearingEntry]]:
    """Return what both ends would clear of a question to region "two": the asking one's first."""
    there = region_request_id(OPERATOR_ID, request_id, world.two.entity_id)
    until = world.one.installation.clock.now() + 600
    ledgers = (
        (world.one, world.two, "region-two"),
        (world.two, world.one, "region-one"),
    )
    return [
        {
            entry
            for entry in RegionLedger(
                own.installation.engines.records, own.entity_id, lambda _, known=known: known
            ).entries(peer.entity_id, 0, until)
            if entry.request_id == there
        }
        for own, peer, known in ledgers
    ]
