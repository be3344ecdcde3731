"""A witness ended by SIGKILL while it is shown two histories: it cosigns one of them."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from creditgate.transparency.cosignatures import CosignerKey, cosignatures_in
from creditgate.v1 import federation_service_pb2 as pb
from creditgate.v1.federation_service_pb2_grpc import FederationServiceStub
from gateway.federation.witness.calling import SCOPE
from gateway.federation.witness.wire import shown_message
from gateway.oauth.connection import bound_socket
from gateway.transparency.keys import LogKey
from gateway.transparency.log import LogReader
from gateway.transparency.tables import LogId
from tests.examples import rarely_on_postgresql
from tests.federating import (
    Anchor,
    RegionGateway,
    admitted,
    running_anchor_at,
    running_region,
)
from tests.installation import Installation, eventually
from tests.stores import PostgresStores, SqliteStores
from tests.witness.histories import History, forked

PARTED = 12
TEXTS = [f"entry {number}" for number in range(400)]


class Liar:
    """A region whose log shows one history or the other, as chance has it."""

    def __init__(self, one: RegionGateway, chance: random.Random) -> None:
        self._one = one
        self._chance = chance
        origin = one.entity_id.removeprefix("https://") + "/log/disclosure"
        home = one.installation.home
        self.key = LogKey.kept_in(home.log_key("disclosure"), origin).named(origin)
        log = LogReader(one.installation.engines.evidence, LogId.DISCLOSURE, self.key.verifier)
        latest = log.latest()
        begun = [] if latest is None else log.entries(range(latest.size))
        histories = forked(TEXTS, PARTED, self.key)
        self.histories = [History([*begun, *each.leaves], self.key) for each in histories]
        self.parted = len(begun) + PARTED
        self.cosigned: list[tuple[int, int]] = []
        self._last = len(begun)

    async def lie(self, home: RegionGateway, witness: CosignerKey) -> None:
        """Show growing histories until cut off."""
        token = await self._one.token_at(home, SCOPE)
        async with self._one.channel_to(home) as channel:
            stub = FederationServiceStub(channel)
            while True:
                which = self._chance.randrange(2)
                size = min(self._last + self._chance.randrange(1, 4), self.parted + 300)
                history = self.histories[which]
                shown = history.shown(self._last, size)
                request = pb.ExchangeCheckpointsRequest(checkpoints=[shown_message(shown)])
                try:
                    answer = await stub.ExchangeCheckpoints(
                        request, metadata=(("authorization", f"Bearer {token}"),), timeout=5
                    )
                except grpc.aio.AioRpcError:
                    return
                (said,) = answer.witnessed
                if said.outcome == pb.WITNESS_OUTCOME_COSIGNED:
                    note = history.note(size) + said.cosignature
                    assert cosignatures_in(note, [witness])
                    self.cosigned.append((which, size))
                if said.cosigned_tree_size:
                    self._last = said.cosigned_tree_size


@rarely_on_postgresql
@pytest.mark.parametrize(
    "kills",
    [pytest.param(1, id="1 kill"), pytest.param(25, id="25 kills", marks=pytest.mark.soak)],
)
async def test_a_killed_witness_has_cosigned_one_history_alone(
    stores: SqliteStores | PostgresStores, tmp_path: Path, kills: int
) -> None:
    chance = random.Random(20261128)
    with stores.database() as (database, home):
        async with AsyncExitStack() as stack:
            anchor: Anchor = await stack.enter_async_context(running_anchor_at(tmp_path / "anchor"))
            abroad = Installation("sqlite", tmp_path / "one", settings=anchor.settings())
            own = Installation(database, home, settings=anchor.settings())
            for each in (abroad, own):
                stack.callback(each.close)
                each.furnish()
            with bound_socket("127.0.0.1", 0) as one, bound_socket("127.0.0.1", 0) as two:
                ports = one.getsockname()[1], two.getsockname()[1]
            # Its own gateway stands by while a liar has its keys.
            region = await stack.enter_async_context(running_region(abroad, anchor, ("000001",)))
            liar: Liar | None = None
            for kill in range(kills + 1):
                async with AsyncExitStack() as life:
                    process = await life.enter_async_context(
                        own.process(https_port=ports[0], grpc_port=ports[1])
                    )
                    witness = RegionGateway(process.gateway)
                    if liar is None:
                        anchor.enrol(await witness.configuration(), ("000002",))
                        admitted(own, region.entity_id, "region-one")
                    await eventually(lambda: region.may_ask(witness), 15)  # noqa: B023
                    async with witness.http() as http:
                        key = CosignerKey.parse((await http.get("/witness/key")).text)
                    liar = liar or Liar(region, chance)
                    lying = asyncio.create_task(liar.lie(witness, key))
                    before = len(liar.cosigned)

                    async def some_more(before: int = before, liar: Liar = liar) -> bool:
                        return len(liar.cosigned) >= before + 5

                    await eventually(some_more, 20)
                    await asyncio.sleep(chance.uniform(0, 0.1))
                    if kill < kills:
                        process.process.kill()
                        await process.process.wait()
                    else:
                        lying.cancel()
                    await asyncio.gather(lying, return_exceptions=True)
            assert liar is not None
            after = {which for which, size in liar.cosigned if size > liar.parted}
            assert max(size for _, size in liar.cosigned) > liar.parted, "it never came so far"
            assert len(after) == 1
