"""An operator's usage log as this gateway's own ledger has it, held against a signed head."""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, Engine

from creditgate.rating.logged import LoggedUse, logged_uses
from creditgate.refusal import Refused
from creditgate.transparency.merkle import GrowingRoot, leaf_hash
from creditgate.transparency.note import Checkpoint
from creditgate.transparency.usage import detail_of
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.usage_log_pb2 import UsageLeaf, UsageLine
from gateway.storage.engines import snapshot
from gateway.usage.leaves import LedgerLeaves

MOST_USES: Final = 2_000_000
"""Most uses that one statement is worked out by: some 400 MB while it is."""
_AT_ONCE: Final = 1_000
_Told = tuple[UsageLeaf, Sequence[UsageLine]]


class OwnLog:
    """Gives the uses that a signed head of an operator's log is of. Calls block; any thread."""

    def __init__(self, records: Engine) -> None:
        self._records = records

    def uses(self, operator_id: str, head: Checkpoint) -> Sequence[LoggedUse]:
        """Return the uses under ``head``, made anew from the ledger's rows, in blocks.

        Raises Refused STATE_CONFLICT where the ledger has not what the gateway signed, or more
        than is worked out here; LookupError where it names a revenue line that is not there.
        """
        if head.size > MOST_USES:
            raise _conflict(f"The log has more than {MOST_USES} uses.")
        root = GrowingRoot()
        with snapshot(self._records) as connection:
            uses = logged_uses(_told(connection, operator_id, head.size, root))
        if len(uses) != head.size or root.root() != head.root:
            raise _conflict(
                "The ledger has not the uses that the head of the log was signed for: nothing is"
                " judged by it. `creditgate log check` tells what was changed."
            )
        return uses


def _told(
    connection: Connection, operator_id: str, size: int, root: GrowingRoot
) -> Iterator[_Told]:
    """Yield leaves with their lines, from the first on, and add them to ``root``."""
    ledger, after, place = LedgerLeaves(), 0, 0
    # The same few lines recur: kept once, they take nothing.
    known: dict[bytes, tuple[UsageLine, ...]] = {}
    while place < size:
        found = ledger.after(connection, operator_id, after, min(_AT_ONCE, size - place))
        if not found:
            return
        for each in found:
            root.add(leaf_hash(each.leaf))
            leaf = UsageLeaf.FromString(each.leaf)
            detail = detail_of(leaf, each.detail)
            assert detail is not None, "a row of the ledger has its detail"
            lines = b"".join(line.SerializeToString(deterministic=True) for line in detail.lines)
            yield leaf, known.setdefault(lines, tuple(detail.lines))
        after, place = found[-1].sequence, place + len(found)


def _conflict(message: str) -> Refused:
    return Refused(RefusalReason.REFUSAL_REASON_STATE_CONFLICT, message)
