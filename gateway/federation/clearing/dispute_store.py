"""The disputes of one store: open ones for the next clearing, and pages for people. Calls block;
any thread."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Engine, delete, func, insert, select

from creditgate.clearing_disputes import Dispute, answer_id, dispute_id
from creditgate.clearing_entries import (
    MOST_BEFORE,
    ClearingEntry,
    Entries,
    entries_in,
    entries_text,
)
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from gateway.federation.clearing.claims import Claims
from gateway.federation.clearing.disputed import (
    CURRENT,
    DisputeRow,
    OpenDispute,
    opened,
    resolve,
)
from gateway.federation.clearing.stands import HOME, Stand
from gateway.federation.clearing.tables import CLAIMS, DISPUTES, VERSIONS
from gateway.storage.bounded import bounded
from gateway.storage.engines import reading

_D: Final = DISPUTES.c
_V: Final = VERSIONS.c
_OF_VERSION: Final = ("kind", "served", "home_version", "asking_version")
_ROWS_A_STATEMENT: Final = 500
# Home and asking are regions in the one table, and their versions in the other.
_SHOWN: Final = (
    *DISPUTES.c,
    *(_V[name] for name in _OF_VERSION),
    _V.home.label("home_claims"),
    _V.asking.label("asking_claims"),
    func.substr(_V.home_entries, 1, MOST_BEFORE).label("home_first"),
    func.substr(_V.asking_entries, 1, MOST_BEFORE).label("asking_first"),
)


class Changed(NamedTuple):
    """What a clearing changed of what is left out: disputes found, and the answers of those it
    closed."""

    found: tuple[Dispute, ...]
    closed: frozenset[bytes]


class ClosedDispute(NamedTuple):
    """A closed dispute on an answer: every entry that the home region, and the asking one, ever
    claimed in it, in all versions."""

    dispute_id: str
    request_id: str
    chunk: int
    home: frozenset[ClearingEntry]
    asking: frozenset[ClearingEntry]


class SqlDisputes:
    """Disputes on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def opened(self, region: str) -> dict[bytes, OpenDispute]:
        """Return the open disputes with a region, by the ids of their answers."""
        with reading(self._engine) as connection:
            return opened(connection, region)

    def closed(self, region: str) -> set[bytes]:
        """Return the ids of the answers of the closed disputes with a region."""
        query = select(_D.dispute_id).where(_D.region == region, _D.closed.is_not(None))
        with reading(self._engine) as connection:
            return set(map(answer_id, connection.execute(query).scalars()))

    def entries(self, dispute: OpenDispute, side: ClearingStand.ValueType) -> Entries:
        """Return what a side claims of an answer in dispute."""
        column = _V.home_entries if side == HOME else _V.asking_entries
        query = select(column).where(_V.dispute_id == dispute.dispute_id, _V.since == dispute.since)
        with reading(self._engine) as connection:
            return entries_in(connection.execute(query).scalar_one())

    def listed(self, region: str, *, closed: bool, after: str, limit: int) -> Sequence[DisputeRow]:
        """Return disputes behind an id, in order: with one region, or with all for ""."""
        query = select(*_SHOWN).select_from(CURRENT).where(_D.dispute_id > after)
        if region:
            query = query.where(_D.region == region)
        if not closed:
            query = query.where(_D.closed.is_(None))
        with reading(self._engine) as connection:
            return connection.execute(query.order_by(_D.dispute_id).limit(limit)).all()

    def one(self, dispute: str) -> DisputeRow | None:
        """Return a dispute by its id, None where there is none."""
        query = select(*_SHOWN).select_from(CURRENT).where(_D.dispute_id == dispute)
        with reading(self._engine) as connection:
            return connection.execute(query).first()

    def versions(self, dispute: str) -> tuple[Entries, Entries]:
        """Return what the home region and the asking one claim of an answer in dispute now, or
        did last. Raises NoResultFound."""
        query = select(_V.home_entries, _V.asking_entries).select_from(CURRENT)
        with reading(self._engine) as connection:
            home, asking = connection.execute(query.where(_D.dispute_id == dispute)).one()
        return entries_in(home), entries_in(asking)

    def ever(self, region: str) -> Iterator[ClearingEntry]:
        """Give every entry that was ever in dispute with a region, in all versions."""
        query = select(_V.home_entries, _V.asking_entries).where(_V.region == region)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        for row in rows:
            for text in row:
                yield from entries_in(text)

    def closed_by(self, region: str, home: str, until: int) -> list[ClosedDispute]:
        """Return the disputes on answers of ``home`` that the clearing with a region up to ``until``
        closed, and that are closed still, in order."""
        joined = DISPUTES.join(VERSIONS, _D.dispute_id == _V.dispute_id)
        query = (
            select(
                _D.dispute_id,
                _D.request_id,
                _D.chunk,
                _V.home_entries,
                _V.asking_entries,
            )
            .select_from(joined)
            .where(_D.region == region, _D.home == home, _D.closed == until)
            .order_by(_D.dispute_id, _V.since)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found: dict[str, ClosedDispute] = {}
        for own, request_id, chunk, home_entries, asking_entries in rows:
            before = found.get(own, ClosedDispute(own, request_id, chunk, frozenset(), frozenset()))
            found[own] = before._replace(
                home=before.home.union(entries_in(home_entries)),
                asking=before.asking.union(entries_in(asking_entries)),
            )
        return list(found.values())

    def left_out(self, region: str, until: int, *, after: str, limit: int) -> Sequence[DisputeRow]:
        """Return what the clearing with a region up to ``until`` left out, as it was then, behind
        an id, in order."""
        query = (
            select(*_SHOWN)
            .select_from(DISPUTES.join(VERSIONS, _D.dispute_id == _V.dispute_id))
            .where(
                _V.region == region,
                _V.since <= until,
                _V.ended.is_(None) | (_V.ended > until),
                _V.dispute_id > after,
            )
        )
        with reading(self._engine) as connection:
            return connection.execute(query.order_by(_V.dispute_id).limit(limit)).all()

    def changed(self, region: str, until: int) -> Changed:
        """Return what the clearing with a region up to ``until`` changed of what is left out."""
        found = select(_V.kind, _V.home_entries, _V.asking_entries).where(
            _V.region == region, _V.since == until
        )
        ended = select(_V.dispute_id).where(_V.region == region, _V.ended == until)
        with reading(self._engine) as connection:
            disputes = tuple(
                Dispute(ClearingDisputeKind.ValueType(kind), entries_in(home), entries_in(asking))
                for kind, home, asking in connection.execute(found)
            )
            closed = set(map(answer_id, connection.execute(ended).scalars()))
        return Changed(disputes, frozenset(closed - {each.answer.id for each in disputes}))

    def resolve(self, dispute: str, wanted: Stand, by: str, note: str, now: int) -> bool:
        """Let the version ``wanted`` stand in an open dispute; False where there is none.

        Raises OtherVersion where that is not the side's own by now.
        """
        with bounded(self._engine) as connection:
            return resolve(connection, dispute, wanted, by, note, now)

    def keep_claims(self, region: str, until: int, claims: Claims) -> None:
        """Keep what a region claims of the answers that differ up to ``until``, instead of what
        it did before."""
        rows = [
            {
                "region": region,
                "dispute_id": dispute_id(answer),
                "until": until,
                "entries": entries_text(entries),
            }
            for answer, entries in claims.items()
        ]
        with bounded(self._engine) as connection:
            connection.execute(delete(CLAIMS).where(CLAIMS.c.region == region))
            for first in range(0, len(rows), _ROWS_A_STATEMENT):
                connection.execute(insert(CLAIMS), rows[first : first + _ROWS_A_STATEMENT])

    def claims(self, region: str, until: int) -> Claims:
        """Return what `keep_claims` kept for ``until``."""
        query = select(CLAIMS.c.dispute_id, CLAIMS.c.entries).where(
            CLAIMS.c.region == region, CLAIMS.c.until == until
        )
        with reading(self._engine) as connection:
            return {
                answer_id(row.dispute_id): entries_in(row.entries)
                for row in connection.execute(query)
            }
