"""Publishers and readers at once: sequences stay dense, batches whole."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from gateway.disclose.lookup import open_lookup
from gateway.disclose.tables import EVENTS
from tests.catalogue.drafts import credit_code, penalty
from tests.disclose.world import PUBLISHER, World, batch, counts, feed_of, soon

SUBJECT = credit_code(1)


async def test_concurrent_publishers_leave_no_gap_in_the_sequence(world: World) -> None:
    others = [World(world.engines, world.clock) for _ in range(3)]
    for other in others:
        await other.feed.refresh()

    async def load(publisher: World, number: int) -> None:
        batches = [
            batch(f"{number}-{k}", *(penalty(f"p-{number}-{k}-{i}") for i in range(20)))
            for k in range(5)
        ]
        await publisher.service.publish_records(feed_of(batches), PUBLISHER)

    await asyncio.gather(*(load(one, number) for number, one in enumerate([world, *others])))
    with world.engines.records.connect() as connection:
        sequences = list(connection.execute(select(EVENTS.c.sequence).order_by(EVENTS.c.sequence)))
    assert [row.sequence for row in sequences] == list(range(1, 401))
    for other in others:
        await other.stop()


async def test_same_batch_sent_twice_at_once_is_committed_once(world: World) -> None:
    other = World(world.engines, world.clock)
    await other.feed.refresh()
    twin = batch("b-1", *(penalty(f"p-{n}") for n in range(200)))
    answers = await asyncio.gather(world.publish(twin), other.publish(twin))
    assert sorted(map(counts, answers)) == [(0, 1, 0, 200, 0), (1, 0, 200, 0, 0)]
    assert world.store.head() == 200
    await other.stop()


async def test_reader_never_sees_part_of_a_batch(world: World) -> None:
    stop = False
    sizes: set[int] = set()

    def read() -> None:
        while not stop:
            found = asyncio.run(_read_once(world))
            sizes.add(len(found))

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read)
        for number in range(10):
            drafts = [penalty(f"p-{number}-{n}") for n in range(50)]
            await world.publish(batch(f"b-{number}", *drafts))
        stop = True
        reading.result()
    assert all(size % 50 == 0 for size in sizes)


async def _read_once(world: World) -> Sequence[object]:
    lookup = open_lookup(world.engines.records, soon)
    try:
        return (await lookup.of_subject(SUBJECT)).revisions
    finally:
        lookup.close()
