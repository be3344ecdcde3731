"""What an operator was served, as the usage ledger has it: whole records, and those that a
consent cut."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Select, bindparam, func, select

from consent.model import NAME_PREFIX, Consent
from consent.queries import ConsentQueries
from creditgate.reconcile.elements import element_of
from creditgate.transparency.facts import Copy
from gateway.conformance.blocks import Sequences
from gateway.disclose.tables import LINES, REVISIONS
from gateway.meter.model import ANSWER, unpack_entries
from gateway.meter.tables import USAGE
from gateway.meter.under_consent import items_under
from gateway.respond.mask import cut_digest
from gateway.storage.paging import pages
from gateway.storage.remembered import Remembered

_MOST_REMEMBERED: Final = 8_192
_Alike = tuple[str, str, bytes]
"""The name of the consent an answer rests on, its asked items, and its entries."""


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


class ServedReader:
    """Reads what answers held; any thread. A revision is never changed, nor are a consent's terms, so
    what was read once is remembered (bounded), with what consents leave of it."""

    def __init__(self, consents: ConsentQueries) -> None:
        self._read_consents = consents.readable
        self._consents = Remembered[str, Consent](_MOST_REMEMBERED)
        self._revisions = Remembered[int, _Revision](_MOST_REMEMBERED)

    def read(self, connection: Connection, operator_id: str, after: int, limit: int) -> Served:
        """Return what the next ``limit`` answers to an operator after a position held.

        What is credited it may hold all the same: rows that credit are passed over.
        """
        asked = {"operator": operator_id, "after": after, "most": limit}
        rows = connection.execute(_ANSWERS, asked).all()
        # By place: to look up a name costs more than everything else an answer needs.
        plain = b"".join([row[3] for row in rows if not row[1] and row[4] == ANSWER])
        # Firms ask about the same companies again and again: of answers alike the last one tells.
        last_at: dict[_Alike, int] = {}
        for row in rows:
            if row[1] and row[3] and row[4] == ANSWER:
                alike = row[1], row[5], row[3]
                last_at[alike] = max(row[2], last_at.get(alike, row[2]))
        cut = self._cut_of(connection, last_at)
        return Served(
            rows[-1].sequence if rows else after,
            np.concatenate((np.frombuffer(plain, np.int64), np.array(cut.whole, np.int64))),
            np.array(cut.cut, np.int64),
            cut.copies,
            len(rows) == limit,
        )

    def _cut_of(self, connection: Connection, last_at: Mapping[_Alike, int]) -> "_Cut":
        """Return what answers under consents held, each given last at an instant."""
        found = _Cut()
        if not last_at:
            return found
        ids = {name.removeprefix(NAME_PREFIX) for name, _, _ in last_at}
        known = self._consents.of(ids, self._consents_by_id)
        entries = [unpack_entries(packed) for _, _, packed in last_at]
        revisions = self._revisions.of(
            {*chain.from_iterable(entries)}, partial(_read_revisions, connection)
        )
        for ((name, asked_items, _), at), sequences in zip(last_at.items(), entries, strict=True):
            consent = known.get(name.removeprefix(NAME_PREFIX))
            if consent is None:
                found.cut.extend(sequences)
            else:
                found.add(consent, asked_items, at, [revisions[each] for each in sequences])
        return found

    def _consents_by_id(self, consent_ids: Iterable[str]) -> Iterable[tuple[str, Consent]]:
        for some in pages(consent_ids):
            yield from self._read_consents(some).items()


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
        self, consent: Consent, asked_items: str, served_at: int, revisions: Iterable["_Revision"]
    ) -> None:
        """Add what an answer held that rests on ``consent`` and looked for ``asked_items``."""
        subject, consent_id = consent.subject, consent.consent_id
        items, fields = items_under(consent, asked_items), consent.terms.fields_by_item
        keep_until = served_at + consent.terms.data_life_seconds
        for revision in revisions:
            sequence, item = revision.sequence, revision.item
            if revision.subject == subject and item in items:
                digest, element = revision.cut_to(fields[item])
                until = revision.disclosed_until
                self.cut.append(sequence)
                self.copies.append(
                    CutCopy(sequence, element, digest, until, consent_id, keep_until)
                )
            else:
                self.whole.append(sequence)


@dataclass(slots=True)
class _Revision:
    """A row of `_REVISIONS`."""

    sequence: int
    record_id: str
    subject: str
    disclosed_from: int
    disclosed_until: int
    frame: bytes
    item: str
    _cuts: dict[frozenset[str], tuple[bytes, bytes]] = field(
        default_factory=dict[frozenset[str], tuple[bytes, bytes]]
    )

    def cut_to(self, fields: frozenset[str]) -> tuple[bytes, bytes]:
        """Return the digest and the element of a copy cut to ``fields``."""
        cut = self._cuts.get(fields)
        if cut is None:
            # Content that has no other fields is cut to itself, byte for byte.
            digest = cut_digest(bytes(self.frame), fields)
            copy = Copy(self.record_id, digest, self.disclosed_from, self.disclosed_until)
            cut = self._cuts[fields] = digest, element_of(copy)
        return cut


_REVISIONS: Final = select(
    REVISIONS.c.sequence,
    REVISIONS.c.record_id,
    REVISIONS.c.subject,
    REVISIONS.c.disclosed_from,
    REVISIONS.c.disclosed_until,
    REVISIONS.c.frame,
    LINES.c.item,
).join(LINES, LINES.c.line_no == REVISIONS.c.line_no)


def _read_revisions(
    connection: Connection, sequences: Iterable[int]
) -> Iterable[tuple[int, _Revision]]:
    for some in pages(sequences):
        rows = connection.execute(_REVISIONS.where(REVISIONS.c.sequence.in_(some)))
        yield from ((row[0], _Revision(*row)) for row in rows)
