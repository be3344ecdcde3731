"""Checking copies that count as held without having been served so: their content was."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Connection, select

from gateway.conformance.blocks import BLOCK, is_marked, marked, sequences_of
from gateway.conformance.holdings_tables import PUT_RIGHT_BLOCKS
from gateway.conformance.revisions import revisions_of, revisions_of_records
from gateway.transparency.faults import Faults

_Bits = dict[int, bytes]


def check_put_right(
    records: Connection, evidence: Connection, whole: Mapping[str, _Bits], faults: Faults
) -> dict[str, _Bits]:
    """See that no copy counts as held of which the content was never served whole; return what
    each operator was served whole, or has put right, as the bits of blocks.

    ``whole`` is what each was served whole. What was obtained elsewhere is never right. Raises
    EnoughFaults.
    """
    found: defaultdict[str, _Bits] = defaultdict(dict)
    for row in evidence.execute(select(PUT_RIGHT_BLOCKS)):
        found[row.operator_id][row.block] = bytes(row.bits)
    held = dict(whole)
    for operator_id, bits in sorted(found.items()):
        sequences = sequences_of(bits)
        served = whole.get(operator_id, {})
        revisions = {each.sequence: each.copy for each in revisions_of(records, sequences.tolist())}
        contents = {
            (each.copy.record_id, each.copy.content_digest)
            for each in revisions_of_records(
                records, {copy.record_id for copy in revisions.values()}
            )
            if is_marked(served.get(each.sequence // BLOCK, b""), each.sequence)
        }
        for sequence in sequences.tolist():
            copy = revisions.get(sequence)
            faults.require(
                copy is not None and (copy.record_id, copy.content_digest) in contents,
                f"put_right_blocks, operator {operator_id}, revision {sequence}",
                "its content was never served to it whole",
            )
        known = np.array(sorted(revisions), np.int64)
        held[operator_id] = served | marked(served, known)
    return held
