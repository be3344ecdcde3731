"""Removals of copies that were gone before their event, by an earlier word: nothing is owed for them.

The word is that the removal for an earlier event of the same copy was acknowledged, and the copy not
served since; or that an attestation told it missing. Whether that one was served since the ledger
tells, which is long: it is looked at afterwards, by one process, before anything is held to be
overdue.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select, update

from gateway.conformance.blocks import BLOCK, is_marked
from gateway.conformance.finding_tables import TOLD_MISSING
from gateway.conformance.holdings import Holdings
from gateway.conformance.overdue import Followed
from gateway.conformance.removal_rows import BY_THEMSELVES, SAID_BEFORE
from gateway.conformance.removal_tables import DUTIES, Finding
from gateway.conformance.revisions import revisions_of_records
from gateway.conformance.told_missing import ToldMissing, not_served_since
from gateway.storage.bounded import bounded
from gateway.storage.engines import Engines, reading
from gateway.storage.paging import pages
from gateway.storage.writes import wrote

_AT_ONCE: Final = 500
_D: Final = DUTIES.c
_T: Final = TOLD_MISSING.c
_OF_ROW: Final = (
    _D.operator_id == bindparam("of_operator"),
    _D.event_sequence == bindparam("of_event"),
)
_GONE: Final = (
    update(DUTIES)
    .where(*_OF_ROW, _D.acknowledged_at.is_(None), _D.finding == Finding.NONE.value)
    .values(removed_at=_D.owed_since, acknowledged_at=_D.owed_since, acknowledged_by=SAID_BEFORE)
)
_SAID: Final = (
    select(
        _D.operator_id,
        _D.event_sequence,
        _D.revision_sequence,
        _D.record_id,
        _D.owed_since,
        _D.said_answers,
        _D.said_since,
    )
    .where(_D.said_answers.is_not(None))
    .limit(_AT_ONCE)
)
_LOOKED_AT: Final = update(DUTIES).where(*_OF_ROW).values(said_answers=None, said_since=None)


class Voided(NamedTuple):
    """Copies of one record that an event made void: revisions ``alike``, of which an operator was
    served that of ``last`` last."""

    operator_id: str
    event_sequence: int
    record_id: str
    alike: Collection[int]
    last: int


class Said(NamedTuple):
    """What an operator said before of such copies: that they are ``gone``, or else that it holds
    none, which answers of the ledger after ``answers``, or given again at ``since`` (seconds, UTC)
    or later, excuse that it is otherwise; None where it did not."""

    gone: bool
    answers: int | None = None
    since: int | None = None


def said_of(evidence: Connection, voided: Sequence[Voided]) -> Mapping[tuple[str, int], Said]:
    """Return what was said before of copies, by operator and event."""
    # What has no other like it was never void before.
    gone = _gone_for(evidence, {each.record_id for each in voided if len(each.alike) > 1})
    told = _told(evidence, voided)
    return {
        (each.operator_id, each.event_sequence): Said(gone=True)
        if any(
            event < each.event_sequence and event > each.last and sequence in each.alike
            for event, sequence in gone[each.operator_id, each.record_id]
        )
        else told.get((each.operator_id, each.event_sequence), Said(gone=False))
        for each in voided
    }


def _gone_for(
    evidence: Connection, record_ids: Iterable[str]
) -> defaultdict[tuple[str, str], list[tuple[int, int]]]:
    """Return the events for which operators said that copies of records are gone, and the revisions
    that these made void, by operator and record."""
    query = select(_D.operator_id, _D.record_id, _D.event_sequence, _D.revision_sequence).where(
        _D.acknowledged_at.is_not(None), _D.acknowledged_by.not_in(BY_THEMSELVES)
    )
    found: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for some in pages(record_ids):
        for row in evidence.execute(query.where(_D.record_id.in_(some))):
            found[row[0], row[1]].append((row[2], row[3]))
    return found


def _told(evidence: Connection, voided: Sequence[Voided]) -> dict[tuple[str, int], Said]:
    """Return which copies operators told missing."""
    operators = {each.operator_id for each in voided}
    numbers = {sequence // BLOCK for each in voided for sequence in each.alike}
    rows = {
        (row.operator_id, row.block): row
        for some in pages(operators)
        for some_numbers in pages(numbers)
        for row in evidence.execute(
            select(TOLD_MISSING).where(_T.operator_id.in_(some), _T.block.in_(some_numbers))
        )
    }
    found: dict[tuple[str, int], Said] = {}
    for each in voided if rows else ():
        for sequence in each.alike:
            row = rows.get((each.operator_id, sequence // BLOCK))
            if row is not None and is_marked(bytes(row.bits), sequence):
                said = Said(False, row.answers, row.since)
                found[each.operator_id, each.event_sequence] = said
    return found


class SaidBefore:
    """Follows ``duties``, and ends what was said to be gone before. Calls block; of all processes one
    does it at a time."""

    def __init__(self, engines: Engines, duties: Followed, holdings: Holdings) -> None:
        self._records = engines.records
        self._evidence = engines.evidence
        self._duties = duties
        self._holdings = holdings

    def follow(self) -> None:
        """Write down what is owed for all events there are, and what of it is not after all."""
        self._duties.follow()
        while self._settle_some():
            pass

    def _settle_some(self) -> bool:
        with reading(self._evidence) as evidence:
            rows = evidence.execute(_SAID).all()
        if not rows:
            return False
        by_word: defaultdict[tuple[str, int, int], list[Row[*tuple[Any, ...]]]] = defaultdict(list)
        for row in rows:
            by_word[row.operator_id, row.said_answers, row.said_since].append(row)
        gone = [row for word, some in by_word.items() for row in self._gone(*word, some)]
        with bounded(self._evidence) as evidence:
            if gone:
                evidence.execute(_GONE, [_key(row) for row in gone])
                wrote(evidence, DUTIES, [(row.operator_id, row.event_sequence) for row in gone])
            evidence.execute(_LOOKED_AT, [_key(row) for row in rows])
        return len(rows) == _AT_ONCE

    def _gone(
        self, operator_id: str, answers: int, since: int, rows: Sequence[Row[*tuple[Any, ...]]]
    ) -> list[Row[*tuple[Any, ...]]]:
        """Return what an operator owes of which it was served nothing since its word; what a consent
        opened besides is owed all the same."""
        with reading(self._records) as records:
            revisions = list(revisions_of_records(records, {row.record_id for row in rows}))
        copies = {each.sequence: each.copy for each in revisions}
        alike: defaultdict[object, list[int]] = defaultdict(list)
        for sequence, copy in copies.items():
            alike[copy].append(sequence)
        # What the store of records does not know, since it was set back, is owed.
        rows = [row for row in rows if row.revision_sequence in copies]
        own = {row.event_sequence: alike[copies[row.revision_sequence]] for row in rows}
        every = np.array(sorted({each for some in own.values() for each in some}), np.int64)
        told = ToldMissing(every, answers, since)
        left = set[int](not_served_since(self._records, operator_id, told).tolist())
        untils = self._holdings.consented_until(operator_id, every.tolist())
        return [
            row
            for row in rows
            if left.issuperset(own[row.event_sequence])
            and all(untils.get(each, 0) <= row.owed_since for each in own[row.event_sequence])
        ]


def _key(row: Row[*tuple[Any, ...]]) -> dict[str, object]:
    return {"of_operator": row.operator_id, "of_event": row.event_sequence}
