"""New checkpoints are shown to every peer, and only what its witness signed is kept."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from creditgate.transparency.cosignatures import cosignature_line, cosignatures_in
from creditgate.transparency.note import taken_apart
from creditgate.v1 import federation_service_pb2 as pb
from gateway.federation.trust.anew import as_before
from gateway.federation.trust.book import Region
from gateway.federation.witness.desk import WitnessDesk
from gateway.federation.witness.follower import CheckpointFollower
from gateway.federation.witness.peers import PeerLost
from gateway.shares import Shares
from gateway.storage.engines import Engines
from sdk.histories import SplitView
from tests.examples import always_on_postgresql, rarely_on_postgresql
from tests.installation import eventually
from tests.transparency.test_cosignatures import Cosigner
from tests.witness.histories import History, forked
from tests.witness.world import World, region

pytestmark = rarely_on_postgresql

Answer = Callable[[pb.CheckpointShown], pb.CheckpointWitnessed]


@dataclass
class Peer:
    """A region at the other end, that answers as the test says."""

    cosigner: Cosigner = field(default_factory=lambda: Cosigner("peer.invalid/witness"))
    asked: list[pb.ExchangeCheckpointsRequest] = field(
        default_factory=list[pb.ExchangeCheckpointsRequest]
    )
    answer: Answer | None = None
    extra: pb.ExchangeCheckpointsResponse = field(default_factory=pb.ExchangeCheckpointsResponse)

    async def exchange(
        self, region: Region, request: pb.ExchangeCheckpointsRequest
    ) -> pb.ExchangeCheckpointsResponse:
        """Answer as it is told to."""
        del region
        self.asked.append(request)
        if self.answer is None:
            raise PeerLost("it is away")
        answer = pb.ExchangeCheckpointsResponse(
            witnessed=[self.answer(each) for each in request.checkpoints]
        )
        answer.MergeFrom(self.extra)
        return answer

    def cosigns(self, shown: pb.CheckpointShown) -> pb.CheckpointWitnessed:
        """Cosign whatever is shown."""
        text, _ = taken_apart(shown.checkpoint)
        return pb.CheckpointWitnessed(
            outcome=pb.WITNESS_OUTCOME_COSIGNED,
            cosignature=cosignature_line(text, self.cosigner, 1_000),
            cosigned_tree_size=int(text.split("\n")[1]),
        )


class Showing:
    """A region that shows its log to one peer."""

    def __init__(self, world: World, peer: Peer) -> None:
        self.world = world
        self.peer = peer
        self.other = region("peer", witness=str(peer.cosigner.verifier))
        world.stands(world.abroad, self.other)
        world.book.standing = [self.other]

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[CheckpointFollower]:
        """Follow while the context lasts."""
        world, shares = self.world, Shares("test")
        gossip = world.gossip()
        desk = WitnessDesk(
            world.witness,
            world.splits,
            gossip,
            world.book,
            world.own,
            shares,
            world.clock,
            as_before,
        )
        follower = CheckpointFollower(
            world.engines.evidence,
            world.own,
            desk,
            gossip,
            world.book,
            self.peer,
            world.clock,
            None,
        )
        follower.start()
        try:
            yield follower
        finally:
            await follower.stop()
            shares.close()

    def grow(self, *entries: bytes) -> None:
        """Let the log grow and sign it."""
        with self.world.engines.evidence.begin() as connection:
            self.world.own.append(connection, entries)
            self.world.own.sign(connection, 0)

    def cosigned(self) -> bool:
        """Tell whether the newest checkpoint has the peer's cosignature."""
        latest = self.world.own.latest()
        key = self.peer.cosigner.verifier
        return latest is not None and key in cosignatures_in(latest.cosigned, [key])


@pytest.fixture
def showing(engines: Engines, tmp_path: Path) -> Showing:
    """A region with a log of one checkpoint, and its peer."""
    made = Showing(World(engines, tmp_path / "keys", History.of(["a"])), Peer())
    made.grow(b"a", b"b", b"c")
    return made


@always_on_postgresql
async def test_each_new_checkpoint_is_shown_with_its_proof_and_cosigned(showing: Showing) -> None:
    showing.peer.answer = showing.peer.cosigns

    async def cosigned() -> bool:
        return showing.cosigned()

    async with showing.following():
        await eventually(cosigned, 5)
        showing.grow(b"d", b"e")
        await eventually(cosigned, 5)
    shown = [each.checkpoints[0].old_tree_size for each in showing.peer.asked]
    assert shown[:2] == [0, 3]
    proof = list(showing.peer.asked[1].checkpoints[0].consistency_proof)
    assert proof == showing.world.own.consistency(3, 5)


async def test_a_peer_that_cosigned_another_state_is_shown_the_proof_from_there(
    showing: Showing,
) -> None:
    showing.grow(b"d", b"e")
    peer = showing.peer

    def stale(shown: pb.CheckpointShown) -> pb.CheckpointWitnessed:
        if shown.old_tree_size != 3:
            return pb.CheckpointWitnessed(outcome=pb.WITNESS_OUTCOME_STALE, cosigned_tree_size=3)
        return peer.cosigns(shown)

    peer.answer = stale

    async def cosigned() -> bool:
        return showing.cosigned()

    async with showing.following():
        await eventually(cosigned, 5)
    assert [each.checkpoints[0].old_tree_size for each in peer.asked] == [0, 3]


async def test_a_cosignature_of_another_key_than_the_peers_is_not_kept(showing: Showing) -> None:
    impostor = Peer(Cosigner("peer.invalid/witness"))
    showing.peer.answer = impostor.cosigns

    async def asked() -> bool:
        return len(showing.peer.asked) >= 2

    async with showing.following():
        # It is asked again, since what it said is worth nothing.
        await eventually(asked, 5)
    latest = showing.world.own.latest()
    assert latest is not None
    assert not latest.cosignatures


async def test_a_peer_that_was_away_is_asked_again(showing: Showing) -> None:
    async def asked() -> bool:
        return len(showing.peer.asked) >= 2

    async def cosigned() -> bool:
        return showing.cosigned()

    async with showing.following():
        await eventually(asked, 5)
        showing.peer.answer = showing.peer.cosigns
        await eventually(cosigned, 10)


@always_on_postgresql
async def test_evidence_that_a_peer_tells_of_is_taken_and_passed_on(showing: Showing) -> None:
    one, other = forked([str(n) for n in range(20)], 5)
    abroad = region("abroad", str(one.key.verifier))
    showing.world.book.standing = [abroad, showing.other]
    split = SplitView(one.note(9), other.note(9), other.checkpoint(9).root, ())
    peer = showing.peer
    peer.answer = peer.cosigns
    peer.extra.split_views.add(
        first=split.first, second=split.second, root=split.root, proof=split.proof
    )

    async def passed_on() -> bool:
        return any(each.split_views for each in peer.asked)

    async with showing.following():
        await eventually(passed_on, 5)
    assert showing.world.splits.distrusted() == {str(one.key.verifier)}


@always_on_postgresql
async def test_only_one_process_shows_at_a_time(showing: Showing) -> None:
    showing.peer.answer = showing.peer.cosigns
    async with showing.following(), showing.following():
        await asyncio.sleep(1)
    assert len(showing.peer.asked) == 1
