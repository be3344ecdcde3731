"""What an attestation speaks of: what was served before its copies were read.

An operator attests from a file. What it was served after that was written cannot be in it, and so is
neither missing nor told missing: the next attestation speaks of it.
"""

from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Engine

from creditgate.refusal import Violation, invalid
from creditgate.v1 import conformance_service_pb2 as pb
from gateway.conformance.answered import Reading, last_held
from gateway.conformance.blocks import Sequences
from gateway.conformance.judging import Differing

_HOUR: Final = 3_600
MOST_AGE_SECONDS: Final = 86_400
"""So long before an attestation its copies may have been read at most."""


class Covered(NamedTuple):
    """What differs as far as an attestation speaks of it, the revisions served whole that are not
    held and were served ``later``, and how many copies in all were."""

    differing: Differing
    later: Sequences
    copies: int


def read_at(opening: pb.AttestationOpening, begun_at: int) -> int:
    """Return when the copies were read of an attestation that began at ``begun_at`` (seconds, UTC).

    Raises Refused INVALID_REQUEST where that is too long ago: taken to be younger, they would lack
    what they could not have.
    """
    if not opening.HasField("made_time"):
        return begun_at
    if opening.made_time.seconds < begun_at - MOST_AGE_SECONDS:
        raise invalid(
            Violation(
                "opening.made_time",
                f"must be within the last {MOST_AGE_SECONDS // _HOUR} hours: attest from a younger"
                " file",
            )
        )
    return min(opening.made_time.seconds, begun_at)


def covered(records: Engine, operator_id: str, differing: Differing, read: Reading) -> Covered:
    """Return what copies that were read at ``read`` can be said to differ by."""
    cut = {copy.sequence for copy in differing.missing_cut}
    absent = np.array(sorted({*differing.missing, *cut}), np.int64)
    if not absent.size:
        return Covered(differing, absent, 0)
    # What was under way then is missing too, for information: it is not told missing.
    held = last_held(records, operator_id, absent, np.full(len(absent), read.answers, np.int64))
    later = absent[held > 0]
    after = set[int](later.tolist())
    missing = [each for each in differing.missing if each not in after]
    missing_cut = [copy for copy in differing.missing_cut if copy.sequence not in after]
    copies = len(differing.missing) + len(differing.missing_cut) - len(missing) - len(missing_cut)
    return Covered(
        differing._replace(missing=missing, missing_cut=missing_cut),
        later[np.isin(later, list(differing.missing))],
        copies,
    )
