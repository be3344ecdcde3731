"""What operators told they do not hold: a copy told missing cannot come back by itself.

Kept as bits of the revisions served whole, of the last attestation and of what was held
again since without having been served again: an attestation that leaves copies out and the
next one that has them cannot both be true.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, delete, insert, select

from creditgate.transparency.facts import copy_digest
from gateway.conformance.answered import last_held, last_replayed
from gateway.conformance.attestation_rows import last_attested_at
from gateway.conformance.blocks import Sequences, marked, sequences_of
from gateway.conformance.comparing import MOST_LISTED
from gateway.conformance.drawing import is_over
from gateway.conformance.finding_tables import TOLD_MISSING
from gateway.conformance.model import ATTESTATION_FALSE, Difference
from gateway.conformance.revisions import Revision, revisions_of
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import wrote

_T: Final = TOLD_MISSING.c


def told_missing(evidence: Connection, operator_id: str) -> tuple[Sequences, int]:
    """Return the revisions an operator told it does not hold, and the position in the ledger
    after which an answer excuses that it holds one again."""
    query = select(_T.block, _T.bits, _T.answers).where(_T.operator_id == operator_id)
    rows = evidence.execute(query).all()
    return (
        sequences_of({row.block: bytes(row.bits) for row in rows}),
        min((row.answers for row in rows), default=0),
    )


def keep_told_missing(
    evidence: Connection, operator_id: str, sequences: Sequences, answers: int
) -> None:
    """Keep what an operator told by an attestation as of ``answers``, instead of what it told
    before; the operator must be locked."""
    former = evidence.execute(
        delete(TOLD_MISSING).where(_T.operator_id == operator_id).returning(_T.block)
    ).scalars()
    blocks = set(former)
    bits = marked({}, sequences)
    if bits:
        evidence.execute(
            insert(TOLD_MISSING),
            [
                {"operator_id": operator_id, "block": block, "answers": answers, "bits": each}
                for block, each in bits.items()
            ],
        )
    changed = sorted(blocks | bits.keys())
    wrote(evidence, TOLD_MISSING, [(operator_id, block) for block in changed])


def not_served_since(
    records: Engine, operator_id: str, sequences: Sequences, answers: int, told_at: int
) -> Sequences:
    """Return which revisions no answer to an operator after a position held, nor one given again
    at ``told_at`` (seconds, UTC) or later."""
    after = np.full(len(sequences), answers, np.int64)
    held = last_held(records, operator_id, sequences, after)
    again = last_replayed(records, operator_id, sequences, told_at)
    return sequences[(held == 0) & (again == 0)]


class HeldAgain(NamedTuple):
    """Copies told missing before that are held now, though not served in between: the first
    of them as ``differences``, all as ``sequences``."""

    sequences: Sequences
    differences: Sequence[Difference]


def held_again(engines: Engines, operator_id: str, absent: Sequences, now: int) -> HeldAgain:
    """Return what an operator holds again that it told missing; ``absent`` are the revisions
    it does not hold by what it attests now, ``now`` in seconds, UTC."""
    with reading(engines.evidence) as evidence:
        told, answers = told_missing(evidence, operator_id)
        told_at = last_attested_at(evidence, operator_id) or 0
    left = told[~np.isin(told, absent)]
    if not left.size:
        return HeldAgain(left, ())
    left = not_served_since(engines.records, operator_id, left, answers, told_at)
    with reading(engines.records) as records:
        over: list[int] = []

        def held() -> Iterator[Difference]:
            for each in revisions_of(records, left.tolist()):
                if is_over(each, now):
                    over.append(each.sequence)
                else:
                    yield _false(each)

        found = list(islice(held(), MOST_LISTED))
    return HeldAgain(left[~np.isin(left, np.array(over, np.int64))], found)


def _false(revision: Revision) -> Difference:
    copy = revision.copy
    return Difference(
        ATTESTATION_FALSE,
        copy.record_id,
        revision.severity,
        copy.content_digest,
        0,
        revision.sequence,
        copy_digest(copy),
    )
