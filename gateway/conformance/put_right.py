"""Copies that are right without having been served so: an attestation showed them.

Whoever was served a content whole, and sets its period as the stream of events tells, holds what is
disclosed; so does who kept a copy of a record that was corrected back to what it was
(`gateway.conformance.classify`). From the attestation that shows one on it counts as held, as if it had
been served: it is among what the operator should hold, can be told missing, and has to go when its
disclosure ends. What was obtained elsewhere is never among them.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Final

import numpy as np
from sqlalchemy import Connection, bindparam, select

from gateway.conformance.blocks import BLOCK, is_marked, marked, newly_marked, sequences_of
from gateway.conformance.holdings_tables import PUT_RIGHT_BLOCKS
from gateway.storage.inserts import INSERT
from gateway.storage.paging import pages
from gateway.storage.writes import wrote

_P: Final = PUT_RIGHT_BLOCKS.c
_BITS: Final = select(_P.block, _P.bits).where(_P.operator_id == bindparam("operator"))


def put_right_bits(evidence: Connection, operator_id: str) -> dict[int, bytes]:
    """Return which revisions an operator put right, as the bits of blocks."""
    rows = evidence.execute(_BITS, {"operator": operator_id})
    return {block: bytes(bits) for block, bits in rows}


def put_right_of(
    evidence: Connection, sequences: Collection[int], operator_id: str = ""
) -> dict[str, set[int]]:
    """Return which of some revisions each operator put right, or of these one alone."""
    query = select(PUT_RIGHT_BLOCKS)
    if operator_id:
        query = query.where(_P.operator_id == operator_id)
    by_block: defaultdict[int, list[int]] = defaultdict(list)
    for sequence in sequences:
        by_block[sequence // BLOCK].append(sequence)
    found: defaultdict[str, set[int]] = defaultdict(set)
    for some in pages(by_block):
        for row in evidence.execute(query.where(_P.block.in_(some))):
            bits = bytes(row.bits)
            own = [each for each in by_block[row.block] if is_marked(bits, each)]
            if own:
                found[row.operator_id].update(own)
    return found


def keep_put_right(evidence: Connection, operator_id: str, sequences: Collection[int]) -> list[int]:
    """Keep that an operator put revisions right; return those of which that was not known. The
    operator must be locked."""
    if not sequences:
        return []
    before = put_right_bits(evidence, operator_id)
    changed = marked(before, np.array(sorted(sequences), np.int64))
    if not changed:
        return []
    add = INSERT[evidence.dialect.name](PUT_RIGHT_BLOCKS)
    kept = add.on_conflict_do_update(
        index_elements=list(PUT_RIGHT_BLOCKS.primary_key), set_={"bits": add.excluded.bits}
    )
    rows = [
        {"operator_id": operator_id, "block": block, "bits": bits}
        for block, bits in changed.items()
    ]
    evidence.execute(kept, rows)
    wrote(evidence, PUT_RIGHT_BLOCKS, [(operator_id, block) for block in sorted(changed)])
    return sequences_of(newly_marked(before, changed)).tolist()
