"""Writing down the duty to remove copies, and the word that they are gone."""

from sqlalchemy import Connection, Row, insert, select, update

from consent.model import Consent
from consent.rules import CLOCKS_APART_SECONDS, report_by
from consent.tables import CONSENT_REMOVAL, FOUND, NOT_FOUND
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
    ``told_at`` (all in seconds, UTC). Copies that nothing is owed for yet begin the duty anew. Of
    those it is about already, what is sooner holds; None where they are gone by the operator's
    word. The consent must be locked.
    """
    query = select(CONSENT_REMOVAL).where(_ROW.consent_id == consent.consent_id).with_for_update()
    owed = connection.execute(query).one_or_none()
    due = report_by(deadline, told_at)
    if owed is None:
        connection.execute(
            insert(CONSENT_REMOVAL).values(
                consent_id=consent.consent_id,
                operator_id=consent.operator_id,
                deadline=deadline,
                report_by=due,
                life_until=life_until,
                data_life_end=consent.terms.data_life_end,
                acknowledged_by="",
            )
        )
        wrote(connection, CONSENT_REMOVAL, consent.consent_id)
        return deadline
    if life_until > owed.life_until:
        values = _begun_anew(owed, life_until, deadline, due, told_at)
    elif owed.acknowledged_at is not None:
        return None
    else:
        was_due = max(owed.deadline, owed.report_by)
        if owed.deadline <= deadline and was_due <= due:
            return int(owed.deadline)
        deadline = min(deadline, owed.deadline)
        values = {"deadline": deadline, "report_by": min(due, was_due)}
    connection.execute(
        update(CONSENT_REMOVAL).where(_ROW.consent_id == consent.consent_id).values(**values)
    )
    wrote(connection, CONSENT_REMOVAL, consent.consent_id)
    return deadline


def is_told(connection: Connection, consent_id: str, life_until: int) -> bool:
    """Tell whether the duty is written down for all copies whose data life is over by
    ``life_until`` (seconds, UTC)."""
    query = select(_ROW.life_until).where(_ROW.consent_id == consent_id)
    written = connection.execute(query).scalar_one_or_none()
    return written is not None and written >= life_until


def is_gone(connection: Connection, consent_id: str) -> bool:
    """Tell whether an operator's word stands that what it owes to remove is gone."""
    query = select(_ROW.acknowledged_at).where(_ROW.consent_id == consent_id)
    return connection.execute(query).scalar_one_or_none() is not None


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


def acknowledge(
    connection: Connection,
    consent: Consent,
    operator_id: str,
    last_at: int | None,
    removed_at: int,
    by: str,
    now: int,
) -> bool:
    """Write an operator's word, as `consent.sql.SqlConsents.acknowledge` tells; the consent must
    be locked. ``last_at`` is when records were served last, None for never."""
    owed = connection.execute(
        select(CONSENT_REMOVAL)
        .where(_ROW.consent_id == consent.consent_id, _ROW.operator_id == operator_id)
        .with_for_update()
    ).one_or_none()
    if owed is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
            "Nothing has to be removed for such a consent.",
        )
    if owed.acknowledged_at is not None:
        return False
    # Of those the word is about: others may have been served since.
    last_owed_at = owed.life_until - consent.terms.data_life_seconds
    earliest = 0 if last_at is None else min(last_at, last_owed_at)
    if not earliest - CLOCKS_APART_SECONDS <= removed_at <= now + CLOCKS_APART_SECONDS:
        raise invalid(
            Violation("remove_time", "give a time after the last answer and not after now")
        )
    connection.execute(
        update(CONSENT_REMOVAL)
        .where(_ROW.consent_id == consent.consent_id)
        .values(
            removed_at=min(max(removed_at, earliest), now),
            acknowledged_at=now,
            acknowledged_by=by,
        )
    )
    wrote(connection, CONSENT_REMOVAL, consent.consent_id)
    return True


def _begun_anew(
    owed: Row[tuple[object, ...]], life_until: int, deadline: int, due: int, told_at: int
) -> dict[str, int | str | None]:
    values: dict[str, int | str | None] = {"deadline": deadline, "life_until": life_until}
    if owed.acknowledged_at is None:
        # What was to be reported is no less due where no copy may be left of what came since.
        was_due = max(owed.deadline, owed.report_by)
        return {**values, "report_by": due if deadline > told_at else was_due}
    return {
        **values,
        "report_by": due,
        "gone_until": owed.life_until,
        "removed_at": None,
        "acknowledged_at": None,
        "acknowledged_by": "",
        # A finding that nobody has rectified yet stays until this is acknowledged, too.
        "finding": FOUND if owed.finding == FOUND else NOT_FOUND,
    }
