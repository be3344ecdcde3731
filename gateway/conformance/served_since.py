"""Whether a copy that is shown was served again since it was asked for: then it proves nothing."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sqlalchemy import Engine

from gateway.conformance.answered import last_held, last_replayed
from gateway.conformance.model import Challenge
from gateway.conformance.told_missing import ToldMissing


class ServedSince(NamedTuple):
    """Whether a revision was served again ``since`` it was asked for, and whether one told
    missing is ``held_back``: held, and not served since that was told."""

    since: bool
    held_back: bool


def served_since(
    records: Engine,
    operator_id: str,
    asked: Sequence[Challenge],
    told: ToldMissing,
) -> Mapping[int, ServedSince]:
    """Return what the ledger tells of the revisions asked for; ``told`` are those told
    missing."""
    positions = {each.revision_sequence: each.answers for each in asked}
    sequences = np.array(sorted(positions), np.int64)
    missing = np.isin(sequences, told.sequences)
    since = np.array([positions[each] for each in sequences.tolist()], np.int64)
    after = np.where(missing, np.minimum(since, told.answers), since)
    held = last_held(records, operator_id, sequences, after)
    times = {each.revision_sequence: each.issued_at for each in asked}
    issued = np.array([times[each] for each in sequences.tolist()], np.int64)
    earliest = min([*times.values(), told.since])
    again = last_replayed(records, operator_id, sequences, earliest)
    refreshed = (held > since) | (again >= issued)
    held_back = missing & (held <= told.answers) & (again < told.since)
    return {
        sequence: ServedSince(bool(each), bool(back))
        for sequence, each, back in zip(sequences.tolist(), refreshed, held_back, strict=True)
    }
