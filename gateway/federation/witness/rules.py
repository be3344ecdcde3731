"""What a witness does with a checkpoint it is shown. Pure.

Source: C2SP tlog-witness, add-checkpoint; RFC 9162 section 2.1.4.2 for consistency.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from creditgate.transparency.merkle import (
    EMPTY_ROOT,
    ProofInvalid,
    node_hash,
    verify_consistency,
)
from creditgate.transparency.note import Checkpoint

MOST_PROOF_NODES: Final = 63
"""The client MUST NOT send more."""

FRESH_SECONDS: Final = 60
"""A checkpoint shown again is cosigned anew only where its cosignature is older."""


class Judgement(Enum):
    """What to do."""

    COSIGN = "cosign"
    STALE = "stale"
    CONTRADICTS = "contradicts"


class Split(NamedTuple):
    """That a log had two roots at one size: ``root`` at the size of the shorter checkpoint,
    by ``proof`` to the longer one's root, where the shorter itself has another."""

    root: bytes
    proof: tuple[bytes, ...]


class Judged(NamedTuple):
    """What to do, and with CONTRADICTS the evidence, where what was shown makes it."""

    judgement: Judgement
    split: Split | None = None


class ShownInvalid(ValueError):
    """What was shown is no request that may be judged (HTTP 400); the message says why."""


def judged(
    last: Checkpoint | None, shown: Checkpoint, old_size: int, proof: Sequence[bytes]
) -> Judged:
    """Return what to do with a checkpoint whose signature verified.

    ``last`` is what was cosigned last of its log, None where nothing was; ``old_size`` and
    ``proof`` come with what is shown. Raises ShownInvalid, and ProofInvalid where the proof
    does not prove (HTTP 422).
    """
    if not 0 <= old_size <= shown.size:
        raise ShownInvalid("the old size is not one up to that of the checkpoint")
    if len(proof) > MOST_PROOF_NODES:
        raise ShownInvalid(f"a consistency proof has at most {MOST_PROOF_NODES} nodes")
    last_size = 0 if last is None else last.size
    if last is not None and shown.size == last.size and shown.root != last.root:
        # Whatever it comes with: two signatures on one size need no proof.
        return Judged(Judgement.CONTRADICTS, Split(shown.root, ()))
    if old_size != last_size:
        return Judged(Judgement.STALE)
    if shown.size == 0 and shown.root != EMPTY_ROOT:
        raise ProofInvalid("a tree without leaves has another root")
    if old_size == 0:
        if proof:
            raise ProofInvalid("the empty tree needs no proof")
        return Judged(Judgement.COSIGN)
    assert last is not None
    try:
        verify_consistency(last.size, shown.size, last.root, shown.root, proof)
    except ProofInvalid:
        split = split_shown(last, shown, proof)
        if split is None:
            raise
        return Judged(Judgement.CONTRADICTS, split)
    return Judged(Judgement.COSIGN)


def split_shown(shorter: Checkpoint, longer: Checkpoint, proof: Sequence[bytes]) -> Split | None:
    """Return what a proof that does not join two checkpoints shows against their log.

    It is evidence where it leads from another root of the shorter's size to the longer's. A
    proof from a whole tree (a size that is a power of two) has no first root in it, so it
    shows nothing: the log's own files do.
    """
    if shorter.size & (shorter.size - 1) == 0 or not proof:
        return None
    root = _first_root(shorter.size, longer.size, proof)
    try:
        verify_consistency(shorter.size, longer.size, root, longer.root, proof)
    except ProofInvalid:
        return None
    return Split(root, tuple(proof)) if root != shorter.root else None


def _first_root(first: int, second: int, proof: Sequence[bytes]) -> bytes:
    """Return the root of the shorter tree that a consistency proof leads from."""
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    root = proof[0]
    for sibling in proof[1:]:
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return root


def quorum_of(witnesses: int, wanted: int | None) -> int:
    """Return of how many of so many witnesses a checkpoint needs cosignatures.

    ``wanted`` is what the installation sets, None for more than half. Where there are fewer
    than wanted, all there are and one more: nothing is believed then.
    """
    return witnesses // 2 + 1 if wanted is None else wanted
