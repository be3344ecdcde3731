"""What an operator was served, as the usage ledger has it: whole records, and those that a
consent cut."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, func, select

from consent.model import NAME_PREFIX, Consent
from consent.queries import ConsentQueries
from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import Copy
from gateway.conformance.blocks import Sequences
from gateway.disclose.frame import unframe
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.meter.under_consent import items_under
from gateway.respond.mask import masked
from gateway.storage.paging import pages


def _last_answers() -> Select[*tuple[str, int]]:
    # From one operator to the next by the index: their answers are many.
    operators = select(func.min(USAGE.c.operator_id).label("operator_id")).cte(
        "operators", recursive=True
    )
    one = operators.c.operator_id
    following = select(func.min(USAGE.c.operator_id)).where(USAGE.c.operator_id > one)
    operators = operators.union_all(select(following.scalar_subquery()).where(one.is_not(None)))
    one = operators.c.operator_id
    last = select(func.max(USAGE.c.sequence)).where(USAGE.c.operator_id == one)
    return select(one, last.scalar_subquery()).where(one.is_not(None))


_LAST_ANSWERS: Final = _last_answers()
_ANSWERS: Final = (
    select(
        *(USAGE.c.sequence, USAGE.c.consent, USAGE.c.served_at, USAGE.c.entries, USAGE.c.kind),
        USAGE.c.asked_items,
    )
    .where(USAGE.c.operator_id == bindparam("operator"), USAGE.c.sequence > bindparam("after"))
    .order_by(USAGE.c.sequence)
    .limit(bindparam("most"))
)


class CutCopy(NamedTuple):
    """A copy served under a consent: of the revision ``sequence``, its content cut to the
    fields that the consent opens. Its period ends with ``disclosed_until``; it may be kept
    until ``keep_until`` (seconds, UTC), if the consent does not end it sooner. ``gone_at`` is since
    when it is gone by the operator's word on the consent, None where there is none, and
    ``otherwise_until`` until when it could be kept but for that word."""

    sequence: int
    element: bytes
    content_digest: bytes
    disclosed_until: int
    consent_id: str
    keep_until: int
    gone_at: int | None = None
    otherwise_until: int = 0

    @property
    def until(self) -> int:
        """The first instant at which it may not be held, in seconds UTC."""
        return min(self.disclosed_until, self.keep_until)


class Served(NamedTuple):
    """Some answers: all up to ``position``, the sequence of the last, were looked at.

    ``whole`` are revisions served whole, ``cut`` those a consent cut, also where the consent
    cannot be read and so is in no ``copies``. ``more`` tells whether there may be others.
    """

    position: int
    whole: Sequences
    cut: Sequences
    copies: Sequence[CutCopy]
    more: bool


def read_served(
    connection: Connection, consents: ConsentQueries, operator_id: str, after: int, limit: int
) -> Served:
    """Return what the next ``limit`` answers to an operator after a position held.

    What is credited it may hold all the same: rows that credit are passed over.
    """
    asked = {"operator": operator_id, "after": after, "most": limit}
    rows = connection.execute(_ANSWERS, asked).all()
    # By place: to look up a name costs more than everything else an answer needs.
    plain = b"".join([row[3] for row in rows if not row[1] and row[4] == ANSWER])
    under = [row for row in rows if row[1] and row[3] and row[4] == ANSWER]
    cut = _cut_of(connection, consents, under)
    return Served(
        rows[-1].sequence if rows else after,
        np.concatenate((np.frombuffer(plain, np.int64), np.array(cut.whole, np.int64))),
        np.array(cut.cut, np.int64),
        cut.copies,
        len(rows) == limit,
    )


def served_operators(connection: Connection) -> dict[str, int]:
    """Return every operator that was ever answered, and the sequence of its last answer."""
    return {row[0]: row[1] for row in connection.execute(_LAST_ANSWERS)}


@dataclass(slots=True)
class _Cut:
    """What answers under consents held; see `Served`."""

    whole: list[int] = field(default_factory=list[int])
    cut: list[int] = field(default_factory=list[int])
    copies: list[CutCopy] = field(default_factory=list[CutCopy])

    def add(
        self,
        consent: Consent | None,
        answer: Row[*tuple[Any, ...]],
        revisions: Iterable[Row[*tuple[Any, ...]]],
    ) -> None:
        """Add what one answer held; ``consent`` is None where it cannot be read."""
        if consent is None:
            self.cut.extend(revision.sequence for revision in revisions)
            return
        items = items_under(consent, answer.asked_items)
        for revision in revisions:
            if revision.subject == consent.subject and revision.item in items:
                self.cut.append(revision.sequence)
                fields = consent.terms.fields_by_item[revision.item]
                self.copies.append(_cut_copy(revision, consent, fields, answer.served_at))
            else:
                self.whole.append(revision.sequence)


def _cut_of(
    connection: Connection, consents: ConsentQueries, answers: Sequence[Row[*tuple[Any, ...]]]
) -> _Cut:
    found = _Cut()
    if not answers:
        return found
    ids = {answer.consent.removeprefix(NAME_PREFIX) for answer in answers}
    known = {
        consent_id: consent
        for some in pages(ids)
        for consent_id, consent in consents.readable(some).items()
    }
    entries = [unpack_entries(answer.entries) for answer in answers]
    query = _REVISIONS.where
    revisions = {
        row.sequence: row
        for some in pages(set[int]().union(*entries))
        for row in connection.execute(query(REVISIONS.c.sequence.in_(some)))
    }
    for answer, sequences in zip(answers, entries, strict=True):
        consent = known.get(answer.consent.removeprefix(NAME_PREFIX))
        found.add(consent, answer, [revisions[each] for each in sequences])
    return found


def _cut_copy(
    revision: Row[*tuple[Any, ...]], consent: Consent, fields: frozenset[str], served_at: int
) -> CutCopy:
    # Content that has no other fields is cut to itself, byte for byte.
    record = unframe(masked(bytes(revision.frame), tuple(sorted(fields))))
    copy = Copy(
        revision.record_id,
        record.content_digest,
        revision.disclosed_from,
        revision.disclosed_until,
    )
    return CutCopy(
        revision.sequence,
        element_of(copy),
        copy.content_digest,
        copy.disclosed_until,
        consent.consent_id,
        served_at + consent.terms.data_life_seconds,
    )


_REVISIONS: Final = select(
    REVISIONS.c.sequence,
    REVISIONS.c.record_id,
    REVISIONS.c.subject,
    REVISIONS.c.disclosed_from,
    REVISIONS.c.disclosed_until,
    REVISIONS.c.frame,
    LINES.c.item,
).join(LINES, LINES.c.line_no == REVISIONS.c.line_no)
