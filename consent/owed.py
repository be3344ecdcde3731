"""Writing down the duty to remove copies: once for each consent, and sooner when it is taken back."""

from sqlalchemy import Connection, insert, select, update

from consent.model import Consent
from consent.tables import CONSENT_REMOVAL
from consent.writes import wrote


def owe(connection: Connection, consent: Consent, deadline: int) -> int | None:
    """Write that copies made under an ended consent must be gone by ``deadline`` (seconds,
    UTC) at the latest, and return by when they must be.

    One that time or use had ended owes already: what is sooner holds. None where the
    removal was acknowledged before, and so nothing is owed any more. The consent must be
    locked.
    """
    row = CONSENT_REMOVAL.c
    query = (
        select(row.deadline, row.acknowledged_at)
        .where(row.consent_id == consent.consent_id)
        .with_for_update()
    )
    owed = connection.execute(query).one_or_none()
    if owed is None:
        connection.execute(
            insert(CONSENT_REMOVAL).values(
                consent_id=consent.consent_id,
                operator_id=consent.operator_id,
                deadline=deadline,
                data_life_end=consent.terms.data_life_end,
                acknowledged_by="",
            )
        )
        wrote(connection, CONSENT_REMOVAL, consent.consent_id)
        return deadline
    if owed.acknowledged_at is not None:
        return None
    if owed.deadline <= deadline:
        return owed.deadline
    connection.execute(
        update(CONSENT_REMOVAL)
        .where(row.consent_id == consent.consent_id)
        .values(deadline=deadline)
    )
    wrote(connection, CONSENT_REMOVAL, consent.consent_id)
    return deadline
