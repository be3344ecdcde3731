"""What a proof of completeness says of each subject: what is served is the map's sets. Pure.

The disclosure is read from one store and the map from another, a little behind or ahead of
it, so they are compared here, revision by revision, before anything is charged.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from creditgate.v1.disclosure_proof_pb2 import (
    ProtectedOpening,
    ProtectedSetProof,
    PublicSetProof,
    SubjectProof,
)
from gateway.disclose.model import LiveRevision
from gateway.transparency.map_sets import (
    ProtectedSet,
    PublicSet,
    SubjectAsk,
    SubjectSets,
)


class Serving(NamedTuple):
    """What is served of what was found.

    ``found`` are all live revisions of the subjects when the newest event was ``head``,
    whether the caller may have them or not; ``frames`` those served, by sequence, as they are
    served, in the answer's order.
    """

    head: int
    found: Sequence[LiveRevision]
    frames: Mapping[int, bytes]


class SetsDiffer(Exception):
    """The map is of another state of the disclosure than what was read of it."""


Open = Callable[[int, bytes, bytes], ProtectedOpening]
"""Opens a protected record: its sequence, the frame served, and the frame stored."""


def subject_proofs(
    asks: Sequence[SubjectAsk], sets: Sequence[SubjectSets], serving: Serving, opened: Open
) -> Iterator[SubjectProof]:
    """Yield the proof of each subject. Raises SetsDiffer."""
    rows: dict[str, dict[int, LiveRevision]] = {ask.subject: {} for ask in asks}
    for row in serving.found:
        # By position: stores give rows as plain tuples in this order.
        rows[row[0]][row[1]] = row
    for ask, own in zip(asks, sets, strict=True):
        yield _subject_proof(ask, own, rows[ask.subject], serving.frames, opened)


def _subject_proof(
    ask: SubjectAsk,
    sets: SubjectSets,
    rows: Mapping[int, LiveRevision],
    frames: Mapping[int, bytes],
    opened: Open,
) -> SubjectProof:
    items = sorted((*(ask.public_items or ()), *ask.protected_items))
    proof = SubjectProof(subject=ask.subject, items=items, all_public=ask.all_public)
    served = 0
    if sets.public is not None:
        served += _prove_public(proof.public_set, sets.public, rows, frames)
    for each in sets.protected:
        served += _prove_protected(proof.protected_sets.add(), each, rows, frames, opened)
    # Every member that is served was counted; so nothing else is served either.
    if served != sum(sequence in frames for sequence in rows):
        raise SetsDiffer
    return proof


def _prove_public(
    proof: PublicSetProof, found: PublicSet, rows: Collection[int], frames: Collection[int]
) -> int:
    """Fill in the proof of a subject's public items; return how many members are served."""
    proof.path.CopyFrom(found.path)
    if found.other_items:
        proof.other_items.extend(found.other_items)
    for member in found.members:
        if member.sequence in frames:
            continue
        # What the caller may not have was found all the same.
        if member.sequence not in rows:
            raise SetsDiffer
        proof.withheld.add(item=member.item, digest=member.digest)
    return len(found.members) - len(proof.withheld)


def _prove_protected(
    proof: ProtectedSetProof,
    found: ProtectedSet,
    rows: Mapping[int, LiveRevision],
    frames: Mapping[int, bytes],
    opened: Open,
) -> int:
    """Fill in the proof of a protected item; return how many members are served: all."""
    proof.item, proof.key, proof.salt = found.item, found.key, found.salt
    proof.path.CopyFrom(found.path)
    for member in found.members:
        sequence = member.sequence
        if sequence not in frames:
            raise SetsDiffer
        proof.openings.append(opened(sequence, frames[sequence], rows[sequence][5]))
    return len(found.members)
