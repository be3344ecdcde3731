"""What an operator was served, as the usage ledger has it: whole records, and those that a
consent cut."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, bindparam, func, select

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
_PAGE: Final = 4_000
# The chunks of batches have many entries each.
_MOST_ENTRY_BYTES: Final = 16 << 20
_ANSWER: Final = int(ANSWER)
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
        self._opened = Remembered[_Alike, _Opened](_MOST_REMEMBERED)

    def read(self, connection: Connection, operator_id: str, after: int, limit: int) -> Served:
        """Return what the next answers to an operator after a position held: so many as ``limit``, or
        fewer where their entries are many.

        What is credited it may hold all the same: rows that credit are passed over.
        """
        rows, more = _read_answers(connection, operator_id, after, limit)
        plain: list[bytes] = []
        # Firms ask about the same companies again and again: of answers alike the last one tells.
        last_at: dict[_Alike, int] = {}
        for _, consent, served_at, entries, kind, asked_items in rows:
            if kind != _ANSWER or not entries:
                continue
            if not consent:
                plain.append(entries)
            elif last_at.get(alike := (consent, asked_items, entries), -1) < served_at:
                last_at[alike] = served_at
        whole, cut, copies = self._held(connection, last_at)
        return Served(
            rows[-1][0] if rows else after,
            np.concatenate((np.frombuffer(b"".join(plain), np.int64), np.array(whole, np.int64))),
            np.array(cut, np.int64),
            copies,
            more,
        )

    def _held(
        self, connection: Connection, last_at: Mapping[_Alike, int]
    ) -> tuple[list[int], list[int], list[CutCopy]]:
        """Return what answers under consents held, each given last at an instant; see `Served`."""
        known = self._opened.of(last_at.keys(), partial(self._read_opened, connection))
        whole: list[int] = []
        cut: list[int] = []
        copies: list[CutCopy] = []
        for alike, at in last_at.items():
            opened = known.get(alike)
            if opened is None:
                cut += unpack_entries(alike[2])
                continue
            whole += opened.whole
            keep_until = at + opened.life_seconds
            for copy in opened.copies:
                cut.append(copy[0])
                copies.append(CutCopy(*copy, keep_until))
        return whole, cut, copies

    def _read_opened(
        self, connection: Connection, some: Collection[_Alike]
    ) -> Iterable[tuple[_Alike, "_Opened"]]:
        """Yield what answers held, but for those whose consents cannot be read."""
        names = {name.removeprefix(NAME_PREFIX) for name, _, _ in some}
        known = self._consents.of(names, self._consents_by_id)
        entries = [unpack_entries(packed) for _, _, packed in some]
        revisions = self._revisions.of(
            {*chain.from_iterable(entries)}, partial(_read_revisions, connection)
        )
        for alike, sequences in zip(some, entries, strict=True):
            name, asked_items, _ = alike
            if consent := known.get(name.removeprefix(NAME_PREFIX)):
                yield (
                    alike,
                    _Opened.of(consent, asked_items, [revisions[each] for each in sequences]),
                )

    def _consents_by_id(self, consent_ids: Iterable[str]) -> Iterable[tuple[str, Consent]]:
        for some in pages(consent_ids):
            yield from self._read_consents(some).items()


def _read_answers(
    connection: Connection, operator_id: str, after: int, limit: int
) -> tuple[list[Row[*tuple[Any, ...]]], bool]:
    """Return the next answers, and whether there may be more."""
    rows: list[Row[*tuple[Any, ...]]] = []
    size, more = 0, True
    while more and len(rows) < limit and size < _MOST_ENTRY_BYTES:
        page = min(_PAGE, limit - len(rows))
        last = rows[-1][0] if rows else after
        asked = {"operator": operator_id, "after": last, "most": page}
        some = connection.execute(_ANSWERS, asked).all()
        size += sum(len(row.entries) for row in some)
        more = len(some) == page
        rows += some
    return rows, more


def served_operators(connection: Connection) -> dict[str, int]:
    """Return every operator that was ever answered, and the sequence of its last answer."""
    return {row[0]: row[1] for row in connection.execute(_LAST_ANSWERS)}


class _Opened(NamedTuple):
    """What answers alike under a consent held: revisions ``whole``, and ``copies``, each a `CutCopy`
    as far as it does not depend on when it was served; they may be kept ``life_seconds`` from then."""

    whole: Sequence[int]
    copies: Sequence[tuple[int, bytes, bytes, int, str]]
    life_seconds: int

    @classmethod
    def of(cls, consent: Consent, asked_items: str, revisions: Iterable["_Revision"]) -> "_Opened":
        """Return what an answer held that rests on ``consent`` and looked for ``asked_items``."""
        subject, consent_id = consent.subject, consent.consent_id
        items, fields = items_under(consent, asked_items), consent.terms.fields_by_item
        whole: list[int] = []
        copies: list[tuple[int, bytes, bytes, int, str]] = []
        for revision in revisions:
            sequence, item = revision.sequence, revision.item
            if revision.subject == subject and item in items:
                digest, element = revision.cut_to(fields[item])
                until = revision.disclosed_until
                copies.append((sequence, element, digest, until, consent_id))
            else:
                whole.append(sequence)
        return cls(whole, copies, consent.terms.data_life_seconds)


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
