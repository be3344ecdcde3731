"""A question to other regions is decided, kept and charged on PostgreSQL as on SQLite."""

from pathlib import Path

from gateway.selfcheck.region_uses import check_region_uses
from tests.federation.asking.relay import relaying
from tests.federation.asking.world import closing, company, ended, names, open_relayed, question
from tests.installation import PRICE
from tests.stores import PostgresStores


async def test_the_asking_region_may_keep_what_it_has_in_postgresql(
    postgres_stores: PostgresStores, tmp_path: Path
) -> None:
    with postgres_stores.database() as (database, _):
        async with relaying() as relay, open_relayed(tmp_path, relay, database) as world:
            subject = company("two")
            kept = await world.publish(world.two, subject, 2)
            asked = question([subject])
            first = await world.ask(subject, request_id=asked.request_id)
            assert names(first, world.two) == kept
            assert ended(first, world.three) == "EMPTY"
            assert closing(first, world.two).charged_micro_yuan == 2 * PRICE
            again = await world.ask(subject, request_id=asked.request_id)
            assert names(again, world.two) == kept
            assert closing(again, world.two).charged_micro_yuan == 0
            assert check_region_uses(world.one.installation.engines) == []
