"""What operators were served and should still hold: asked by the revision, by whoever judges.

Answers are exact: what the follower has not come to yet is read too (`gateway.conformance.entitlement`).
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from random import Random
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection

from creditgate.refusal import Refused
from creditgate.transparency.facts import Copy
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.blocks import BLOCK, draw, is_marked, newly_marked
from gateway.conformance.consented import copies_of
from gateway.conformance.entitlement import Entitlements, kept
from gateway.conformance.positions import answers_to, come_to, come_to_answers
from gateway.conformance.revisions import facts_of, revisions_of
from gateway.conformance.served import CutCopy, Served, served_operators
from gateway.conformance.stored import ServedBits, served_bits_of
from gateway.storage.engines import Engines, reading

_DRAWN_FOR_ONE: Final = 3
_NO_BITS: Final = ServedBits(b"", b"")


class ServedAs(NamedTuple):
    """How revisions were served to an operator: those whole, and the copies consents cut.

    ``unread`` are revisions cut by consents that this version cannot read.
    """

    whole: set[int]
    cut: Collection[CutCopy]
    unread: set[int]


class Holdings:
    """Reads what operators were served. Calls block; any thread may ask.

    All raise Refused TEMPORARILY_UNAVAILABLE while the follower is too far behind.
    """

    def __init__(self, engines: Engines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._entitlements = Entitlements(engines)

    def was_served(self, operator_id: str, sequences: Collection[int]) -> set[int]:
        """Return which revisions an operator was ever served, whole or cut."""
        wanted = set(sequences)
        if not wanted:
            return wanted
        with reading(self._evidence) as evidence:
            at = come_to(evidence, answers_to(operator_id))
            stored = _stored(evidence, wanted, operator_id)[operator_id]
        with reading(self._records) as records:
            return stored | _among(wanted, self._entitlements.since(records, operator_id, at))

    def served_as(self, operator_id: str, sequences: Collection[int]) -> ServedAs:
        """Return how an operator was ever served revisions."""
        wanted = set(sequences)
        with reading(self._evidence) as evidence:
            at = come_to(evidence, answers_to(operator_id))
            numbers = {each // BLOCK for each in wanted}
            stored = served_bits_of(evidence, numbers, operator_id)
            bits = {number: each for _, number, each in stored}
            copies = copies_of(evidence, operator_id, wanted)
        whole = {each for each in wanted if is_marked(_of(bits, each).whole, each)}
        under = {each for each in wanted if is_marked(_of(bits, each).cut, each)}
        with reading(self._records) as records:
            later = self._entitlements.since(records, operator_id, at)
            copies += [each for each in later.copies if each.sequence in wanted]
            cut = kept(records, copies).values()
        whole |= wanted.intersection(later.whole.tolist())
        under |= wanted.intersection(later.cut.tolist())
        return ServedAs(whole, cut, under - {each.sequence for each in cut})

    def holders(self, sequences: Collection[int]) -> dict[int, set[str]]:
        """Return the operators that were ever served each revision, whole or cut."""
        wanted = set(sequences)
        holders: dict[int, set[str]] = {sequence: set() for sequence in wanted}
        if not wanted:
            return holders
        with reading(self._records) as records:
            operators = served_operators(records)
        with reading(self._evidence) as evidence:
            at = come_to_answers(evidence)
            stored = _stored(evidence, wanted)
        with reading(self._records) as records:
            for operator_id, last in operators.items():
                found, followed = stored[operator_id], at.get(operator_id, 0)
                if followed < last:
                    later = self._entitlements.since(records, operator_id, followed)
                    found |= _among(wanted, later)
                for sequence in found:
                    holders[sequence].add(operator_id)
        return holders

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies an operator should hold at ``now`` (seconds, UTC)."""
        entitlement = self._entitlements.of(operator_id)
        whole = self._entitlements.whole_held(entitlement, now)
        return len(whole) + len(entitlement.cut_held(now))

    def sample(
        self,
        operator_id: str,
        count: int,
        rng: Random,
        now: int,
        without: Collection[int] = frozenset(),
    ) -> list[int]:
        """Return ``count`` revisions, drawn at random without replacement, of all that an
        operator was served whole and should hold at ``now`` (seconds, UTC), but those
        ``without``; all of these where they are fewer."""
        entitlement = self._entitlements.of(operator_id)
        # Most are wanted: some more are drawn, and the others left out, instead of looking at
        # all. What is left is drawn at random just as well.
        undisputed = newly_marked(entitlement.ended, entitlement.whole)
        drawn = draw(undisputed, _DRAWN_FOR_ONE * count, rng)
        with reading(self._records) as records:
            untils = {each.sequence: each.until for each in facts_of(records, drawn)}
        barred = frozenset(without)
        alive = [each for each in drawn if untils[each] > now and each not in barred]
        if len(alive) >= count or len(drawn) < _DRAWN_FOR_ONE * count:
            return alive[:count]
        whole = self._entitlements.whole_held(entitlement, now)
        whole = whole[~np.isin(whole, np.array(sorted(barred), np.int64))]
        places = rng.sample(range(len(whole)), min(count, len(whole)))
        return whole[places].tolist()

    def copy_of(self, sequence: int) -> Copy:
        """Return a revision as it is disclosed; raises Refused RESOURCE_NOT_FOUND."""
        with reading(self._records) as records:
            for revision in revisions_of(records, [sequence]):
                return revision.copy
        raise Refused(RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, "There is no such revision.")


def _stored(
    evidence: Connection, wanted: Collection[int], operator_id: str = ""
) -> defaultdict[str, set[int]]:
    """Return which of the revisions are written down as served, by operator."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    of_block: defaultdict[int, list[int]] = defaultdict(list)
    for sequence in wanted:
        of_block[sequence // BLOCK].append(sequence)
    for holder, number, bits in served_bits_of(evidence, of_block, operator_id):
        found[holder].update(
            sequence
            for sequence in of_block[number]
            if is_marked(bits.whole, sequence) or is_marked(bits.cut, sequence)
        )
    return found


def _of(bits: Mapping[int, ServedBits], sequence: int) -> ServedBits:
    return bits.get(sequence // BLOCK, _NO_BITS)


def _among(wanted: set[int], served: Served) -> set[int]:
    return wanted.intersection(served.whole.tolist()) | wanted.intersection(served.cut.tolist())
