"""The follower: shows this region's new checkpoints to its peers, and keeps what they sign.

One process of the installation shows them, as soon as there is a new one, and every
`GOSSIP_SECONDS` in any case: then both sides compare what they saw of the others' logs.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Final

from sqlalchemy import Engine

from creditgate.transparency.cosignatures import cosignatures_in
from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import signatures_in
from creditgate.v1 import federation_service_pb2 as pb
from gateway.clock import Clock
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.witness.desk import WitnessDesk
from gateway.federation.witness.gossip import MOST_SEEN, MOST_SPLITS, Gossip
from gateway.federation.witness.logs import witness_of
from gateway.federation.witness.peers import PeerLost, Peers
from gateway.federation.witness.wire import evidence_in, shown_message
from gateway.federation.witness.witness import Shown
from gateway.storage.background import NotNow, Pace, Rounds
from gateway.storage.signs import Sign, any_of
from gateway.storage.turn import WITNESSING, open_turn
from gateway.transparency.cosigned import add_cosignatures
from gateway.transparency.log import LogReader, SignedCheckpoint

GOSSIP_SECONDS: Final = 30.0
"""Longest time between two exchanges with a peer that answers."""

_AT_ONCE: Final = 16
_FIRST_RETRY_SECONDS: Final = 0.5
_MOST_RETRY_SECONDS: Final = 5.0
_STANDBY_SECONDS: Final = 0.5
_PACE: Final = Pace(0.1, apart_seconds=0.2, share=0.3)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Peer:
    """How it stands with a peer: the size it cosigned last, the split views it was told of,
    when it is asked again at the latest (monotonic), and how often it failed since it
    answered."""

    cosigned: int = 0
    splits: tuple[int, ...] = ()
    due_at: float = float("-inf")
    failures: int = 0


class CheckpointFollower:
    """Shows ``own`` checkpoints; one event loop's own.

    ``evidence`` is the store cosignatures are kept in, ``sign`` shows news of it.
    """

    def __init__(
        self,
        evidence: Engine,
        own: LogReader,
        desk: WitnessDesk,
        gossip: Gossip,
        book: RegionBook,
        peers: Peers,
        clock: Clock,
        sign: Sign | None,
    ) -> None:
        self._evidence = evidence
        self._own = own
        self._desk = desk
        self._gossip = gossip
        self._book = book
        self._peers = peers
        self._clock = clock
        self._known: dict[str, _Peer] = {}
        self._turn = open_turn(evidence, WITNESSING)
        self._ask_at = float("-inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="witness-follower")
        self._rounds = Rounds("witness-follower", self._once, _PACE, sign=any_of(sign, self._due))

    def start(self) -> None:
        """Begin to show checkpoints."""
        self._rounds.start()

    async def stop(self) -> None:
        """Leave the turn to others."""
        await self._rounds.stop()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._turn.give_up)
        self._thread.shutdown(wait=False)

    def nudge(self) -> None:
        """Tell that a checkpoint is waited for, or a split view was found; on the event loop."""
        self._rounds.nudge()

    def _due(self) -> object:
        """Return what changes when a peer is due, or others stand than before."""
        now = monotonic()
        standing = tuple(region.entity_id for region in self._book.regions())
        return standing, sum(now >= peer.due_at for peer in self._known.values())

    async def _once(self) -> bool:
        if monotonic() < self._ask_at:
            raise NotNow
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._thread, self._turn.taken):
            self._ask_at = monotonic() + _STANDBY_SECONDS
            raise NotNow
        latest = await loop.run_in_executor(self._thread, self._own.latest)
        if latest is None:
            return False
        splits = await loop.run_in_executor(self._thread, self._desk.open_splits)
        regions = self._book.regions()
        self._known = {
            region.entity_id: self._known.get(region.entity_id, _Peer()) for region in regions
        }
        now = monotonic()
        due = [
            region
            for region in regions
            if self._is_due(self._known[region.entity_id], latest, splits, now)
        ]
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def shown(region: Region) -> None:
            async with at_once:
                await self._show(region, latest, splits)

        await asyncio.gather(*(shown(region) for region in due))
        return False

    def _is_due(
        self, peer: _Peer, latest: SignedCheckpoint, splits: tuple[int, ...], now: float
    ) -> bool:
        news = (peer.cosigned, peer.splits) != (latest.size, splits)
        return now >= peer.due_at or (news and not peer.failures)

    async def _show(
        self, region: Region, latest: SignedCheckpoint, splits: tuple[int, ...]
    ) -> None:
        peer = self._known[region.entity_id]
        try:
            answer = await self._asked(region, latest, peer.cosigned)
            size = await self._taken(region, latest, answer)
            if size is not None:
                # It cosigned another one last: shown again from there.
                answer = await self._asked(region, latest, size)
                await self._taken(region, latest, answer)
        except PeerLost as lost:
            if not peer.failures:
                _log.warning("%s was not shown a checkpoint: %s", region.entity_id, lost)
            wait = min(_FIRST_RETRY_SECONDS * 2**peer.failures, _MOST_RETRY_SECONDS)
            peer.failures = min(peer.failures + 1, 16)
            peer.due_at = monotonic() + wait
            return
        peer.failures, peer.splits = 0, splits
        peer.due_at = monotonic() + GOSSIP_SECONDS

    async def _asked(
        self, region: Region, latest: SignedCheckpoint, old_size: int
    ) -> pb.ExchangeCheckpointsResponse:
        request = await asyncio.to_thread(self._request, region, latest, old_size)
        return await self._peers.exchange(region, request)

    def _request(
        self, region: Region, latest: SignedCheckpoint, old_size: int
    ) -> pb.ExchangeCheckpointsRequest:
        proof = self._own.consistency(old_size, latest.size) if old_size else []
        told = self._desk.told(region.entity_id)
        return pb.ExchangeCheckpointsRequest(
            checkpoints=[shown_message(Shown(latest.note, old_size, proof))],
            seen_checkpoints=told.seen,
            split_views=told.splits,
        )

    async def _taken(
        self, region: Region, latest: SignedCheckpoint, answer: pb.ExchangeCheckpointsResponse
    ) -> int | None:
        """Keep what a peer says; return the size to show the checkpoint from, None where it need
        not be shown again. Raises PeerLost."""
        return await asyncio.to_thread(self._keep, region, latest, answer)

    def _keep(
        self, region: Region, latest: SignedCheckpoint, answer: pb.ExchangeCheckpointsResponse
    ) -> int | None:
        now = self._clock.now()
        self._gossip.accuse(region.entity_id, evidence_in(answer.split_views[:MOST_SPLITS]), now)
        self._gossip.seen(
            region.entity_id,
            [
                *(each.checkpoint for each in answer.checkpoints[:1]),
                *answer.seen_checkpoints[:MOST_SEEN],
            ],
            now,
        )
        if len(answer.witnessed) != 1:
            raise PeerLost("it did not answer to what it was shown")
        said, peer = answer.witnessed[0], self._known[region.entity_id]
        if said.outcome == pb.WITNESS_OUTCOME_COSIGNED:
            self._keep_cosignature(region, latest, said.cosignature)
            peer.cosigned = latest.size
        elif said.outcome == pb.WITNESS_OUTCOME_STALE:
            if said.cosigned_tree_size > latest.size:
                raise PeerLost("it cosigned a greater tree than this log has")
            if said.cosigned_tree_size == peer.cosigned:
                raise PeerLost("it does not take the size it told of")
            peer.cosigned = said.cosigned_tree_size
            return said.cosigned_tree_size
        elif said.outcome == pb.WITNESS_OUTCOME_CONTRADICTS:
            self._gossip.accuse(region.entity_id, evidence_in([said.split_view]), now)
            raise PeerLost("it holds a checkpoint that contradicts this log")
        else:
            peer.cosigned = said.cosigned_tree_size
            raise PeerLost("it does not take this log's checkpoint")
        return None

    def _keep_cosignature(self, region: Region, latest: SignedCheckpoint, lines: str) -> None:
        """Keep the line of the region's witness; others it may have sent are left out."""
        key = witness_of(region)
        if key is None:
            raise PeerLost("it states no key of a witness")
        try:
            if key not in cosignatures_in(latest.note + lines, [key]):
                raise PeerLost("what it cosigned with is not its witness's key")
            own = [
                each.line
                for each in signatures_in(lines)
                if (each.name, each.key_id) == (key.name, key.key_id)
            ]
        except ProofInvalid as invalid:
            raise PeerLost(f"its cosignature is none: {invalid}") from None
        add_cosignatures(self._evidence, self._own.log, latest.size, own)
