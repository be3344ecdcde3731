"""Operators' copies kept ready in memory, so that a reconciliation costs what has changed."""

import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_bytes
from threading import Lock
from typing import Final

import numpy as np
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from creditgate.reconcile.elements import KEY_BYTES
from gateway.conformance.blocks import newly_marked, sequences_of
from gateway.conformance.entitlement import Entitlement, Entitlements
from gateway.conformance.held import Columns, Held
from gateway.conformance.holdings_tables import CHECKSUM_KEYS
from gateway.conformance.revisions import facts_of
from gateway.conformance.stored import blocks
from gateway.storage.bounded import bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import wrote

MOST_COPIES: Final = 5_000_000
"""Most copies kept ready, of all operators together; some 100 bytes each. Whose copies were
asked for last is kept, however many they are."""
_FEW: Final = 2_000


@dataclass(slots=True)
class _Ready:
    held: Held
    entitlement: Entitlement


class WarmSets:
    """Copies of operators, the ones asked for last. Calls block.

    Any thread may ask; of one operator one at a time, until it is done with what it was given.
    """

    def __init__(self, engines: Engines, most_copies: int = MOST_COPIES) -> None:
        self._engines = engines
        self._entitlements = Entitlements(engines)
        self._most_copies = most_copies
        self._ready: OrderedDict[str, _Ready] = OrderedDict()
        self._changing = Lock()

    def of(self, operator_id: str, now: int) -> tuple[Held, Entitlement]:
        """Return the copies an operator should hold at ``now`` (seconds, UTC), and what
        entitles it to them.

        Raises Refused as `Entitlements.of`.
        """
        entitlement = self._entitlements.of(operator_id, now)
        with self._changing:
            # While it is changed nobody else finds it.
            ready = self._ready.pop(operator_id, None)
        if ready is None or ready.held.worn or not self._follow(ready, entitlement, now):
            columns = self._columns(entitlement, entitlement.whole)
            key = checksum_key(self._engines.evidence, operator_id)
            ready = _Ready(Held(key, columns, now), entitlement)
            self._follow(ready, entitlement, now)
        self._keep(operator_id, ready)
        return ready.held, entitlement

    def _follow(self, ready: _Ready, entitlement: Entitlement, now: int) -> bool:
        before, ready.entitlement = ready.entitlement, entitlement
        more = newly_marked(before.whole, entitlement.whole)
        return ready.held.follow(
            self._columns(entitlement, more),
            sequences_of(newly_marked(before.ended, entitlement.ended)),
            entitlement.cut_held(now),
            now,
        )

    def _columns(self, entitlement: Entitlement, served: Mapping[int, bytes]) -> Columns:
        """Return revisions, by the bits of blocks."""
        sequences = sequences_of(served)
        columns = Columns.none()
        if len(sequences) > _FEW:
            with reading(self._engines.evidence) as evidence:
                columns = columns.then(
                    *(
                        Columns.in_block(
                            block, served[block.number], entitlement.ended.get(block.number, b"")
                        )
                        for block in blocks(evidence, served)
                    )
                )
        # What is not written down yet, or not worth a block.
        others = np.setdiff1d(sequences, columns.sequences, assume_unique=True)
        if not others.size:
            return columns
        with reading(self._engines.records) as records:
            facts = facts_of(records, others.tolist())
        return columns.then(Columns.of(facts, entitlement.ended))

    def _keep(self, operator_id: str, ready: _Ready) -> None:
        with self._changing:
            self._ready[operator_id] = ready
            size = sum(each.held.size for each in self._ready.values())
            while size > self._most_copies and len(self._ready) > 1:
                _, oldest = self._ready.popitem(last=False)
                size -= oldest.held.size


def checksum_key(evidence: Engine, operator_id: str) -> bytes:
    """Return the key of an operator's checksums, 16 bytes; made when it is first asked for."""
    query = select(CHECKSUM_KEYS.c.checksum_key).where(CHECKSUM_KEYS.c.operator_id == operator_id)
    with reading(evidence) as connection:
        key = connection.execute(query).scalar()
    if key is None:
        made = insert(CHECKSUM_KEYS).values(
            operator_id=operator_id, checksum_key=token_bytes(KEY_BYTES)
        )
        # Another process may have made one meanwhile.
        with contextlib.suppress(IntegrityError), bounded(evidence) as connection:
            connection.execute(made)
            wrote(connection, CHECKSUM_KEYS, [(operator_id,)])
        with reading(evidence) as connection:
            key = connection.execute(query).scalar_one()
    return bytes(key)
