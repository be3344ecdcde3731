"""Belief: whether what a region's answer is proved by is taken for its one history.

A checkpoint is believed where a quorum of the other regions' witnesses has cosigned it, and no
split view of that log stands. A quorum is more than half of the witnesses there are unless the
installation sets another number: two histories then need a witness that cosigns both. A log
grows all the time, and an answer is proved by its newest state: that is believed too where a
consistency proof leads to it from a state cosigned within `MOST_BEHIND_SECONDS`; it is kept in
mind, and compared with what witnesses cosign next.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from time import monotonic
from typing import Final, NamedTuple

from creditgate.refusal import Refused
from creditgate.transparency.cosignatures import CosignerKey, TooFewWitnesses
from creditgate.transparency.merkle import ProofInvalid, verify_consistency
from creditgate.transparency.note import Checkpoint
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.clock import Clock
from gateway.federation.trust.book import Region, RegionBook
from gateway.federation.witness.cosigners import Cosigners, cosigners_of, require_cosigned
from gateway.federation.witness.gossip import Gossip
from gateway.federation.witness.logs import RegionLog, log_of
from gateway.federation.witness.quorum import too_few
from gateway.federation.witness.rules import quorum_of
from gateway.federation.witness.splits import SplitViews
from gateway.storage.background import Pace, Rounds

LEASE_SECONDS: Final = 1.0
"""How old what is known of split views may be."""
MOST_BEHIND_SECONDS: Final = 60
"""How old the cosignatures of an earlier state may be that an answer's own is led to from."""

_PACE: Final = Pace(0.2)
_MOST_BELIEVED: Final = 1_024


