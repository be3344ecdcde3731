"""Judging the copies by which an operator's set and the disclosure differ, with what the stores
know of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from creditgate.transparency.facts import Copy
from creditgate.v1.disclosed_record_pb2 import DisclosureEventKind
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.blocks import sequences_of
from gateway.conformance.classify import (
    AsServed,
    Grace,
    Judgement,
    Known,
    judge_served,
    judge_shown,
)
from gateway.conformance.comparing import MOST_LISTED
from gateway.conformance.elsewhere import Elsewhere, by_record, judge_elsewhere, region_of
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import MISSING, Difference
from gateway.conformance.put_right import put_right_bits
from gateway.conformance.removal_rows import removals_for
from gateway.conformance.revisions import (
    Revision,
    newest_alike,
    record_ids_of,
    revisions_of,
    revisions_of_records,
)
from gateway.conformance.served import CutCopy
from gateway.conformance.uptime import outages_since
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages

MOST_FAULTS: Final = 50_000
"""Most faults of one attestation that are told one by one."""
_AT_ONCE: Final = 500
_CORRECTED: Final = DisclosureEventKind.DISCLOSURE_EVENT_KIND_CORRECTED


class Differing(NamedTuple):
    """What an operator's copies and those it should hold differ by.

    ``missing`` are revisions, by their sequences, of which it should hold a copy and does not;
    ``missing_cut`` the copies under consents it should hold and does not.
    ``former`` are revisions, and ``former_cut`` copies, that it holds as they were served but
    should not hold any more; ``shown`` are copies it holds that are like none served, and
    ``beyond`` is how many more of these there are.
    """

    missing: Collection[int]
    missing_cut: Collection[CutCopy]
    former: Collection[int]
    former_cut: Collection[CutCopy]
    shown: Sequence[Copy]
    beyond: int = 0


class Judged(NamedTuple):
    """All differences, several of a kind and record where there are; whether some copy is only
    not held against the operator yet, and this region's events that made such void, ``excused_for``;
    and how many faults there are ``beyond``, told of which no more is than their number. ``void_elsewhere`` are the records of other regions, by region and
    id, of which a copy is held that should not be, excused or not. ``right`` are the revisions, by their
    sequences, of which right copies are held that were never served so; ``unsaid`` are those that were
    put right before and are not held, of which nothing is said, since another copy of the record is."""

    differences: Sequence[Difference]
    excused: bool
    beyond: int
    void_elsewhere: frozenset[tuple[str, str]] = frozenset()
    right: frozenset[int] = frozenset()
    unsaid: frozenset[int] = frozenset()
    excused_for: frozenset[int] = frozenset()


class Judge:
    """Judges differences. Calls block; any thread may ask."""

    def __init__(self, engines: Engines, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere
        self._records = engines.records
        self._evidence = engines.evidence
        self._holdings = Holdings(engines)

    def judge(self, operator_id: str, differing: Differing, grace: Grace) -> Judged:
        """Return what is to be said of all that differs; raises Refused as `Holdings`."""
        differences: list[Difference] = []
        void_elsewhere: set[tuple[str, str]] = set()
        right: set[int] = set()
        excused_for: set[int] = set()
        excused, beyond = False, differing.beyond
        unsaid = self._unsaid(operator_id, differing)
        if unsaid:
            differing = differing._replace(missing=set(differing.missing) - unsaid)
        for each in chain(
            self._former(operator_id, differing, grace),
            self._shown(operator_id, differing.shown, grace, void_elsewhere),
        ):
            excused |= each.excused
            if each.event_sequence:
                excused_for.add(each.event_sequence)
            if each.right:
                right.add(each.right)
            if each.difference is None:
                continue
            if len(differences) < MOST_FAULTS:
                differences.append(each.difference)
            else:
                beyond += 1
        return Judged(
            [*differences, *self._missing(differing)],
            excused,
            beyond,
            frozenset(void_elsewhere),
            frozenset(right),
            unsaid,
            frozenset(excused_for),
        )

    def _unsaid(self, operator_id: str, differing: Differing) -> frozenset[int]:
        """Return what was put right and is missing of records of which another copy is held: who
        restored an older one sets its period anew, and need not be served it for that."""
        with reading(self._evidence) as evidence:
            own = set(sequences_of(put_right_bits(evidence, operator_id)).tolist())
        own = own.intersection(differing.missing) if own else own
        put_right = self._holdings.not_whole(operator_id, own)
        if not put_right:
            return put_right
        shown = {copy.record_id for copy in differing.shown}
        with reading(self._records) as records:
            of_missing = record_ids_of(records, put_right)
            former = set(record_ids_of(records, differing.former).values())
        return frozenset(each for each, record in of_missing.items() if record in shown | former)

    def _former(self, operator_id: str, differing: Differing, grace: Grace) -> Iterator[Judgement]:
        """Yield what is to be said of copies held as they were served, some at a time: they may be
        all that were ever served."""
        for some in pages(differing.former):
            revisions = self._as_last(self._revisions(some))
            own = self._with_removals(operator_id, revisions.values(), grace)
            for sequence, each in revisions.items():
                judged = judge_served(AsServed(each, each.copy.content_digest), own)
                # Of the newest like it, it was never served; of any other it is no more.
                yield judged.if_right(0 if each.sequence == sequence else each.sequence)
        copies = list(differing.former_cut)
        for start in range(0, len(copies), _AT_ONCE):
            some_cut = copies[start : start + _AT_ONCE]
            revisions = self._as_last(self._revisions({copy.sequence for copy in some_cut}))
            own = self._with_removals(operator_id, revisions.values(), grace)
            for copy in some_cut:
                yield judge_served(_as_cut(revisions[copy.sequence], copy), own)

    def _shown(
        self,
        operator_id: str,
        shown: Sequence[Copy],
        grace: Grace,
        void_elsewhere: set[tuple[str, str]],
    ) -> Iterator[Judgement]:
        """Yield what is to be said of copies that are like none served, and note of which records
        of other regions a copy is held that should not be."""
        if not shown:
            return
        known = self._known(operator_id, {copy.record_id for copy in shown}, grace.now)
        given = by_record(self._elsewhere.given(operator_id, known))
        of_known = chain.from_iterable(each.revisions for each in known.values())
        grace = self._with_removals(operator_id, of_known, grace)
        for copy in shown:
            own, others = known[copy.record_id], given.get(copy.record_id, {})
            region = region_of(copy, others, own)
            if not region:
                yield judge_shown(copy, own, grace)
                continue
            judged = judge_elsewhere(copy, others[region], grace)
            if judged.excused or judged.difference is not None:
                void_elsewhere.add((region, copy.record_id))
            yield judged

    def _with_removals(
        self, operator_id: str, revisions: Iterable[Revision], grace: Grace
    ) -> Grace:
        """Return ``grace`` with the removals an operator owes for what ended revisions."""
        endings = {
            each.ending.event_sequence: each.ending.at
            for each in revisions
            if each.ending is not None and each.ending.event_sequence > grace.after
        }
        with reading(self._evidence) as evidence:
            removals = removals_for(evidence, operator_id, endings)
            unwritten = [at for event, at in endings.items() if event not in removals]
            outages = outages_since(evidence, min(unwritten)) if unwritten else ()
        return grace._replace(removals=removals, outages=outages)

    def _known(
        self, operator_id: str, record_ids: Collection[str], now: int
    ) -> Mapping[str, Known]:
        """Return what is known of records, and what an operator was served of them, as of ``now``
        (seconds, UTC)."""
        with reading(self._records) as records:
            revisions = list(revisions_of_records(records, record_ids))
        served = self._holdings.served_as(operator_id, {each.sequence for each in revisions}, now)
        cut: defaultdict[int, list[CutCopy]] = defaultdict(list)
        for copy in served.cut:
            cut[copy.sequence].append(copy)
        unread = {each.copy.record_id for each in revisions if each.sequence in served.unread}
        known = {record_id: Known([], [], record_id in unread) for record_id in record_ids}
        last = newest_alike(revisions)
        for revision in revisions:
            of_record, alike = known[revision.copy.record_id], last[revision.copy]
            of_record.revisions.append(revision)
            if revision.sequence in served.whole:
                of_record.served.append(AsServed(alike, revision.copy.content_digest))
            of_record.served.extend(_as_cut(alike, each) for each in cut[revision.sequence])
        return known

    def _missing(self, differing: Differing) -> Iterator[Difference]:
        """Yield what is missing; beyond what is ever listed, by record alone."""
        cut = self._revisions({copy.sequence for copy in differing.missing_cut})
        for revision in cut.values():
            yield Difference(MISSING, revision.copy.record_id, revision.severity, b"", 0, 0)
        sequences = sorted(differing.missing)
        revisions = self._revisions(sequences[:MOST_LISTED])
        with reading(self._records) as records:
            others = record_ids_of(records, sequences[MOST_LISTED:])
        for sequence, revision in revisions.items():
            yield Difference(MISSING, revision.copy.record_id, revision.severity, b"", 0, sequence)
        for sequence, record_id in others.items():
            yield Difference(MISSING, record_id, Severity.SEVERITY_UNSPECIFIED, b"", 0, sequence)

    def _as_last(self, revisions: Mapping[int, Revision]) -> Mapping[int, Revision]:
        """Return in place of each revision the newest with the same copy: one corrected back to
        what it was is right."""
        corrected = {
            each.copy.record_id
            for each in revisions.values()
            if each.ending is not None and each.ending.kind == _CORRECTED
        }
        with reading(self._records) as records:
            last = newest_alike(revisions_of_records(records, corrected))
        return {sequence: last.get(each.copy, each) for sequence, each in revisions.items()}

    def _revisions(self, sequences: Iterable[int]) -> Mapping[int, Revision]:
        with reading(self._records) as records:
            return {each.sequence: each for each in revisions_of(records, sequences)}


def _as_cut(revision: Revision, copy: CutCopy) -> AsServed:
    return AsServed(
        revision, copy.content_digest, copy.keep_until, copy.gone_at, copy.otherwise_until
    )
