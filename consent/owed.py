"""Writing down the duties to remove copies, and the word that they are gone.

Each is about copies whose data life is over by an instant, `life_until`, and that no earlier one is
about. None is written over: what was reported late, or not at all, stays as it was, whatever is
served afterwards.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Update, case, func, insert, select, update

from consent.model import Consent
from consent.rules import CLOCKS_APART_SECONDS, REPORT_SECONDS, report_by
from consent.tables import CONSENT_REMOVAL
from consent.writes import wrote
from creditgate.refusal import Refused, Violation, invalid
from creditgate.v1.refusal_pb2 import RefusalReason

_ROW = CONSENT_REMOVAL.c


def owe(
    connection: Connection, consent: Consent, life_until: int, deadline: int, told_at: int
) -> int | None:
    """Write that copies made under a consent must be gone by ``deadline`` at the latest, and
    return by when they must be.

    The data life of the last of them ends at ``life_until``; its operator can know since
    ``told_at`` (all in seconds, UTC). Of copies that a duty is about already, and that are not gone
    by the operator's word, what is sooner holds; None where all are. The consent must be locked.
    """
    consent_id = consent.consent_id
    newest = connection.execute(
        select(_ROW.life_until, _ROW.acknowledged_at)
        .where(_ROW.consent_id == consent_id)
        .order_by(_ROW.life_until.desc())
        .limit(1)
    ).one_or_none()
    due = report_by(deadline, told_at)
    was_due = case((_ROW.deadline > _ROW.report_by, _ROW.deadline), else_=_ROW.report_by)
    _change(
        connection,
        update(CONSENT_REMOVAL)
        .where(
            _ROW.consent_id == consent_id,
            _ROW.acknowledged_at.is_(None),
            _ROW.deadline > deadline,
        )
        .values(deadline=deadline, report_by=case((was_due < due, was_due), else_=due)),
    )
    if newest is not None and life_until <= newest.life_until:
        return None if newest.acknowledged_at is not None else _deadline(connection, consent_id)
    connection.execute(
        insert(CONSENT_REMOVAL).values(
            consent_id=consent_id,
            life_until=life_until,
            operator_id=consent.operator_id,
            deadline=deadline,
            report_by=due,
            data_life_end=consent.terms.data_life_end,
            acknowledged_by="",
        )
    )
    wrote(connection, CONSENT_REMOVAL, consent_id, life_until)
    return deadline


def is_told(connection: Connection, consent_id: str, life_until: int) -> bool:
    """Tell whether a duty is written down for all copies whose data life is over by
    ``life_until`` (seconds, UTC)."""
    query = select(func.max(_ROW.life_until)).where(_ROW.consent_id == consent_id)
    written = connection.execute(query).scalar_one()
    return written is not None and written >= life_until


def unreported(connection: Connection, consent_id: str) -> int | None:
    """Return by when the copies must be gone that an operator is to report first (seconds, UTC);
    None where it has reported all that it owes."""
    query = select(func.min(_ROW.deadline)).where(
        _ROW.consent_id == consent_id, _ROW.acknowledged_at.is_(None)
    )
    return connection.execute(query).scalar_one()


def is_gone(connection: Connection, consent_id: str) -> bool:
    """Tell whether an operator's word stands that what it owes to remove is gone."""
    query = select(func.count(), func.count(_ROW.acknowledged_at)).where(
        _ROW.consent_id == consent_id
    )
    duties, reported = connection.execute(query).one()
    return 0 < duties == reported


