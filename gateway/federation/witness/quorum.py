"""The quorum at home: answers to peers carry a checkpoint that enough witnesses have cosigned."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from creditgate.refusal import Refused
from creditgate.transparency.cosignatures import CosignerKey
from creditgate.transparency.merkle import ProofInvalid
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.federation.trust.book import RegionBook
from gateway.federation.witness.cosigners import Cosigners, cosigners, signed_by
from gateway.federation.witness.logs import witness_of
from gateway.federation.witness.rules import quorum_of
from gateway.transparency.log import LogReader, SignedCheckpoint

PATIENCE_SECONDS: Final = 1.0
"""How long an answer to a peer waits for a quorum, unless said otherwise."""

_LOOK_SECONDS: Final = 0.03


class CosignedState(NamedTuple):
    """A signed note with a quorum of cosignatures, and the consistency proof that leads on from
    it to the checkpoint asked for; none where it is of that itself."""

    note: str
    consistency_proof: list[bytes]


class CosignedCheckpoints(Protocol):
    """Gives this region's checkpoints as peers believe them."""

    async def cosigned(
        self, size: int, require: Callable[[], None], seconds: float = PATIENCE_SECONDS
    ) -> CosignedState:
        """Return what makes the checkpoint of ``size`` believed: its own cosignatures, where a
        quorum gives them within ``seconds``, else those of the newest state before.

        ``require`` raises once whoever it is for may have it no more: it is asked over and over,
        and last thing. Raises what it raises, and Refused TEMPORARILY_UNAVAILABLE where there
        are none.
        """
        ...


class HomeQuorum:
    """Waits for cosignatures of ``own`` checkpoints; one event loop's own.

    ``wanted`` is the quorum set, None for more than half of the regions that stand; ``hurry``
    is called on the event loop where one is waited for.
    """

    def __init__(
        self, own: LogReader, book: RegionBook, wanted: int | None, hurry: Callable[[], None]
    ) -> None:
        self._own = own
        self._book = book
        self._wanted = wanted
        self._hurry = hurry
        self._last: tuple[str, frozenset[tuple[CosignerKey, ...]]] | None = None

    @property
    def quorum(self) -> int:
        """How many cosignatures make a checkpoint believed, as it stands now."""
        return quorum_of(len(self._witnesses()), self._wanted)

    def cosigned_by(self, checkpoint: SignedCheckpoint) -> list[str]:
        """Return the regions that stand and have cosigned a checkpoint, by entity id."""
        found = _signed_by(checkpoint, self._witnesses())
        return [
            region.entity_id
            for region in self._book.regions()
            if (key := witness_of(region)) is not None and key.public in found
        ]

    async def cosigned(
        self, size: int, require: Callable[[], None], seconds: float = PATIENCE_SECONDS
    ) -> CosignedState:
        """Return what makes a checkpoint believed; see `CosignedCheckpoints`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            checkpoint = await asyncio.to_thread(self._own.checkpoint_of, size)
            # A region that is cut off meanwhile is told so: its cosignature may be what lacks.
            require()
            if checkpoint is None:
                raise too_few()
            if self._has_quorum(checkpoint):
                return CosignedState(checkpoint.cosigned, [])
            if loop.time() >= until:
                before = await asyncio.to_thread(self._before, size)
                require()
                return before
            self._hurry()
            await asyncio.sleep(_LOOK_SECONDS)

    def _before(self, size: int) -> CosignedState:
        for checkpoint in self._own.cosigned_up_to(size):
            if self._has_quorum(checkpoint):
                return CosignedState(
                    checkpoint.cosigned, self._own.consistency(checkpoint.size, size)
                )
        raise too_few()

    def _has_quorum(self, checkpoint: SignedCheckpoint) -> bool:
        witnesses = self._witnesses()
        known = (checkpoint.cosigned, frozenset(witnesses.values()))
        if self._last != known:
            if len(_signed_by(checkpoint, witnesses)) < quorum_of(len(witnesses), self._wanted):
                return False
            # Verified once for all that is answered by it.
            self._last = known
        return True

    def _witnesses(self) -> Cosigners:
        return cosigners(map(witness_of, self._book.regions()))


def _signed_by(checkpoint: SignedCheckpoint, witnesses: Cosigners) -> Mapping[bytes, int]:
    try:
        return signed_by(checkpoint.cosigned, witnesses)
    except ProofInvalid:
        return {}


def too_few() -> Refused:
    """Return the refusal of what too few witnesses have cosigned."""
    return Refused(
        RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
        "Too few witnesses have cosigned what the answer is proved by; try again.",
        retry_after=1,
        metadata={"why": "quorum"},
    )
