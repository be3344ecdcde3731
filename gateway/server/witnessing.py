"""Witnessing, composed: the witness, who shows this region's checkpoints, and what is believed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.routing import Route

from gateway.clock import Clock
from gateway.federation.trust.anew import Anew
from gateway.federation.trust.book import RegionBook
from gateway.federation.witness.administration import WitnessService
from gateway.federation.witness.belief import Belief
from gateway.federation.witness.desk import WitnessDesk
from gateway.federation.witness.follower import CheckpointFollower
from gateway.federation.witness.gossip import Gossip
from gateway.federation.witness.joining import Joiner
from gateway.federation.witness.keys import WitnessKey
from gateway.federation.witness.peers import Peers
from gateway.federation.witness.quorum import HomeQuorum
from gateway.federation.witness.routes import witness_routes
from gateway.federation.witness.splits import Accused, SplitViews
from gateway.federation.witness.witness import Witness
from gateway.shares import Shares
from gateway.storage.engines import Engines
from gateway.storage.signs import StoreSigns
from gateway.transparency.log import LogReader
from operators.regions import region_client_id


@dataclass(frozen=True, slots=True)
class Witnessing:
    """What the other parts of a process need of it.

    ``belief`` says which checkpoints of others are believed, ``quorum`` gives this region's
    own as others believe them; ``services`` serve methods, by the service's name; ``routes``
    are of the HTTP application.
    """

    belief: Belief
    quorum: HomeQuorum
    services: Mapping[str, Sequence[object]]
    routes: Sequence[Route]


@asynccontextmanager
async def witnessing(
    engines: Engines,
    signs: StoreSigns,
    own: LogReader,
    key: WitnessKey,
    book: RegionBook,
    peers: Peers,
    clock: Clock,
    issuer: str,
    wanted: int | None,
    anew: Anew,
) -> AsyncGenerator[Witnessing]:
    """Witness while the context lasts. ``own`` is this region's disclosure log, ``issuer`` its
    entity identifier, ``wanted`` the quorum that is set, ``anew`` looks at the chain of a region.

    Raises WitnessForgot where the store lacks what the witness has cosigned, and what the
    stores raise when they cannot be read.
    """
    witness = Witness(engines.evidence, key)
    await asyncio.to_thread(witness.require_memory)
    splits = SplitViews(engines.evidence)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        joiner = Joiner(witness, clock)

        def found() -> None:
            loop.call_soon_threadsafe(told)

        gossip = Gossip(
            witness,
            splits,
            book,
            own,
            Accused(issuer, region_client_id(issuer)),
            joiner,
            found,
        )
        belief = Belief(splits, gossip, book, key.verifier, wanted, clock)
        shares = Shares("witness")
        stack.callback(shares.close)
        desk = WitnessDesk(witness, splits, gossip, book, own, shares, clock, anew)
        follower = CheckpointFollower(
            engines.evidence, own, desk, gossip, book, peers, clock, signs.evidence
        )

        def told() -> None:
            belief.nudge()
            follower.nudge()

        await belief.start()
        stack.push_async_callback(belief.stop)
        joiner.start(gossip)
        stack.push_async_callback(joiner.stop)
        follower.start()
        stack.push_async_callback(follower.stop)
        quorum = HomeQuorum(own, book, wanted, follower.nudge)
        yield Witnessing(
            belief,
            quorum,
            {
                "FederationService": [desk],
                "WitnessService": [
                    WitnessService(witness, splits, own, quorum, clock, belief.nudge)
                ],
            },
            witness_routes(desk, witness, book, shares, urlsplit(issuer).path.rstrip("/")),
        )