def gone_since(connection: Connection, consent_id: str, life_until: int) -> int | None:
    """Return since when copies are gone by an operator's word whose data life is over by
    ``life_until`` (both in seconds, UTC); None without its word."""
    query = (
        select(_ROW.removed_at)
        .where(
            _ROW.consent_id == consent_id,
            _ROW.acknowledged_at.is_not(None),
            _ROW.life_until >= life_until,
        )
        .order_by(_ROW.life_until)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


class OwedUnder(NamedTuple):
    """A consent under which copies may be owed, and when records were served under it last
    (seconds, UTC), None for never."""

    consent: Consent
    last_at: int | None


def acknowledge(
    connection: Connection,
    owed_under: Sequence[OwedUnder],
    operator_id: str,
    removed_at: int,
    by: str,
    now: int,
) -> int:
    """Write an operator's word, as `consent.sql.SqlConsents.acknowledge` tells, on all that is
    owed under a consent and its parts: it is one word, judged once. They must be locked."""
    lives = {each.consent.consent_id: each for each in owed_under}
    its = (_ROW.consent_id.in_(lives), _ROW.operator_id == operator_id)
    owed = connection.execute(
        select(_ROW.consent_id, _ROW.life_until)
        .where(*its, _ROW.acknowledged_at.is_(None))
        .order_by(_ROW.consent_id, _ROW.life_until)
        .with_for_update()
    )
    last_of = {
        (consent_id, life_until): _last_of(lives[consent_id], life_until, now)
        for consent_id, life_until in owed
    }
    said = select(_ROW.removed_at).where(*its, _ROW.acknowledged_at.is_not(None))
    if not last_of and connection.execute(said.limit(1)).first() is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "Nothing has to be removed for such a consent.",
        )
    if removed_at > now + CLOCKS_APART_SECONDS:
        raise _no_time_for_it()
    meant = [each for each, served_at in last_of.items() if served_at <= removed_at]
    if not meant:
        # A word that came before says nothing of what was served since.
        if connection.execute(said.where(_ROW.removed_at == removed_at)).first() is not None:
            return 0
        # Clocks are not the same: one may come a little before what it is about.
        latest = removed_at + CLOCKS_APART_SECONDS
        meant = [each for each, served_at in last_of.items() if served_at <= latest]
    if last_of and not meant:
        raise _no_time_for_it()
    for consent_id, life_until in meant:
        connection.execute(
            update(CONSENT_REMOVAL)
            .where(_ROW.consent_id == consent_id, _ROW.life_until == life_until)
            .values(
                removed_at=min(max(removed_at, last_of[consent_id, life_until]), now),
                acknowledged_at=now,
                acknowledged_by=by,
            )
        )
        wrote(connection, CONSENT_REMOVAL, consent_id, life_until)
    return len(meant)


def give_time(connection: Connection, consent_id: str, told_at: int) -> None:
    """Let an operator report what it owes and is told of at ``told_at`` (seconds, UTC) a day from
    then, as far as it is not overdue by then."""
    due = told_at + REPORT_SECONDS
    _change(
        connection,
        update(CONSENT_REMOVAL)
        .where(
            _ROW.consent_id == consent_id,
            _ROW.acknowledged_at.is_(None),
            _ROW.report_by > told_at,
            _ROW.report_by < due,
        )
        .values(report_by=due),
    )


def _no_time_for_it() -> Refused:
    return invalid(Violation("remove_time", "give a time after the last answer and not after now"))


def _last_of(under: OwedUnder, life_until: int, now: int) -> int:
    """Return when the last of the copies was served that a duty is about."""
    # Of duties from before their lives were kept only the last serving tells.
    latest = now if under.last_at is None else under.last_at
    return min(latest, life_until - under.consent.terms.data_life_seconds)


def _deadline(connection: Connection, consent_id: str) -> int | None:
    query = select(func.max(_ROW.deadline)).where(
        _ROW.consent_id == consent_id, _ROW.acknowledged_at.is_(None)
    )
    return connection.execute(query).scalar_one()


def _change(connection: Connection, change: Update) -> None:
    changed = connection.execute(change.returning(_ROW.consent_id, _ROW.life_until)).all()
    for consent_id, life_until in changed:
        wrote(connection, CONSENT_REMOVAL, consent_id, life_until)
