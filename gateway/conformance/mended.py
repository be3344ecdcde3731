"""What of the findings that stand an attestation speaks of, by the right copies it tells: what was
caught is mended by being shown, and by a word alone only where there is nothing to show."""

from collections.abc import Collection, Sequence

import numpy as np
from sqlalchemy import Engine

from gateway.conformance.blocks import Sequences
from gateway.conformance.comparing import ALTERED
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import ATTESTATION_FALSE, Finding
from gateway.conformance.revisions import revisions_of_records
from gateway.storage.engines import reading


def unproven_of(standing: Sequence[Finding]) -> dict[str, int]:
    """Return the records, with their revisions, of which false attestations stand."""
    return {
        each.record_id: each.revision_sequence
        for each in standing
        if each.kind == ATTESTATION_FALSE
    }


def mended_by(records: Engine, standing: Sequence[Finding], right: Sequences) -> dict[int, int]:
    """Return the revisions of which an altered copy was found, each with that of the same record
    of which a right one is attested now: a word alone does not mend what was caught, nor does
    a correction that came since."""
    altered = {
        each.revision_sequence: each.record_id
        for each in standing
        if each.kind in ALTERED and not each.region and each.revision_sequence
    }
    own = _among(altered, right)
    others = {record for sequence, record in altered.items() if sequence not in own}
    if not others:
        return {each: each for each in own}
    with reading(records) as connection:
        record_of = {
            each.sequence: each.copy.record_id for each in revisions_of_records(connection, others)
        }
    of_record = {record_of[each]: each for each in sorted(_among(record_of, right))}
    return {each: each for each in own} | {
        sequence: of_record[record]
        for sequence, record in altered.items()
        if sequence not in own and record in of_record
    }


def given_up(
    holdings: Holdings, operator_id: str, sequences: Collection[int], right: Sequences
) -> frozenset[int]:
    """Return the revisions of which no copy is attested, and none can be told missing, since
    they were not served so: that is the word that there is none."""
    unserved = holdings.not_whole(operator_id, set(sequences))
    return unserved - _among(unserved, right)


def _among(few: Collection[int], right: Sequences) -> frozenset[int]:
    # They come in order, so that of a million right ones only as many are looked at as are asked for.
    asked = np.array(sorted(few), np.int64)
    at = np.searchsorted(right, asked)
    asked, at = asked[at < len(right)], at[at < len(right)]
    return frozenset[int](asked[right[at] == asked].tolist())
