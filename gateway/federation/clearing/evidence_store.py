"""Evidence on disputes as it is kept: what this region made, what the other showed, and of which
disputes there is none of its own yet."""

from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, select, update

from creditgate.clearing_entries import AnswerKey, Version
from creditgate.v1.clearing_service_pb2 import ClearingStand
from gateway.federation.clearing.disputed import CURRENT
from gateway.federation.clearing.tables import DISPUTES, EVIDENCE, VERSIONS
from gateway.storage.bounded import LONG_SECONDS, bounded
from gateway.storage.engines import reading
from gateway.storage.inserts import INSERT
from gateway.storage.writes import wrote

_D: Final = DISPUTES.c
_E: Final = EVIDENCE.c
_AT_ONCE: Final = 500
_MOST_PIECES: Final = 5_000
"""Most that are looked at for one message."""

Judge = Callable[[Version | None, Version | None, Sequence[bytes]], ClearingStand.ValueType]
"""Tells whose version pieces of evidence support: of the home region's and the asking one's."""


class Piece(NamedTuple):
    """Evidence on a dispute, a serialised ClearingEvidence."""

    dispute_id: str
    evidence: bytes


class Shown(NamedTuple):
    """Evidence that goes with a clearing: ``own`` what this region shows, ``tried`` the disputes it
    looked for evidence of just then, ``theirs`` what the other showed."""

    own: Sequence[Piece]
    tried: Sequence[str]
    theirs: Sequence[Piece] = ()


class SqlEvidence:
    """Evidence on SQLite and PostgreSQL. Calls block; any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def unproved(self, region: str, tried: int, limit: int) -> list[tuple[str, AnswerKey]]:
        """Return open disputes with a region of which this one has made no evidence, those first
        that it tried longest ago, and not after ``tried`` (seconds, UTC)."""
        query = (
            select(_D.dispute_id, _D.home, _D.asking, _D.request_id, _D.chunk)
            .where(
                _D.region == region,
                _D.proved.is_(False),
                _D.tried <= tried,
                _D.closed.is_(None),
            )
            .order_by(_D.tried, _D.dispute_id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [(row[0], AnswerKey(*row[1:])) for row in connection.execute(query)]

    def unshown(self, region: str, most_bytes: int) -> list[Piece]:
        """Return what this region made of open disputes and has not shown yet, as far as it goes
        into a message."""
        query = (
            select(_E.dispute_id, _E.evidence)
            .join(DISPUTES, _D.dispute_id == _E.dispute_id)
            .where(_E.region == region, _E.own.is_(True), _E.shown == 0, _D.closed.is_(None))
            .order_by(_E.dispute_id)
            .limit(_MOST_PIECES)
        )
        found: list[Piece] = []
        with reading(self._engine) as connection:
            for dispute, evidence in connection.execute(query):
                # One that does not fit keeps no other back.
                if len(evidence) <= most_bytes:
                    most_bytes -= len(evidence)
                    found.append(Piece(dispute, bytes(evidence)))
        return found

    def own_shown(self, region: str, until: int) -> list[bytes]:
        """Return what this region showed with the clearing up to ``until``."""
        query = select(_E.evidence).where(_E.region == region, _E.own.is_(True), _E.shown == until)
        with reading(self._engine) as connection:
            return [bytes(each) for each in connection.execute(query).scalars()]

    def of(self, disputes: Collection[str]) -> dict[str, list[bytes]]:
        """Return the evidence at hand on some disputes."""
        found: dict[str, list[bytes]] = {}
        query = select(_E.dispute_id, _E.evidence).where(_E.dispute_id.in_(disputes))
        with reading(self._engine) as connection:
            for dispute, evidence in connection.execute(query.order_by(_E.dispute_id, _E.digest)):
                found.setdefault(dispute, []).append(bytes(evidence))
        return found

    def known(self, disputes: Collection[str]) -> set[str]:
        """Return those of some disputes that are open."""
        wanted, found = list(disputes), set[str]()
        with reading(self._engine) as connection:
            for first in range(0, len(wanted), _AT_ONCE):
                some = wanted[first : first + _AT_ONCE]
                query = select(_D.dispute_id).where(_D.dispute_id.in_(some), _D.closed.is_(None))
                found.update(connection.execute(query).scalars())
        return found

    def keep_own(self, region: str, made: Shown, judge: Judge, now: int) -> None:
        """Keep what this region made between clearings, at ``now`` (seconds, UTC)."""
        with bounded(self._engine, LONG_SECONDS) as connection:
            keep(connection, region, made, (), judge, shown=0, now=now)


def keep(
    connection: Connection,
    region: str,
    evidence: Shown,
    found: Iterable[str],
    judge: Judge,
    *,
    shown: int,
    now: int,
) -> None:
    """Keep evidence on disputes with a region, exchanged with the clearing up to ``shown``, and
    whose versions it supports; of the disputes ``found`` anew as well."""
    for pieces, own in ((evidence.own, True), (evidence.theirs, False)):
        rows = [
            {
                "dispute_id": piece.dispute_id,
                "digest": sha256(piece.evidence).hexdigest(),
                "region": region,
                "own": own,
                "shown": shown,
                "evidence": piece.evidence,
            }
            for piece in pieces
        ]
        insert = INSERT[connection.dialect.name](EVIDENCE)
        if rows:
            kept = insert.on_conflict_do_update(
                index_elements=[_E.dispute_id, _E.digest], set_={"shown": insert.excluded.shown}
            )
            connection.execute(kept, rows)
    proved = {piece.dispute_id for piece in evidence.own}
    for ids, values in ((evidence.tried, {"tried": now}), (proved, {"proved": True})):
        if ids:
            own_id = update(DISPUTES).where(_D.dispute_id == bindparam("own_id"))
            connection.execute(own_id.values(values), [{"own_id": each} for each in ids])
    changed = proved | {piece.dispute_id for piece in evidence.theirs} | set(found)
    _judge(connection, sorted(changed), judge)
    wrote(connection, DISPUTES, [(each,) for each in sorted(changed)])


def _judge(connection: Connection, disputes: Sequence[str], judge: Judge) -> None:
    for first in range(0, len(disputes), _AT_ONCE):
        some = disputes[first : first + _AT_ONCE]
        pieces: dict[str, list[bytes]] = {}
        of_some = select(_E.dispute_id, _E.evidence).where(_E.dispute_id.in_(some))
        for dispute, evidence in connection.execute(of_some):
            pieces.setdefault(dispute, []).append(bytes(evidence))
        versions = (
            select(_D.dispute_id, VERSIONS.c.home, VERSIONS.c.asking)
            .select_from(CURRENT)
            .where(_D.dispute_id.in_(some))
        )
        told = [
            {"own_id": dispute, "by": int(judge(Version.read(home), Version.read(asking), of))}
            for dispute, home, asking in connection.execute(versions).all()
            if (of := pieces.get(dispute))
        ]
        if told:
            by = update(DISPUTES).where(_D.dispute_id == bindparam("own_id"))
            connection.execute(by.values(supported=bindparam("by")), told)