class Belief:
    """Tells which checkpoints are believed; one event loop's own.

    ``own`` is this region's own witness, whose cosignature counts as others' do; ``wanted``
    the quorum that is set, None for more than half.
    """

    def __init__(
        self,
        splits: SplitViews,
        gossip: Gossip,
        book: RegionBook,
        own: CosignerKey,
        wanted: int | None,
        clock: Clock,
    ) -> None:
        self._splits = splits
        self._gossip = gossip
        self._book = book
        self._own = own
        self._wanted = wanted
        self._clock = clock
        self._distrusted: frozenset[str] = frozenset()
        self._known_at = float("-inf")
        self._believed: OrderedDict[bytes, None] = OrderedDict()
        self._rounds = Rounds("split-views", self._look, _PACE)

    async def start(self) -> None:
        """Read which logs are distrusted, and keep following."""
        await self._look()
        self._rounds.start()

    async def stop(self) -> None:
        """Follow no more."""
        await self._rounds.stop()

    def nudge(self) -> None:
        """Tell that there is a new split view, or one was cleared; on the event loop."""
        self._rounds.nudge()

    def require_trusted(self, region: Region) -> None:
        """Check that nothing stands against a region's log.

        Raises Refused REGION_NOT_TRUSTED, TEMPORARILY_UNAVAILABLE where it cannot be known.
        """
        self._trusted_log(region)

    async def require_believed(
        self,
        region: Region,
        proved: Checkpoint,
        cosigned: str,
        consistency_proof: Sequence[bytes],
        note: str = "",
    ) -> None:
        """Check that enough witnesses stand behind the checkpoint an answer is proved by.

        ``cosigned`` is a note of the region's log with their cosignatures, of ``proved`` itself
        or of an earlier state that ``consistency_proof`` leads on from; ``note`` is the signed
        note of ``proved`` where that is another. Raises ProofInvalid for what proves nothing,
        Refused as `require_trusted` and TEMPORARILY_UNAVAILABLE where too few have cosigned,
        and what the store raises.
        """
        log = self._trusted_log(region)
        policy = self._policy(region)
        known_by = _digest(log, policy, proved, cosigned, consistency_proof)
        if known_by in self._believed:
            self._believed.move_to_end(known_by)
            return
        try:
            contradicted = await asyncio.to_thread(
                self._verify, log, policy, proved, cosigned, consistency_proof, note
            )
        except TooFewWitnesses:
            raise too_few() from None
        if contradicted:
            # Whether or not the log is trusted again: its history is the one cosigned here.
            raise _two_histories()
        self._trusted_log(region)
        if cosigned and not consistency_proof:
            # With a proof it holds for a time alone.
            self._believed[known_by] = None
        if len(self._believed) > _MOST_BELIEVED:
            self._believed.popitem(last=False)

    async def require_extended(
        self, region: Region, before: Checkpoint, cosigned: str, proof: Sequence[bytes]
    ) -> None:
        """Check that a quorum has cosigned a later state of a region's log, ``cosigned``, which
        ``proof`` shows to extend ``before``: so that is of the history witnesses saw.

        Raises ProofInvalid, and Refused as `require_believed`.
        """
        log, policy = self._trusted_log(region), self._policy(region)
        try:
            later = await asyncio.to_thread(
                require_cosigned, cosigned, log.key, *policy, self._clock.now()
            )
        except TooFewWitnesses:
            raise too_few() from None
        after = later.checkpoint
        verify_consistency(before.size, after.size, before.root, after.root, proof)

    def _trusted_log(self, region: Region) -> RegionLog:
        log = log_of(region)
        if log is None:
            raise _not_trusted("It states no key of its disclosure log.", "no_log_key")
        if monotonic() >= self._known_at + LEASE_SECONDS:
            raise Refused(
                RefusalReason.REFUSAL_REASON_TEMPORARILY_UNAVAILABLE,
                "Whether the region's log is trusted cannot be read now; try again.",
                retry_after=1,
            )
        if str(log.key) in self._distrusted:
            raise _two_histories()
        return log

    def _policy(self, region: Region) -> "_Policy":
        """Return the witnesses of a region's log, and the quorum, as they stand now.

        Raises Refused TEMPORARILY_UNAVAILABLE where there are fewer witnesses than the quorum.
        """
        witnesses = cosigners_of(region, self._book.regions(), self._own)
        quorum = quorum_of(len(witnesses), self._wanted)
        if quorum > len(witnesses):
            raise too_few()
        return _Policy(witnesses, quorum)

    def _verify(
        self,
        log: RegionLog,
        policy: "_Policy",
        proved: Checkpoint,
        cosigned: str,
        proof: Sequence[bytes],
        note: str,
    ) -> bool:
        """Check what proves a checkpoint; tell whether it contradicts what was cosigned here."""
        now = self._clock.now()
        witnessed = require_cosigned(cosigned, log.key, *policy, now)
        contradicted = self._gossip.seen("", [each for each in (cosigned, note) if each], now)
        if witnessed.checkpoint == proved:
            return contradicted
        # The quorum's youngest cosignatures: as many as it takes.
        newest = sorted(witnessed.at.values(), reverse=True)[: policy.quorum]
        if newest and newest[-1] < now - MOST_BEHIND_SECONDS:
            raise TooFewWitnesses("what witnesses cosigned is too old to lead on from")
        if proved.origin != log.key.name:
            raise ProofInvalid("the checkpoint is of another log")
        before = witnessed.checkpoint
        verify_consistency(before.size, proved.size, before.root, proved.root, proof)
        return contradicted

    async def _look(self) -> bool:
        asked = monotonic()
        self._distrusted = await asyncio.to_thread(self._splits.distrusted)
        self._known_at = asked
        return False


class _Policy(NamedTuple):
    """Who may cosign a log, and how many must have."""

    witnesses: Cosigners
    quorum: int


def _digest(
    log: RegionLog,
    policy: _Policy,
    proved: Checkpoint,
    cosigned: str,
    proof: Sequence[bytes],
) -> bytes:
    told = (
        str(log.key),
        *(str(key) for names in policy.witnesses.values() for key in names),
        str(policy.quorum),
        proved.origin,
        str(proved.size),
        proved.root.hex(),
        *(node.hex() for node in proof),
        cosigned,
    )
    return sha256("\n".join(told).encode("utf-8", "surrogatepass")).digest()


def _two_histories() -> Refused:
    return _not_trusted("Its disclosure log has signed two histories.", "split_view")


def _not_trusted(what: str, why: str) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_REGION_NOT_TRUSTED,
        f"The region's answer is not believed: {what}",
        metadata={"why": why},
    )
