"""Answers that clearings leave out, as they are kept; within a transaction of the caller's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from creditgate.clearing_disputes import UNDER_WAY, Dispute, Shown, answer_id, dispute_id
from creditgate.clearing_entries import Version, entries_text, version_digest
from creditgate.v1.clearing_service_pb2 import ClearingDisputeKind, ClearingStand
from gateway.federation.clearing.stands import (
    NOBODY,
    UNDECIDED,
    Stand,
    conceded,
    next_stand,
    side_of,
    stand_of,
)
from gateway.federation.clearing.tables import DISPUTES, VERSIONS
from gateway.storage.writes import wrote

_D: Final = DISPUTES.c
_V: Final = VERSIONS.c
_AT_ONCE: Final = 500
CURRENT: Final = DISPUTES.join(VERSIONS, (_D.dispute_id == _V.dispute_id) & (_D.since == _V.since))
"""Disputes with their versions as they are now, or were last."""

DisputeRow = Row[*tuple[Any, ...]]
"""A row of both tables."""


class OpenDispute(NamedTuple):
    """An open dispute; ``home`` is the home region, ``served`` the last second of its version,
    ``entries`` how many both versions have."""

    dispute_id: str
    home: str
    since: int
    kind: ClearingDisputeKind.ValueType
    served: int
    entries: int
    shown: Shown
    stand: Stand


class Left(NamedTuple):
    """What a clearing left out, by what it changed: how many disputes are told of, and how many
    concessions hold no more, since the region has another version by now."""

    told: int
    withdrawn: int


class OtherVersion(Exception):
    """The side has another version by now than the one that was to stand."""


def shown_in(row: DisputeRow) -> Shown:
    """Return the digests of both versions that a row tells of."""
    return Shown(row.home_version, row.asking_version)


def opened(connection: Connection, region: str) -> dict[bytes, OpenDispute]:
    """Return the open disputes with a region, by the ids of their answers."""
    query = (
        select(
            _D.dispute_id,
            _D.home,
            _D.since,
            _V.kind,
            _V.served,
            _V.entries,
            _V.home_version,
            _V.asking_version,
            _D.stands,
            _D.stands_version,
        )
        .select_from(CURRENT)
        .where(_D.region == region, _D.closed.is_(None))
    )
    return {
        answer_id(row.dispute_id): OpenDispute(
            row.dispute_id,
            row.home,
            row.since,
            ClearingDisputeKind.ValueType(row.kind),
            row.served,
            row.entries,
            shown_in(row),
            Stand(ClearingStand.ValueType(row.stands), row.stands_version),
        )
        for row in connection.execute(query)
    }


def resolve(
    connection: Connection, dispute: str, wanted: Stand, by: str, note: str, now: int
) -> bool:
    """Let the version ``wanted`` stand in an open dispute; False where there is no such dispute.

    Raises OtherVersion where it is not the side's own by now.
    """
    own = _D.dispute_id == dispute
    while True:
        query = select(_D.since, _V.home_version, _V.asking_version).select_from(CURRENT)
        row = connection.execute(query.where(own, _D.closed.is_(None))).first()
        if row is None:
            return False
        if stand_of(shown_in(row), wanted.side) != wanted:
            raise OtherVersion
        # A clearing may change the versions meanwhile: then it is another that would stand.
        resolved = connection.execute(
            update(DISPUTES)
            .where(own, _D.closed.is_(None), _D.since == row.since)
            .values(
                stands=int(wanted.side),
                stands_version=wanted.version,
                resolved_by=by,
                resolved_at=now,
                note=note,
            )
        )
        if resolved.rowcount:
            wrote(connection, DISPUTES, [(dispute,)])
            return True


def leave_out(
    connection: Connection,
    region: str,
    own: str,
    until: int,
    found: Sequence[Dispute],
    carried: Mapping[bytes, ClearingDisputeKind.ValueType],
) -> Left:
    """Keep what a clearing of ``own`` with a region leaves out, up to ``until``: disputes found
    or found changed, and those carried on, with their kinds; close what is neither."""
    before = opened(connection, region)
    now = {each.answer.id: each for each in found}
    known = set(_known(connection, map(dispute_id, now)))
    stands = {answer: _stand(before.get(answer), each, own) for answer, each in now.items()}
    withdrawn = sum(
        stands[answer] == UNDECIDED
        and conceded(before[answer].stand, side_of(before[answer].home, own))
        for answer in now.keys() & before.keys()
    )
    closed = [each for answer, each in before.items() if answer not in now.keys() | carried.keys()]
    ended = [*closed, *(before[answer] for answer in now.keys() & before.keys())]
    aged = [
        (before[answer], kind) for answer, kind in carried.items() if before[answer].kind != kind
    ]
    rows = [_dispute(region, until, each, stands[answer]) for answer, each in now.items()]
    _set(connection, ended, {"ended": until})
    for each, kind in aged:
        _set(connection, [each], {"kind": int(kind)})
    if closed:
        keys = [{"own": each.dispute_id} for each in closed]
        closing = update(DISPUTES).where(_D.dispute_id == bindparam("own")).values(closed=until)
        connection.execute(closing, keys)
    if new := [row for row in rows if row["dispute_id"] not in known]:
        connection.execute(insert(DISPUTES), new)
    for answer, row in zip(now, rows, strict=True):
        if row["dispute_id"] in known:
            # Who resolved it and why is kept, and evidence is on the answer, whatever is claimed.
            names = ("since", "closed", "supported", "stands", "stands_version")
            names += () if answer in before else ("proved", "tried")
            anew = update(DISPUTES).where(_D.dispute_id == row["dispute_id"])
            connection.execute(anew.values({name: row[name] for name in names}))
    if found:
        connection.execute(insert(VERSIONS), [_version(region, until, each) for each in found])
    wrote(connection, DISPUTES, [(each.dispute_id,) for each in closed])
    wrote(connection, DISPUTES, [(row["dispute_id"],) for row in rows])
    wrote(connection, VERSIONS, [(each.dispute_id, each.since) for each in ended])
    wrote(connection, VERSIONS, [(each.dispute_id, each.since) for each, _ in aged])
    wrote(connection, VERSIONS, [(row["dispute_id"], until) for row in rows])
    told = sum(each.kind != UNDER_WAY for each in found)
    return Left(told + sum(kind != UNDER_WAY for _, kind in aged), withdrawn)


def _stand(before: OpenDispute | None, now: Dispute, own: str) -> Stand:
    # One that was closed and comes again is another demand: nobody has said what stands.
    if before is None or before.stand.side == NOBODY:
        return UNDECIDED
    return next_stand(before.shown, before.stand, now.shown, side_of(before.home, own))


def _known(connection: Connection, disputes: Iterable[str]) -> Iterable[str]:
    """Give those of some disputes that there are rows of."""
    wanted = list(disputes)
    for first in range(0, len(wanted), _AT_ONCE):
        some = wanted[first : first + _AT_ONCE]
        query = select(_D.dispute_id).where(_D.dispute_id.in_(some))
        yield from connection.execute(query).scalars()


def _set(
    connection: Connection, disputes: Sequence[OpenDispute], values: Mapping[str, object]
) -> None:
    """Set columns of the current versions of some disputes."""
    if disputes:
        keys = [{"own": each.dispute_id, "from_": each.since} for each in disputes]
        own = (_V.dispute_id == bindparam("own")) & (_V.since == bindparam("from_"))
        connection.execute(update(VERSIONS).where(own).values(**values), keys)


def _dispute(region: str, until: int, found: Dispute, stand: Stand) -> dict[str, Any]:
    answer = found.answer
    return {
        "dispute_id": dispute_id(answer.id),
        "region": region,
        **answer._asdict(),
        "found": until,
        "since": until,
        "closed": None,
        "supported": 0,
        "stands": int(stand.side),
        "stands_version": stand.version,
        "resolved_by": "",
        "resolved_at": None,
        "note": "",
        "proved": False,
        "tried": 0,
    }


def _version(region: str, until: int, found: Dispute) -> dict[str, Any]:
    home, asking = found.home, found.asking
    return {
        "dispute_id": dispute_id(found.answer.id),
        "since": until,
        "region": region,
        "ended": None,
        "kind": int(found.kind),
        "served": 0 if home is None else home.served,
        "entries": len(found.home_entries) + len(found.asking_entries),
        "home_version": version_digest(home),
        "asking_version": version_digest(asking),
        "home": _text(home),
        "asking": _text(asking),
        "home_entries": entries_text(found.home_entries),
        "asking_entries": entries_text(found.asking_entries),
    }


def _text(version: Version | None) -> str:
    return "" if version is None else version.text()
