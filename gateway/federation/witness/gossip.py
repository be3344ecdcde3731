"""Gossip: what other witnesses saw is compared with what was cosigned here.

A log that shows one history to one witness and another to the next has a cosignature on each.
It is found out as soon as the two compare notes: at one size at once, of two sizes once the
log's own files join them or show that they cannot be (`gateway.federation.witness.joining`).
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from creditgate.transparency.merkle import ProofInvalid
from creditgate.transparency.note import VerifierKey, open_checkpoint
from gateway.federation.trust.book import RegionBook
from gateway.federation.witness.logs import RegionLog, log_signing
from gateway.federation.witness.splits import Accused, SplitViews, same_size_split
from gateway.federation.witness.witness import Witness
from gateway.transparency.log import LogReader
from sdk.histories import SplitView

MOST_SEEN: Final = 256
"""Checkpoints one exchange tells of."""
MOST_SPLITS: Final = 16
"""Split views one exchange tells of."""

_log = logging.getLogger(__name__)


class Joining(Protocol):
    """Joins checkpoints of two sizes, later."""

    def add(self, log: RegionLog, note: str, told_by: str) -> None:
        """Take a checkpoint that is to be joined with what was cosigned; any thread."""
        ...


class Gossip:
    """Compares what others tell; calls block, any thread.

    ``own`` is this region's own disclosure log, and ``accused`` this region, should somebody
    show two histories of that. ``found`` is called where a split view is new.
    """

    def __init__(
        self,
        witness: Witness,
        splits: SplitViews,
        book: RegionBook,
        own: LogReader,
        accused: Accused,
        joining: Joining,
        found: Callable[[], None],
    ) -> None:
        self._witness = witness
        self._splits = splits
        self._book = book
        self._own = own
        self._accused = accused
        self._joining = joining
        self._found = found

    def seen(self, told_by: str, notes: Iterable[str], now: int) -> bool:
        """Compare checkpoints that the region ``told_by`` has seen; tell whether one contradicts
        what was cosigned or signed here.

        What is no checkpoint of a log known here is passed over: a peer may know regions of
        which the news has not come here. Raises what the store raises.
        """
        contradicts = False
        for note in notes:
            try:
                contradicts |= self._compare(told_by, note, now)
            except ProofInvalid as invalid:
                # Its own word only: nobody can make another log sign.
                _log.warning("%s tells of a checkpoint that is none: %s", told_by, invalid)
        return contradicts

    def accuse(self, told_by: str, splits: Iterable[SplitView], now: int) -> None:
        """Take evidence against logs known here; what is none is passed over. Raises what the
        store raises."""
        for split in splits:
            try:
                if self._is_own(split.first):
                    self._keep(self._accused, self._own.key, split, told_by, now)
                elif (log := log_signing(self._book, split.first)) is not None:
                    self._keep(Accused.of(log.region), log.key, split, told_by, now)
            except ProofInvalid as invalid:
                _log.warning("%s tells of a split view that is none: %s", told_by, invalid)

    def compare_held(self, log: RegionLog, note: str, told_by: str, now: int) -> bool | None:
        """Compare a checkpoint with that cosigned at its size; tell whether it contradicts that,
        None where there is none.

        Raises ProofInvalid for what the log has not signed, and what the store raises.
        """
        checkpoint = open_checkpoint(note, log.key)
        held = self._witness.held(log.key, checkpoint.size)
        if not held:
            return None
        split = same_size_split(held, note, log.key)
        if split is None:
            return False
        self._keep(Accused.of(log.region), log.key, split, told_by, now)
        return True

    def _compare(self, told_by: str, note: str, now: int) -> bool:
        """Compare a checkpoint with what is known of its log; tell whether it contradicts that."""
        if self._is_own(note):
            return self._compare_own(told_by, note, now)
        log = log_signing(self._book, note)
        if log is None:
            return False
        contradicts = self.compare_held(log, note, told_by, now)
        if contradicts is not None:
            return contradicts
        if self._witness.last_of(log.key) is not None:
            self._joining.add(log, note, told_by)
        return False

    def _is_own(self, note: str) -> bool:
        """Tell whether this region's own log has signed a note: another region may name its
        origin, never its key."""
        try:
            open_checkpoint(note, self._own.key)
        except ProofInvalid:
            return False
        return True

    def _compare_own(self, told_by: str, note: str, now: int) -> bool:
        """Compare a checkpoint somebody has of this region's own log, and tell whether it was not
        signed here: then somebody else has the key."""
        checkpoint = open_checkpoint(note, self._own.key)
        kept = self._own.checkpoint_of(checkpoint.size)
        if kept is None or kept.root == checkpoint.root:
            return False
        split = SplitView(note, kept.note, kept.root, ())
        self._keep(self._accused, self._own.key, split, told_by, now)
        return True

    def _keep(
        self, accused: Accused, key: VerifierKey, split: SplitView, told_by: str, now: int
    ) -> None:
        if self._splits.keep(accused, key, split, told_by, now):
            self._found()
