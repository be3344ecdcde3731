"""Judging the copies by which an operator's set and the disclosure differ, with what the stores
know of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from creditgate.transparency.facts import Copy
from creditgate.v1.vocabulary_pb2 import Severity
from gateway.conformance.classify import (
    AsServed,
    Grace,
    Judgement,
    Known,
    judge_served,
    judge_shown,
)
from gateway.conformance.comparing import MOST_LISTED
from gateway.conformance.holdings import Holdings
from gateway.conformance.model import MISSING, Difference
from gateway.conformance.removal_rows import acknowledged_of
from gateway.conformance.revisions import (
    Revision,
    record_ids_of,
    revisions_of,
    revisions_of_records,
)
from gateway.conformance.served import CutCopy
from gateway.storage.engines import Engines, reading


class Differing(NamedTuple):
    """What an operator's copies and those it should hold differ by.

    ``missing`` are revisions, by their sequences, of which it should hold a copy and does not;
    ``missing_cut`` the copies under consents it should hold and does not.
    ``former`` are revisions, and ``former_cut`` copies, that it holds as they were served but
    should not hold any more; ``shown`` are copies it holds that are like none served.
    """

    missing: Collection[int]
    missing_cut: Collection[CutCopy]
    former: Collection[int]
    former_cut: Collection[CutCopy]
    shown: Sequence[Copy]


class Judged(NamedTuple):
    """All differences, several of a kind and record where there are; and whether some copy is
    only not held against the operator yet."""

    differences: Sequence[Difference]
    excused: bool


class Judge:
    """Judges differences. Calls block; any thread may ask."""

    def __init__(self, engines: Engines) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._holdings = Holdings(engines)

    def judge(self, operator_id: str, differing: Differing, grace: Grace) -> Judged:
        """Return what is to be said of all that differs; raises Refused as `Holdings`."""
        former = self._revisions(
            {*differing.former, *(copy.sequence for copy in differing.former_cut)}
        )
        known = self._known(operator_id, {copy.record_id for copy in differing.shown}, grace.now)
        of_known = chain.from_iterable(each.revisions for each in known.values())
        grace = self._without_acknowledged(operator_id, [*former.values(), *of_known], grace)
        judgements = [
            *_former(differing, former, grace),
            *(judge_shown(copy, known[copy.record_id], grace) for copy in differing.shown),
        ]
        return Judged(
            [
                *(each.difference for each in judgements if each.difference is not None),
                *self._missing(differing),
            ],
            any(each.excused for each in judgements),
        )

    def _without_acknowledged(
        self, operator_id: str, revisions: Iterable[Revision], grace: Grace
    ) -> Grace:
        """Return ``grace`` without what an operator has acknowledged to be gone."""
        endings = {
            each.ending.event_sequence
            for each in revisions
            if each.ending is not None and grace.covers(each.ending, each.severity)
        }
        with reading(self._evidence) as evidence:
            return grace._replace(acknowledged=acknowledged_of(evidence, operator_id, endings))

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
        for revision in revisions:
            of_record = known[revision.copy.record_id]
            of_record.revisions.append(revision)
            if revision.sequence in served.whole:
                of_record.served.append(AsServed(revision, revision.copy.content_digest))
            of_record.served.extend(_as_cut(revision, each) for each in cut[revision.sequence])
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

    def _revisions(self, sequences: Iterable[int]) -> Mapping[int, Revision]:
        with reading(self._records) as records:
            return {each.sequence: each for each in revisions_of(records, sequences)}


def _former(
    differing: Differing, revisions: Mapping[int, Revision], grace: Grace
) -> Iterator[Judgement]:
    for sequence in differing.former:
        revision = revisions[sequence]
        yield judge_served(AsServed(revision, revision.copy.content_digest), grace)
    for copy in differing.former_cut:
        yield judge_served(_as_cut(revisions[copy.sequence], copy), grace)


def _as_cut(revision: Revision, copy: CutCopy) -> AsServed:
    return AsServed(revision, copy.content_digest, copy.keep_until)
