"""Entries that clearings leave out, as they are kept; within a transaction of the caller's."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from creditgate.clearing import ClearingEntry, Dispute, EntryPart
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from gateway.federation.clearing.stands import UNDECIDED, Stand, conceded, next_stand, stand_of
from gateway.federation.clearing.tables import DISPUTES
from gateway.storage.writes import wrote

_D: Final = DISPUTES.c

DisputeRow = Row[*tuple[Any, ...]]
"""A row of `tables.DISPUTES`."""


class Told(NamedTuple):
    """A dispute and whose version the evidence supports."""

    dispute: Dispute
    supported: ClearingStand.ValueType


def entry_in(text: str) -> ClearingEntry | None:
    """Return an entry as it is kept, None for ""."""
    return EntryPart.model_validate_json(text).entry if text else None


def dispute_in(row: DisputeRow) -> Dispute:
    """Return the dispute that a row tells of."""
    return Dispute(
        ClearingDisputeKind.ValueType(row.kind),
        entry_in(row.home_entry),
        entry_in(row.asking_entry),
    )


def stand_in(row: DisputeRow) -> Stand:
    """Return whose version stands, as a row tells."""
    return Stand(ClearingStand.ValueType(row.stands), row.stands_version)


class OtherVersion(Exception):
    """The side has another version by now than the one that was to stand."""


def resolve(
    connection: Connection,
    dispute_id: str,
    wanted: Stand,
    by: str,
    note: str,
    now: int,
) -> DisputeRow | None:
    """Return an open dispute once the version ``wanted`` stands; None where there is no such
    dispute. Raises OtherVersion where it is not the side's own by now."""
    own = _D.dispute_id == dispute_id
    while True:
        row = connection.execute(select(DISPUTES).where(own, _D.closed.is_(None))).first()
        if row is None:
            return None
        stand = stand_of(dispute_in(row), wanted.side)
        if stand != wanted:
            raise OtherVersion
        # A clearing may change the versions meanwhile: then it is another that would stand.
        resolved = connection.execute(
            update(DISPUTES)
            .where(
                own,
                _D.closed.is_(None),
                _D.home_entry == row.home_entry,
                _D.asking_entry == row.asking_entry,
            )
            .values(
                stands=int(stand.side),
                stands_version=stand.version,
                resolved_by=by,
                resolved_at=now,
                note=note,
            )
        )
        if resolved.rowcount:
            wrote(connection, DISPUTES, [(dispute_id,)])
            return connection.execute(select(DISPUTES).where(own)).one()


def leave_out(connection: Connection, region: str, until: int, told: Sequence[Told]) -> int:
    """Keep what a clearing with a region leaves out, up to ``until``, and close what it no longer
    does.

    Return how many concessions hold no more, since the region has another version by now.
    """
    rows = connection.execute(select(DISPUTES).where(_D.region == region)).all()
    before = {row.dispute_id: row for row in rows if row.closed is None}
    known = {row.dispute_id for row in rows}
    withdrawn = 0
    for each in told:
        dispute_id = each.dispute.dispute_id
        stand = UNDECIDED
        # One that was closed and comes again is another demand: nobody has said what stands.
        if (row := before.get(dispute_id)) is not None:
            was, stand_before = dispute_in(row), stand_in(row)
            stand = next_stand(was, stand_before, each.dispute, region)
            withdrawn += stand == UNDECIDED and conceded(was, stand_before, region)
        now = _values(each, stand)
        if dispute_id in known:
            connection.execute(update(DISPUTES).where(_D.dispute_id == dispute_id).values(**now))
        else:
            known.add(dispute_id)
            connection.execute(
                insert(DISPUTES).values(
                    dispute_id=dispute_id,
                    region=region,
                    found=until,
                    resolved_by="",
                    note="",
                    **now,
                )
            )
    left_out = {each.dispute.dispute_id for each in told}
    closed = sorted(before.keys() - left_out)
    for dispute_id in closed:
        connection.execute(update(DISPUTES).where(_D.dispute_id == dispute_id).values(closed=until))
    wrote(connection, DISPUTES, [(each,) for each in sorted(left_out | set(closed))])
    return withdrawn


def _values(told: Told, stand: Stand) -> dict[str, object]:
    return {
        "kind": int(told.dispute.kind),
        "home_entry": _text(told.dispute.home_entry),
        "asking_entry": _text(told.dispute.asking_entry),
        "supported": int(told.supported),
        "stands": int(stand.side),
        "stands_version": stand.version,
        "closed": None,
    }


def _text(entry: ClearingEntry | None) -> str:
    return "" if entry is None else json.dumps(entry._asdict(), ensure_ascii=False, sort_keys=True)
