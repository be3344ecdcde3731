"""What operators were served and should still hold: asked by the revision, by whoever judges.

Answers are exact: what the follower has not come to yet is read too (`gateway.conformance.entitlement`).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import Connection

from creditgate.refusal import Refused
from creditgate.transparency.facts import Copy
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.conformance.blocks import BLOCK, is_marked
from gateway.conformance.consented import copies_of
from gateway.conformance.entitlement import Entitlements
from gateway.conformance.grounds import grounds, kept
from gateway.conformance.positions import come_to_answers
from gateway.conformance.put_right import put_right_of
from gateway.conformance.revisions import revisions_of
from gateway.conformance.served import CutCopy, served_operators
from gateway.conformance.stored import ServedBits, served_bits_of
from gateway.disclose.tables import NO_END
from gateway.storage.engines import Engines, reading

_NO_BITS: Final = ServedBits(b"", b"")


class ServedAs(NamedTuple):
    """How revisions were served to an operator: those whole, and the copies consents cut.

    ``unread`` are revisions cut by consents that this version cannot read.
    """

    whole: set[int]
    cut: Collection[CutCopy]
    unread: set[int]


class _Marked(NamedTuple):
    """Which revisions an operator was served whole, and which a consent cut; ``later`` are the
    copies under consents that are not written down yet."""

    whole: set[int]
    cut: set[int]
    later: Sequence[CutCopy]


class Holdings:
    """Reads what operators were served. Calls block; any thread may ask.

    All raise Refused TEMPORARILY_UNAVAILABLE while the follower is too far behind.
    """

    def __init__(self, engines: Engines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._entitlements = Entitlements(engines)

    def served_as(self, operator_id: str, sequences: Collection[int], now: int) -> ServedAs:
        """Return how an operator was ever served revisions; copies under consents as they are
        judged at ``now`` (seconds, UTC)."""
        ((_, marked),) = self._marked(sequences, operator_id)
        by_revision = self._copies(operator_id, marked)
        with reading(self._records) as records:
            cut = kept(records, chain.from_iterable(by_revision.values()), now).values()
        return ServedAs(marked.whole, cut, {each for each in marked.cut if not by_revision[each]})

    def holders(self, sequences: Collection[int]) -> dict[int, set[str]]:
        """Return the operators that were ever served each revision, whole or cut."""
        found: dict[int, set[str]] = {sequence: set() for sequence in sequences}
        for operator_id, marked in self._marked(sequences):
            for sequence in marked.whole | marked.cut:
                found[sequence].add(operator_id)
        return found

    def keepers(
        self, sequences: Collection[int], operator_id: str = ""
    ) -> dict[int, dict[str, int]]:
        """Return the operators that were served each revision, or have put it right, or of these one
        alone, and until when each may keep a copy of it (seconds, UTC).

        That is `NO_END` for a revision served whole or put right. For one that consents cut it is the longest
        any of them lets it be kept, 0 where the removal of all such copies was acknowledged.
        """
        found: dict[int, dict[str, int]] = {sequence: {} for sequence in sequences}
        with reading(self._evidence) as evidence:
            put_right = put_right_of(evidence, found, operator_id)
        for holder, marked in self._marked(sequences, operator_id):
            whole = marked.whole | put_right.get(holder, set())
            untils = dict.fromkeys(whole, NO_END)
            if cut := marked.cut - whole:
                untils |= self._cut_untils(holder, marked._replace(cut=cut))
            for sequence, until in untils.items():
                found[sequence][holder] = until
        return found

    def consented_until(self, operator_id: str, sequences: Collection[int]) -> Mapping[int, int]:
        """Return until when an operator may keep what consents opened of revisions (seconds, UTC),
        as in `keepers`; revisions of which none did are left out."""
        ((_, marked),) = self._marked(sequences, operator_id)
        return self._cut_untils(operator_id, marked)

    def not_whole(self, operator_id: str, sequences: Collection[int]) -> frozenset[int]:
        """Return those revisions that an operator was never served whole."""
        if not sequences:
            return frozenset()
        ((_, marked),) = self._marked(sequences, operator_id)
        return frozenset(sequences) - marked.whole

    def entitled(self, operator_id: str, now: int) -> int:
        """Return how many copies an operator should hold at ``now`` (seconds, UTC)."""
        entitlement = self._entitlements.of(operator_id, now)
        whole = self._entitlements.whole_held(entitlement, now)
        return len(whole) + len(entitlement.cut_held(now))

    def copy_of(self, sequence: int) -> Copy:
        """Return a revision as it is disclosed; raises Refused RESOURCE_NOT_FOUND."""
        with reading(self._records) as records:
            for revision in revisions_of(records, [sequence]):
                return revision.copy
        raise Refused(RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, "There is no such revision.")

    def _marked(
        self, sequences: Collection[int], operator_id: str = ""
    ) -> Iterator[tuple[str, _Marked]]:
        """Yield operators, or one alone, with how they were served revisions."""
        wanted = set(sequences)
        if not wanted and not operator_id:
            return
        # The positions first: what is written down meanwhile is read twice.
        with reading(self._evidence) as evidence:
            at = come_to_answers(evidence)
            stored = _bits(evidence, wanted, operator_id)
        with reading(self._records) as records:
            last = served_operators(records)
        for holder in [operator_id] if operator_id else last:
            bits, followed = stored[holder], at.get(holder, 0)
            whole = {each for each in wanted if is_marked(_of(bits, each).whole, each)}
            cut = {each for each in wanted if is_marked(_of(bits, each).cut, each)}
            later: Sequence[CutCopy] = ()
            if wanted and followed < last.get(holder, 0):
                with reading(self._records) as records:
                    since = self._entitlements.since(records, holder, followed)
                whole |= wanted.intersection(since.whole.tolist())
                cut |= wanted.intersection(since.cut.tolist())
                later = since.copies
            yield holder, _Marked(whole, cut, later)

    def _copies(self, operator_id: str, marked: _Marked) -> dict[int, list[CutCopy]]:
        """Return the copies of each revision that consents cut, none where no consent can be
        read.

        A revision is served until what ends it and never after, so they are all from before that.
        """
        with reading(self._evidence) as evidence:
            copies = copies_of(evidence, operator_id, marked.cut)
        found: dict[int, list[CutCopy]] = {sequence: [] for sequence in marked.cut}
        for each in (*copies, *marked.later):
            if each.sequence in found:
                found[each.sequence].append(each)
        return found

    def _cut_untils(self, operator_id: str, marked: _Marked) -> dict[int, int]:
        """Return until when copies of revisions that consents cut may be kept: for ever where
        no consent can be read."""
        untils: dict[int, int] = {}
        by_revision = self._copies(operator_id, marked)
        with reading(self._records) as records:
            for sequence, copies in by_revision.items():
                keeps = [each.keep_until for each in grounds(records, copies)]
                untils[sequence] = max(keeps, default=NO_END)
        return untils


def _bits(
    evidence: Connection, wanted: Collection[int], operator_id: str
) -> defaultdict[str, dict[int, ServedBits]]:
    """Return what is written down as served of the blocks of revisions, by operator."""
    found: defaultdict[str, dict[int, ServedBits]] = defaultdict(dict)
    numbers = {sequence // BLOCK for sequence in wanted}
    for holder, number, bits in served_bits_of(evidence, numbers, operator_id):
        found[holder][number] = bits
    return found


def _of(bits: Mapping[int, ServedBits], sequence: int) -> ServedBits:
    return bits.get(sequence // BLOCK, _NO_BITS)
