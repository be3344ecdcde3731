"""The writer of the log ended by SIGKILL, and two of them at once, in real processes."""

import asyncio
import random
from itertools import pairwise

import grpc
import httpx
import pytest
from sqlalchemy import select

from creditgate.transparency.merkle import (
    leaf_hash,
    root_of,
    verify_consistency,
)
from creditgate.transparency.note import Checkpoint
from creditgate.v1.disclosure_proof_pb2 import DisclosureLogEntry
from gateway.disclose.tables import EVENTS
from gateway.transparency.log import MerkleLog
from gateway.transparency.tables import CHECKPOINTS, LogId
from tests.examples import rarely_on_postgresql
from tests.installation import PUBLISHER, GatewayProcess, Installation, company, eventually
from tests.server.calls import draft, publish
from tests.transparency.keys import kept_key
from tests.transparency.monitor import checkpoint_of, files_of, logged


class Seen:
    """What was acknowledged by a gateway, whichever process of it answered."""

    def __init__(self) -> None:
        self.checkpoints: dict[int, Checkpoint] = {}
        self.published = 0
        self.enough = False

    async def publish(self, running: GatewayProcess) -> None:
        """Publish until cut off, or until there is enough: no call is left then."""
        async with running.gateway.channel(PUBLISHER) as channel:
            while not self.enough:
                number = random.randrange(2**60)
                try:
                    await publish(channel, [draft(f"r-{number}-{n}", company(n)) for n in range(7)])
                except grpc.aio.AioRpcError:
                    return
                self.published += 7

    async def watch(self, running: GatewayProcess) -> None:
        """Read checkpoints until cut off: of one size there is one."""
        async with files_of(running.gateway) as files:
            while True:
                try:
                    checkpoint = await checkpoint_of(files)
                except (httpx.HTTPError, ValueError):
                    return
                assert self.checkpoints.setdefault(checkpoint.size, checkpoint) == checkpoint
                await asyncio.sleep(0.02)


def check(installation: Installation, seen: Seen) -> None:
    """See that the log has every event once, and all that was seen of it."""
    key = kept_key(installation.home.log_key("disclosure"), seen.checkpoints)
    log = MerkleLog(installation.engines.evidence, LogId.DISCLOSURE, key)
    last = log.latest()
    assert last is not None
    with installation.engines.evidence.connect() as connection:
        kept = {
            row.size: bytes(row.root)
            for row in connection.execute(
                select(CHECKPOINTS.c.size, CHECKPOINTS.c.root).where(
                    CHECKPOINTS.c.log == LogId.DISCLOSURE
                )
            )
        }
    with installation.engines.records.connect() as connection:
        events = connection.execute(select(EVENTS.c.sequence)).scalars().all()
    assert len(events) >= seen.published
    found = log.entries(range(last.size))
    assert root_of([leaf_hash(entry) for entry in found]) == last.root
    decoded = [DisclosureLogEntry.FromString(entry) for entry in found]
    assert [entry.event.event_sequence for entry in decoded if entry.HasField("event")] == sorted(
        events
    )
    assert {size: checkpoint.root for size, checkpoint in seen.checkpoints.items()}.items() <= (
        kept.items()
    )
    for former, latter in pairwise(sorted(kept)):
        # Each checkpoint's last entry is the head of the map as of it.
        assert decoded[latter - 1].HasField("map_head")
        proof = log.consistency(former, latter)
        verify_consistency(former, latter, kept[former], kept[latter], proof)


@rarely_on_postgresql
@pytest.mark.parametrize(
    "kills",
    [pytest.param(2, id="2 kills"), pytest.param(40, id="40 kills", marks=pytest.mark.soak)],
)
async def test_a_killed_writer_loses_nothing_and_signs_no_second_history(
    installation: Installation, kills: int
) -> None:
    chance, seen = random.Random(20261128), Seen()
    for _ in range(kills):
        async with installation.process() as running:
            working = [asyncio.create_task(seen.publish(running)) for _ in range(2)]
            working.append(asyncio.create_task(seen.watch(running)))
            before = len(seen.checkpoints)

            async def some_more(before: int = before) -> bool:
                return len(seen.checkpoints) >= before + 3

            await eventually(some_more, 20)
            await asyncio.sleep(chance.uniform(0, 0.3))
            running.process.kill()
            await running.process.wait()
            await asyncio.gather(*working)
    async with installation.process() as running, files_of(running.gateway) as files:
        with installation.engines.records.connect() as connection:
            events = len(connection.execute(select(EVENTS.c.sequence)).all())
        checkpoint = await logged(files, events)
        seen.checkpoints.setdefault(checkpoint.size, checkpoint)
    check(installation, seen)
    assert seen.published > 0


async def test_of_two_processes_one_writes_and_the_other_takes_over(
    installation: Installation,
) -> None:
    seen = Seen()
    async with installation.process() as first, installation.process() as second:
        watching = [asyncio.create_task(seen.watch(each)) for each in (first, second)]
        publishing = asyncio.create_task(seen.publish(second))

        async def some() -> bool:
            return len(seen.checkpoints) >= 4

        await eventually(some, 20)
        # Whichever of them it is: the other one goes on.
        first.process.kill()
        await first.process.wait()
        before = max(seen.checkpoints)

        async def more() -> bool:
            return max(seen.checkpoints) > before

        await eventually(more, 20)
        # Cut off, its last call might be answered after what follows has counted the events.
        seen.enough = True
        await publishing
        for task in watching[1:]:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        async with files_of(second.gateway) as files:
            with installation.engines.records.connect() as connection:
                events = len(connection.execute(select(EVENTS.c.sequence)).all())
            checkpoint = await logged(files, events)
            seen.checkpoints.setdefault(checkpoint.size, checkpoint)
    assert not [task for task in watching if not task.cancelled() and task.exception()]
    check(installation, seen)
