"""Which copies are asked for again, and in what order. Pure.

What an attestation was false of, and what was altered, have turns of their own. Of the one the oldest
comes first, of the other that whose time is nearest over: so nothing that is found later puts off the
turn of what was found before, and an operator that says each week that other copies are altered gains
nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from gateway.conformance.comparing import ALTERED
from gateway.conformance.model import ATTESTATION_FALSE, Difference, Finding


class Why(IntEnum):
    """Why a copy is asked for again: an attestation was false of it, or an altered one was found."""

    FALSE = 0
    ALTERED = 1


class Rank(NamedTuple):
    """Whose turn it is, of those asked for again for the same reason: the lower comes first. ``at``
    is since when an attestation is found to be false, or by when what is altered must be rectified
    (seconds, UTC)."""

    why: Why
    at: int


class Again(NamedTuple):
    """What is asked for again: each revision with its rank. Of the findings of a revision those are
    mended by showing one, that ``shown_for`` names, by that of the finding."""

    ranks: Mapping[int, Rank]
    shown_for: Mapping[int, int]

    def unasked(self, asking: Collection[int]) -> frozenset[int]:
        """Return the revisions of findings whose right copy is none of those being asked for."""
        return frozenset(each for each, right in self.shown_for.items() if right not in asking)


def asked_again(
    standing: Iterable[Finding],
    attested: Collection[int],
    mended: Mapping[int, int],
    held_again: Iterable[Difference],
    now: int,
) -> Again:
    """Return what is asked for again of what an attestation tells to be right.

    ``attested`` are the revisions of false attestations that ``standing`` are of and are told to be
    held after all; ``mended`` those of altered copies, each with that of the right one.
    ``held_again`` are found at ``now`` (seconds, UTC) to be held though told missing.
    """
    ranks: dict[int, Rank] = {}
    shown_for = {each: each for each in attested} | dict(mended)

    def ask(revision: int, rank: Rank) -> None:
        ranks[revision] = min(rank, ranks.get(revision, rank))

    for finding in standing:
        sequence = finding.revision_sequence
        if finding.kind == ATTESTATION_FALSE and sequence in attested:
            ask(sequence, Rank(Why.FALSE, finding.detected_at))
        elif finding.kind in ALTERED and sequence in mended:
            ask(mended[sequence], Rank(Why.ALTERED, finding.resumed(now).deadline))
    for each in held_again:
        ask(each.revision_sequence, Rank(Why.FALSE, now))
        shown_for.setdefault(each.revision_sequence, each.revision_sequence)
    return Again(ranks, shown_for)
