"""Checkpoints of two sizes are joined by the log's own files, over HTTPS, or convict it."""

from pathlib import Path

from creditgate.transparency.note import checkpoint_body, open_checkpoint, signed
from gateway.federation.witness.joining import PATIENCE_SECONDS, Joiner
from gateway.federation.witness.logs import RegionLog, log_of
from gateway.transparency.keys import LogKey
from gateway.transparency.log import LogReader
from gateway.transparency.tables import LogId
from tests.installation import PUBLISHER, Installation, company, eventually
from tests.server.calls import draft, publish
from tests.stores import SqliteStores, engines_of
from tests.witness.histories import History
from tests.witness.world import World, log_at, region


async def test_what_another_witness_saw_is_held_against_the_files_of_the_log(
    embedded: Installation, sqlite_stores: SqliteStores, tmp_path: Path
) -> None:
    async with embedded.running() as gateway:
        issuer = gateway.running.issuer
        origin = issuer.removeprefix("https://") + "/log/disclosure"
        key = LogKey.kept_in(embedded.home.log_key("disclosure"), origin).named(origin)
        log = LogReader(embedded.engines.evidence, LogId.DISCLOSURE, key.verifier)

        async def grown(records: int) -> int:
            before = log.latest()
            size = 0 if before is None else before.size
            async with gateway.channel(PUBLISHER) as channel:
                await publish(
                    channel,
                    [draft(f"j-{size}-{n}", company(n)) for n in range(records)],
                )

            async def more() -> bool:
                latest = log.latest()
                return latest is not None and latest.size >= size + records + 1

            await eventually(more, 10)
            latest = log.latest()
            assert latest is not None
            return latest.size

        # Between what is cosigned here and what another witness saw the log was signed too.
        seen, held = await grown(4), await grown(5)
        await grown(3)
        with sqlite_stores.database() as store, engines_of(*store) as engines:
            history = History(log.entries(range(held)), key)
            world = World(engines, tmp_path / "keys", history)
            abroad = region("abroad", str(key.verifier))._replace(
                entity_id=issuer, issuer=issuer, roots=embedded.home.ca.read_bytes()
            )
            world.stands(abroad)
            assert log_of(abroad) == RegionLog(abroad, key.verifier)
            world.witness.show(log_at(issuer, key.verifier), history.shown(0, held), 0)
            joiner = Joiner(world.witness, world.clock)
            world.joining = joiner  # type: ignore[assignment]
            gossip = world.gossip()
            joiner.start(gossip)
            forged = History([*history.leaves[: seen - 1], b"another"], key)
            assert open_checkpoint(forged.note(seen), key.verifier).size == seen
            gossip.seen("https://peer.invalid", [history.note(seen)], 0)
            world.clock.at += PATIENCE_SECONDS

            async def joined() -> bool:
                return not joiner.waiting

            await eventually(joined, 10)
            assert not world.splits.distrusted()
            gossip.seen("https://peer.invalid", [forged.note(seen)], 0)
            world.clock.at += PATIENCE_SECONDS
            await eventually(joined, 10)
            assert world.splits.distrusted() == {str(key.verifier)}
            await joiner.stop()


async def test_a_log_that_cannot_be_read_is_tried_again(
    sqlite_stores: SqliteStores, tmp_path: Path
) -> None:
    history = History.of([str(n) for n in range(20)])
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        world = World(engines, tmp_path / "keys", history)
        world.witness.show(
            log_at("https://abroad.invalid", history.key.verifier), history.shown(0, 9), 0
        )
        joiner = Joiner(world.witness, world.clock)
        log = RegionLog(world.abroad._replace(issuer="https://127.0.0.1:1"), history.key.verifier)
        joiner.add(log, history.note(5), "https://peer.invalid")
        joiner.add(log, history.note(5), "https://peer.invalid")
        joiner.start(world.gossip())
        world.clock.at += PATIENCE_SECONDS

        async def tried() -> bool:
            return joiner.waiting == 1

        await eventually(tried, 5)
        await joiner.stop()
        assert not world.splits.distrusted()


def test_of_one_log_only_a_few_wait(sqlite_stores: SqliteStores, tmp_path: Path) -> None:
    history = History.of([str(n) for n in range(60)])
    with sqlite_stores.database() as store, engines_of(*store) as engines:
        world = World(engines, tmp_path / "keys", history)
        joiner = Joiner(world.witness, world.clock)
        for size in range(1, 60):
            note = signed(checkpoint_body(history.checkpoint(size)), history.key)
            joiner.add(RegionLog(world.abroad, history.key.verifier), note, "")
        assert joiner.waiting == 8
