"""What operators told they do not hold: a copy told missing cannot come back by itself.

Kept as bits of the revisions served whole, of the last attestation and of what was held
again since without having been served again: an attestation that leaves copies out and the
next one that has them cannot both be true.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, bindparam, delete, insert, select

from creditgate.transparency.facts import copy_digest
from gateway.conformance.answered import last_held, last_replayed
from gateway.conformance.blocks import Sequences, marked, sequences_of
from gateway.conformance.comparing import MOST_LISTED, Dismissed
from gateway.conformance.drawing import is_over
from gateway.conformance.finding_rows import dismissed_false
from gateway.conformance.finding_tables import TOLD_MISSING
from gateway.conformance.model import ATTESTATION_FALSE, Difference
from gateway.conformance.revisions import Revision, revisions_of
from gateway.storage.engines import Engines, reading
from gateway.storage.writes import wrote

_T: Final = TOLD_MISSING.c
_OF_OPERATOR: Final = _T.operator_id == bindparam("operator")
_TOLD: Final = select(_T.block, _T.bits, _T.answers, _T.since).where(_OF_OPERATOR)
_FORGET: Final = delete(TOLD_MISSING).where(_OF_OPERATOR).returning(_T.block)
_KEEP: Final = insert(TOLD_MISSING)


class ToldMissing(NamedTuple):
    """The revisions an operator told by an attestation that it does not hold. That it holds one
    again is excused by an answer after the position ``answers`` in the ledger, or by one given
    again at ``since`` (seconds, UTC) or later: these may have been under way when it began."""

    sequences: Sequences
    answers: int
    since: int


def told_missing(evidence: Connection, operator_id: str) -> ToldMissing:
    """Return what an operator told it does not hold."""
    rows = evidence.execute(_TOLD, {"operator": operator_id}).all()
    return ToldMissing(
        sequences_of({row.block: bytes(row.bits) for row in rows}),
        min((row.answers for row in rows), default=0),
        min((row.since for row in rows), default=0),
    )


def keep_told_missing(evidence: Connection, operator_id: str, told: ToldMissing) -> None:
    """Keep what an operator told by an attestation, instead of what it told before; the operator
    must be locked."""
    blocks = set(evidence.execute(_FORGET, {"operator": operator_id}).scalars())
    bits = marked({}, told.sequences)
    if bits:
        evidence.execute(
            _KEEP,
            [
                {
                    "operator_id": operator_id,
                    "block": block,
                    "answers": told.answers,
                    "since": told.since,
                    "bits": each,
                }
                for block, each in bits.items()
            ],
        )
    changed = sorted(blocks | bits.keys())
    wrote(evidence, TOLD_MISSING, [(operator_id, block) for block in changed])


def not_served_since(records: Engine, operator_id: str, told: ToldMissing) -> Sequences:
    """Return which revisions told missing no answer held that excuses."""
    after = np.full(len(told.sequences), told.answers, np.int64)
    held = last_held(records, operator_id, told.sequences, after)
    again = last_replayed(records, operator_id, told.sequences, told.since)
    return told.sequences[(held == 0) & (again == 0)]


def told_by(records: Engine, operator_id: str, told: ToldMissing) -> ToldMissing:
    """Return what an attestation tells missing, of what it lacks: nothing that may have been on its
    way when its copies were read."""
    return told._replace(sequences=not_served_since(records, operator_id, told))


class HeldAgain(NamedTuple):
    """Copies told missing before that are held now, though not served in between: the first
    of them as ``differences``, all as ``sequences``."""

    sequences: Sequences
    differences: Sequence[Difference]


def held_again(engines: Engines, operator_id: str, absent: Sequences, now: int) -> HeldAgain:
    """Return what an operator holds again that it told missing; ``absent`` are the revisions
    it does not hold by what it attests now, ``now`` in seconds, UTC. A dismissal settles what was
    told before it, and no word that comes after it."""
    with reading(engines.evidence) as evidence:
        told = told_missing(evidence, operator_id)
        dismissed = dismissed_false(evidence, operator_id, told.since)
    left = told.sequences[~np.isin(told.sequences, absent)]
    if not left.size:
        return HeldAgain(left, ())
    left = not_served_since(engines.records, operator_id, told._replace(sequences=left))
    with reading(engines.records) as records:
        settled: list[int] = []

        def held() -> Iterator[Difference]:
            for each in revisions_of(records, left.tolist()):
                false = _false(each)
                word = Dismissed(false.kind, false.record, false.copy_digest)
                if is_over(each, now) or word in dismissed:
                    settled.append(each.sequence)
                else:
                    yield false

        found = list(islice(held(), MOST_LISTED))
    return HeldAgain(left[~np.isin(left, np.array(settled, np.int64))], found)


def keep_told_by(
    evidence: Connection,
    operator_id: str,
    told: ToldMissing,
    absent: Sequences,
    again: HeldAgain,
) -> None:
    """Keep what is ``told`` missing now, and what was told so before and is not cleared up.

    Copies read before those attested last excuse nothing that was told of these: of all that is
    told now nothing was served since either.
    """
    before = told_missing(evidence, operator_id)
    still = before.sequences[np.isin(before.sequences, absent)]
    keep_told_missing(
        evidence,
        operator_id,
        ToldMissing(
            np.unique(np.concatenate((told.sequences, still, again.sequences))),
            max(told.answers, before.answers),
            max(told.since, before.since),
        ),
    )


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
